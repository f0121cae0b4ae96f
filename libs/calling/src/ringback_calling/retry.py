"""Owns repeating a call that failed: tenacity, full jitter, an attempt cap, a deadline and a retry budget.

Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Retry budget: a
token bucket as in gRPC's retry throttling (gRPC proposal A6): a failure takes a token, a success gives a
tenth back, and below half full nobody retries, so that retries never multiply an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ringback_errors import Behind, Overloaded, RingbackError, Unavailable
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

_T = TypeVar("_T")

BACKOFF_FIRST_S: Final = 0.02
BACKOFF_MAX_S: Final = 1.0
_FULL_JITTER: Final = wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_MAX_S)


class RetryBudget:
    """How many failures a peer may have before nobody repeats calls to it."""

    __slots__ = ("_tokens", "_tokens_max")

    def __init__(self, tokens_max: float = 20.0) -> None:
        self._tokens_max = tokens_max
        self._tokens = tokens_max

    def succeeded(self) -> None:
        """A call succeeded: a tenth of a token back."""
        if self._tokens < self._tokens_max:
            self._tokens = min(self._tokens_max, self._tokens + 0.1)

    def failed(self) -> None:
        """A call failed: one token less."""
        self._tokens = max(0.0, self._tokens - 1.0)

    @property
    def may_retry(self) -> bool:
        """Whether more than half of the tokens are left."""
        return self._tokens > self._tokens_max / 2


def may_repeat(error: BaseException) -> bool:
    """Whether another attempt could fare better: the peer is away, full, or not there yet."""
    return isinstance(error, Unavailable | Overloaded | Behind)


async def retry_after(
    first: RingbackError,
    attempt: Callable[[int], Awaitable[_T]],
    *,
    attempts_max: int,
    left_s: float,
    budget: RetryBudget,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> _T:
    """Go on after a first attempt that failed: at most `attempts_max` in all, none past the deadline.

    `attempt` gets its number (2, 3 …). Raises the last error.
    """
    number = 0

    async def next_attempt() -> _T:
        nonlocal number
        number += 1
        if number == 1:
            raise first  # tenacity counts the attempt that was made before it came in
        return await attempt(number)

    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts_max) | stop_before_delay(left_s),
        wait=_wait,
        retry=retry_if_exception(lambda error: may_repeat(error) and budget.may_retry),
        sleep=sleep,
        reraise=True,
    )
    return await retrying(next_attempt)


def _wait(state: RetryCallState) -> float:
    """Full jitter, but not before the peer asked to be left alone."""
    error = state.outcome.exception() if state.outcome else None
    asked_ms = error.retry_after_ms if isinstance(error, RingbackError) else None
    return max(_FULL_JITTER(state), (asked_ms or 0) / 1000)
