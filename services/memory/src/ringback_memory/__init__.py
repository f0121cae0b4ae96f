"""Turns a growing transcript into a small, true state."""
