"""Who has the call instead of the agent."""

from __future__ import annotations

import msgspec

__all__ = ["Desk"]


class Desk(msgspec.Struct, omit_defaults=True):
    """The person who has taken the call over; nobody, or nobody yet, when `actor` is empty."""

    actor: str = ""
    since_ms: int = 0
    # While nobody has it and a person is awaited: how often the caller was told so, and whether nothing is said now.
    prompts: int = 0
    silent: bool = False
    # What is known of the call is still to be gathered for the person.
    packet_due: bool = False
