"""What can go wrong on the bus, beyond the shared errors.

RingbackError
├── Unavailable
│   ├── BusAway          nothing was sent
│   └── WriteUnknown     sent, no answer: stored, not stored, or stored yet to come
└── Overloaded
    └── SpoolFull        the bus is away and the spool has reached its bound
"""

from __future__ import annotations

from ringback_errors import Overloaded, Unavailable

__all__ = ["BusAway", "SpoolFull", "WriteUnknown"]


class BusAway(Unavailable):
    """The bus cannot be reached; nothing was sent."""


class WriteUnknown(Unavailable):
    """The answer to a write did not come in time; `Bucket` says how to settle what became of it."""


class SpoolFull(Overloaded):
    """A message could not be taken: the bus is away and its spool is full."""
