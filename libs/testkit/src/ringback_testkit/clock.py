"""A clock that moves only when told to, and the timers that hang on it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

__all__ = ["FakeClock", "FakeTimer"]


class FakeTimer:
    """A callback that waits for its moment."""

    def __init__(self, due_ms: int, callback: Callable[[], None]) -> None:
        self.due_ms = due_ms
        self.cancelled = False
        self._callback = callback

    def cancel(self) -> None:
        """Never run, and let go of what would have."""
        self.cancelled = True
        self._callback = _nothing

    def fire(self) -> None:
        """Run the callback, unless cancelled."""
        if not self.cancelled:
            self._callback()


class FakeClock:
    """Time in whole milliseconds; calling the object gives seconds, as `time.time` does."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._order = itertools.count()
        self._timers: list[tuple[int, int, FakeTimer]] = []

    def __call__(self) -> float:
        return self._now_ms / 1000

    def now_ms(self) -> int:
        """The time now."""
        return self._now_ms

    @property
    def timers(self) -> int:
        """How many timers wait."""
        return sum(1 for _, _, timer in self._timers if not timer.cancelled)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> FakeTimer:
        """Run `callback` when the clock has been advanced by `delay_ms`."""
        timer = FakeTimer(self._now_ms + max(0, delay_ms), callback)
        heapq.heappush(self._timers, (timer.due_ms, next(self._order), timer))
        return timer

    def advance(self, ms: int) -> None:
        """Move forward, running due timers in order, each at its own moment."""
        if ms < 0:
            raise ValueError("a clock moves forward only")
        target = self._now_ms + ms
        while self._timers and self._timers[0][0] <= target:
            due_ms, _, timer = heapq.heappop(self._timers)
            self._now_ms = max(self._now_ms, due_ms)
            timer.fire()
        self._now_ms = target

    def advance_to_next(self) -> bool:
        """Move to the next waiting timer and run it; False if none waits."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return False
        self.advance(self._timers[0][0] - self._now_ms)
        return True

    async def sleep_ms(self, ms: int) -> None:
        """Wait until the clock has been advanced by `ms`."""
        done = asyncio.get_running_loop().create_future()
        timer = self.call_later(ms, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()


def _nothing() -> None:
    """In place of what was cancelled."""
