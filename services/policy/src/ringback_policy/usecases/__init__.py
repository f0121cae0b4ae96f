"""What policy does, over its ports."""
