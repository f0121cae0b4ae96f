"""Holds the call."""
