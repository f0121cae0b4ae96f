"""Owns the time budget of a turn (or of any piece of work) that its calls share."""

from __future__ import annotations

import time
from collections.abc import Callable

from ringback_errors import DeadlineExceeded


def monotonic_ms() -> int:
    """The default clock: milliseconds that never go back."""
    return time.monotonic_ns() // 1_000_000


class Budget:
    """So many milliseconds from now on; every call takes its deadline from what remains."""

    __slots__ = ("_clock", "_ends_at_ms", "_total_ms")

    def __init__(self, total_ms: int, clock: Callable[[], int] = monotonic_ms) -> None:
        self._clock = clock
        self._total_ms = total_ms
        self._ends_at_ms = clock() + total_ms

    def remaining_ms(self, at_most: int | None = None) -> int:
        """What is left, never negative, and no more than `at_most`; a call with 0 ms is refused at once."""
        left = max(0, self._ends_at_ms - self._clock())
        return left if at_most is None else min(left, at_most)

    def spent_ms(self) -> int:
        """What is used up; may exceed the total."""
        return self._total_ms - (self._ends_at_ms - self._clock())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self._clock() >= self._ends_at_ms

    def require(self, least_ms: int = 1) -> None:
        """Raise DeadlineExceeded unless at least this much is left."""
        if self._ends_at_ms - self._clock() < least_ms:
            raise DeadlineExceeded(f"expected at least {least_ms} ms of the {self._total_ms} ms budget")
