"""Owns when something needs an operator: a burst of refused credentials, a backlog past its window."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["AUTH", "BACKLOG", "Alert", "Burst", "answered", "refused"]

AUTH = "auth"
BACKLOG = "job_backlog"

BURST = 5
WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert about a subject, open or over."""

    name: str
    subject: str
    open: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Burst:
    """Refusals of one system within a window that begins with the first of them."""

    refused: int = 0
    began_ms: int = 0
    open: bool = False


def refused(burst: Burst, *, now_ms: int) -> Burst:
    """The state after our credential was refused; open from the fifth within a minute."""
    if not burst.refused or now_ms - burst.began_ms > WINDOW_MS:
        return replace(burst, refused=1, began_ms=now_ms)
    count = burst.refused + 1
    return replace(burst, refused=count, open=burst.open or count >= BURST)


def answered(burst: Burst) -> Burst:
    """The state after the system took our credential: over."""
    return Burst()
