"""Who has the call instead of the agent."""

from __future__ import annotations

import msgspec

__all__ = ["Desk"]


class Desk(msgspec.Struct, omit_defaults=True):
    """The person who has taken the call over; nobody when `actor` is empty."""

    actor: str = ""
    since_ms: int = 0
