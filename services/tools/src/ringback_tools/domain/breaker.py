"""Owns the circuit breaker as a value: count, rate and slow calls open it, probes close it.

Pure: each function takes the state and the time and gives the next state. One breaker per dependency and
replica. The pattern is Nygard's ("Release It!", 2nd edition, chapter 5).
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Breaker", "BreakerRule", "BreakerState", "allow", "record", "unused"]


class BreakerState(StrEnum):
    """Closed: calls pass. Open: none. Half open: probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerRule(Struct, frozen=True):
    """When it opens (any of the three) and how it comes back; times in ms."""

    failures_max: int = 5
    rate_max: float = 0.6
    rate_calls_min: int = 20
    window_ms: int = 20_000
    # Longer than this counts as failed; 0: duration does not matter.
    slow_ms: int = 0
    open_ms: int = 10_000
    half_open_probes: int = 1


class Breaker(Struct, frozen=True):
    """What is known of one dependency. The window is two halves, so that it needs no list of calls."""

    rule: BreakerRule
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    half_started_ms: int = 0
    now_calls: int = 0
    now_failed: int = 0
    past_calls: int = 0
    past_failed: int = 0
    opened_at_ms: int = 0
    # Probes let through and not yet recorded, and since when the last one is out.
    probes_out: int = 0
    probed_at_ms: int = 0
    reason: str = ""


def allow(breaker: Breaker, *, now_ms: int) -> tuple[Breaker, bool]:
    """Whether one call may go now."""
    rule = breaker.rule
    match breaker.state:
        case BreakerState.CLOSED:
            return breaker, True
        case BreakerState.OPEN:
            if now_ms - breaker.opened_at_ms < rule.open_ms:
                return breaker, False
            probing = replace(breaker, state=BreakerState.HALF_OPEN, probes_out=1, probed_at_ms=now_ms)
            return probing, True
        case BreakerState.HALF_OPEN:
            # A probe whose end was never told (its task died) must not lock the dependency out for good.
            lost = now_ms - breaker.probed_at_ms >= rule.open_ms
            if breaker.probes_out >= rule.half_open_probes and not lost:
                return breaker, False
            out = 1 if lost else breaker.probes_out + 1
            return replace(breaker, probes_out=out, probed_at_ms=now_ms), True


def record(breaker: Breaker, *, ok: bool, duration_ms: float, now_ms: int) -> Breaker:
    """The breaker after a call ended."""
    failed = not ok or bool(breaker.rule.slow_ms and duration_ms > breaker.rule.slow_ms)
    match breaker.state:
        case BreakerState.OPEN:
            # A call from before it opened: says nothing about now.
            return breaker
        case BreakerState.HALF_OPEN:
            if failed:
                return _opened(breaker, now_ms, reason="a probe failed")
            return Breaker(rule=breaker.rule, half_started_ms=now_ms)
        case BreakerState.CLOSED:
            return _counted(_rolled(breaker, now_ms), failed=failed, now_ms=now_ms)


def unused(breaker: Breaker) -> Breaker:
    """The breaker after a call that was allowed but not made: it says nothing and gives a probe's place back."""
    if breaker.state is not BreakerState.HALF_OPEN:
        return breaker
    return replace(breaker, probes_out=max(0, breaker.probes_out - 1))


def _counted(breaker: Breaker, *, failed: bool, now_ms: int) -> Breaker:
    counted = replace(
        breaker,
        failures=breaker.failures + 1 if failed else 0,
        now_calls=breaker.now_calls + 1,
        now_failed=breaker.now_failed + failed,
    )
    rule = breaker.rule
    if counted.failures >= rule.failures_max:
        return _opened(counted, now_ms, reason=f"{counted.failures} failures in a row")
    calls = counted.now_calls + counted.past_calls
    bad = counted.now_failed + counted.past_failed
    if failed and calls >= rule.rate_calls_min and bad / calls >= rule.rate_max:
        return _opened(counted, now_ms, reason=f"{bad} of {calls} calls failed")
    return counted


def _rolled(breaker: Breaker, now_ms: int) -> Breaker:
    half = max(1, breaker.rule.window_ms // 2)
    age = now_ms - breaker.half_started_ms
    if age < half:
        return breaker
    fresh = age >= 2 * half
    return replace(
        breaker,
        half_started_ms=now_ms,
        past_calls=0 if fresh else breaker.now_calls,
        past_failed=0 if fresh else breaker.now_failed,
        now_calls=0,
        now_failed=0,
    )


def _opened(breaker: Breaker, now_ms: int, *, reason: str) -> Breaker:
    return Breaker(
        rule=breaker.rule,
        state=BreakerState.OPEN,
        failures=breaker.failures,
        opened_at_ms=now_ms,
        half_started_ms=now_ms,
        reason=reason,
    )
