"""Owns whether and when an attempt is repeated: what is safe, how long to wait, the budget that ends storms.

Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015); the budget as in the
Google SRE book, chapter 21 (a share of the requests, with a floor for quiet times).
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from ringback_tools.domain.catalogue import RetryRule, Tool
from ringback_tools.domain.results import Answer, Answered

__all__ = ["ATTEMPT_MS_MIN", "Again", "RetryBudget", "Stop", "decide", "earn", "spend"]

# An attempt that has less than this left cannot do anything useful.
ATTEMPT_MS_MIN = 20


@dataclass(frozen=True, slots=True)
class Again:
    """Repeat after this wait."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not repeat; why, for the span."""

    reason: str


def decide(tool: Tool, answer: Answer, *, attempt: int, remaining_ms: float, roll: float) -> Again | Stop:
    """What follows attempt number `attempt` (1, 2, …); `roll` is uniform in [0, 1)."""
    if isinstance(answer, Answered):
        return Stop("answered")
    if not answer.retryable or answer.code not in tool.retry.codes:
        return Stop("not retryable")
    if not tool.may_retry:
        return Stop("not safe to repeat")
    if attempt >= tool.retry.attempts_max:
        return Stop("attempts used up")
    delay_ms = max(backoff_ms(tool.retry, attempt=attempt, roll=roll), answer.retry_after_ms)
    if delay_ms + ATTEMPT_MS_MIN > remaining_ms:
        return Stop("deadline too near")
    return Again(delay_ms)


def backoff_ms(rule: RetryRule, *, attempt: int, roll: float) -> int:
    """The wait after attempt number `attempt`, with full jitter."""
    window = min(rule.cap_ms, rule.base_ms * 2 ** min(attempt - 1, 30))
    return int(window * roll)


class RetryBudget(Struct, frozen=True):
    """Retries one tenant may spend on one tool: a share of its calls, and a floor that refills slowly."""

    tokens: float = 10.0
    tokens_max: float = 10.0
    share: float = 0.2
    floor_per_s: float = 0.2
    filled_at_ms: int = 0


def earn(budget: RetryBudget) -> RetryBudget:
    """The budget after one more call."""
    return replace(budget, tokens=min(budget.tokens_max, budget.tokens + budget.share))


def spend(budget: RetryBudget, *, now_ms: int) -> tuple[RetryBudget, bool]:
    """The budget after a wish for a retry, and whether it is granted."""
    elapsed_s = max(0, now_ms - budget.filled_at_ms) / 1000 if budget.filled_at_ms else 0.0
    tokens = min(budget.tokens_max, budget.tokens + elapsed_s * budget.floor_per_s)
    granted = tokens >= 1.0
    left = tokens - 1.0 if granted else tokens
    return replace(budget, tokens=left, filled_at_ms=now_ms), granted
