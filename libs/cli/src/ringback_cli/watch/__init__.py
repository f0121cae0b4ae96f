"""Facts of calls made readable: the same lines for `ringback events tail` and for the demo."""
