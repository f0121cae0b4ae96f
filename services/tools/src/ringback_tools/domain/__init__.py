"""What tools decide, as functions of their arguments: no I/O, no clock, no randomness."""
