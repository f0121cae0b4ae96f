"""Owns the mode of the summariser: when the text model is left alone, for how long, and when it is back.

A failure opens the mode for `pause_ms`, doubled with each failure in a row up to `pause_ms_max`; then one try is let
through, and its success ends the mode. Spending more tokens than the budget of an hour opens it until the hour is over.
"""

from __future__ import annotations

import msgspec

HOUR_MS = 3_600_000
PAUSE_MS = 15_000
PAUSE_MS_MAX = 300_000


class Mode(msgspec.Struct, frozen=True):
    """`since_ms` 0: the text model writes."""

    since_ms: int = 0
    retry_at_ms: int = 0
    pause_ms: int = 0
    trying: bool = False
    hour_began_ms: int = 0
    spent_tokens: int = 0

    @property
    def degraded(self) -> bool:
        """Whether the embedded summariser has taken over."""
        return self.since_ms > 0


def begun(mode: Mode, *, now_ms: int, hourly_tokens: int) -> tuple[Mode, str]:
    """The mode as the text model is about to be asked, and why it must not be ("": it may)."""
    if now_ms - mode.hour_began_ms >= HOUR_MS:
        mode = msgspec.structs.replace(mode, hour_began_ms=now_ms, spent_tokens=0)
    if mode.spent_tokens >= hourly_tokens:
        return mode, "over_budget"
    if not mode.degraded:
        return mode, ""
    if mode.trying or now_ms < mode.retry_at_ms:
        return mode, "degraded"
    return msgspec.structs.replace(mode, trying=True), ""


def failed(mode: Mode, *, now_ms: int, least_pause_ms: int = PAUSE_MS) -> Mode:
    """The mode after a failure."""
    pause_ms = min(PAUSE_MS_MAX, max(least_pause_ms, 2 * mode.pause_ms))
    return msgspec.structs.replace(
        mode,
        since_ms=mode.since_ms or max(1, now_ms),
        retry_at_ms=now_ms + pause_ms,
        pause_ms=pause_ms,
        trying=False,
    )


def spent(mode: Mode, *, now_ms: int) -> Mode:
    """The mode once the hour's budget is used up: until the hour is over."""
    return msgspec.structs.replace(
        mode,
        since_ms=mode.since_ms or max(1, now_ms),
        retry_at_ms=mode.hour_began_ms + HOUR_MS,
        trying=False,
    )


def succeeded(mode: Mode, *, tokens: int) -> Mode:
    """The mode after a draft that could be used."""
    return msgspec.structs.replace(
        mode, since_ms=0, retry_at_ms=0, pause_ms=0, trying=False, spent_tokens=mode.spent_tokens + tokens
    )
