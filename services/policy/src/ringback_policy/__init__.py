"""Decides what may be said and done, and says why."""
