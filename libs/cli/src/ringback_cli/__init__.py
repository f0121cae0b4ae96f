"""The ringback command: start a stack, call it, watch it."""
