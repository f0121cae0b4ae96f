"""Policy's ports on NATS, on files and in memory."""
