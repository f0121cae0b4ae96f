"""Bounds of one call, and how it is closed when it is not ours any more."""

from __future__ import annotations

import msgspec
from ringback_realtime import Close

__all__ = ["FENCED", "Limits"]

FENCED = Close(4409, "session_taken_over: another connection resumed this session.")


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one call, in ms."""

    journal_wait_ms: int = 10_000
    resume_window_ms: int = 30_000
    session_ms_max: int = 14_400_000
    # What asks memory within this time of one another asks once.
    context_gather_ms: int = 40
