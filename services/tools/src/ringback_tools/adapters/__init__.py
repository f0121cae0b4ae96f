"""The outside world behind the ports, and the twins of it that need none."""
