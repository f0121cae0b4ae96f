"""Recorded conversations of an airline's desk, decided again by the real policy and tools services."""
