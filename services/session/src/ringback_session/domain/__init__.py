"""The conversation core: a state machine without I/O, clock or randomness."""
