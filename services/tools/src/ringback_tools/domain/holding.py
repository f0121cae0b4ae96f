"""The states of a write at which a test may hold the process, to kill it there."""

from __future__ import annotations

__all__ = ["ON_REQUEST", "STATES"]

STATES = ("admitted", "attempting", "answered", "finished")
# Hold when, and where, a file asks for it.
ON_REQUEST = "on_request"
