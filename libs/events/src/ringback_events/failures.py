"""What can go wrong on the bus, beyond the shared errors.

RingbackError
├── Unavailable
│   ├── BusAway          nothing was sent
│   └── WriteUnknown     sent, no answer: it may or may not have been stored
└── Overloaded
    └── SpoolFull        the bus is away and the spool has reached its bound
"""

from __future__ import annotations

from ringback_errors import Overloaded, Unavailable

__all__ = ["BusAway", "SpoolFull", "WriteUnknown"]


class BusAway(Unavailable):
    """The bus cannot be reached; nothing was sent."""


class WriteUnknown(Unavailable):
    """The answer to a write did not come in time: read before deciding what to do."""


class SpoolFull(Overloaded):
    """A message could not be taken: the bus is away and its spool is full."""
