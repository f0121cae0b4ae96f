"""The outside things behind the ports: speech models and the brains."""
