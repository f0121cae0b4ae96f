"""Runs actions against other systems, once, within a deadline."""
