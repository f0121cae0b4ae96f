"""Owns how many calls of a tool run at once: additive increase, multiplicative decrease, floor and cap.

The rule is TCP's (Chiu and Jain, 1989), on latency and refusals instead of lost packets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Concurrency", "after"]

_DECREASE = 0.7
# One slow spell lowers the limit once, not once for each of its calls.
_DECREASE_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class Concurrency:
    """The limit now, and what moves it."""

    limit: float
    limit_min: int
    limit_max: int
    slow_ms: int
    lowered_at_ms: int = -_DECREASE_EVERY_MS

    @property
    def slots(self) -> int:
        """Calls that may run."""
        return max(self.limit_min, int(self.limit))


def after(state: Concurrency, *, congested: bool, duration_ms: float, full: bool, now_ms: int) -> Concurrency:
    """The limit after a call ended; `full`: every slot was in use meanwhile."""
    if congested or (state.slow_ms and duration_ms > state.slow_ms):
        if now_ms - state.lowered_at_ms < _DECREASE_EVERY_MS:
            return state
        return replace(
            state, limit=max(float(state.limit_min), state.limit * _DECREASE), lowered_at_ms=now_ms
        )
    if not full:
        return state
    return replace(state, limit=min(float(state.limit_max), state.limit + 1.0 / max(1.0, state.limit)))
