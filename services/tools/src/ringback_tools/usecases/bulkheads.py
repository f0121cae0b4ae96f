"""Owns admission: how many executions of one tool run at once here, who waits, and who is refused.

One tool's trouble fills its own bulkhead only. The queue is bounded; a live call goes before background
work and takes its place when the queue is full.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ringback_errors import Overloaded

from ringback_tools.domain.catalogue import Limits, Tool
from ringback_tools.domain.concurrency import Concurrency, after
from ringback_tools.ports import Clock
from ringback_tools.usecases.execution import Priority

__all__ = ["Bulkhead", "Bulkheads"]


class Bulkhead:
    """The slots of one tool."""

    def __init__(self, *, tool: Tool, clock: Clock) -> None:
        limits = tool.limits
        self._clock = clock
        self._queue_max = limits.queue_max
        self._concurrency = Concurrency(
            limit=float(limits.concurrency_max),
            limit_min=limits.concurrency_min,
            limit_max=limits.concurrency_max,
            slow_ms=tool.breaker.slow_ms,
        )
        self._running = 0
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {kind: deque() for kind in Priority}

    @property
    def slots(self) -> int:
        """Executions that may run now."""
        return self._concurrency.slots

    @property
    def free(self) -> bool:
        """Whether a slot can be had without waiting."""
        return self._running < self.slots and not self.waiting

    @property
    def waiting(self) -> int:
        """Executions in the queue."""
        return sum(len(queue) for queue in self._waiting.values())

    def refusal(self, priority: Priority) -> Overloaded | None:
        """Why a call would be refused at once; None: it would run, wait, or take the place of one that waits."""
        if self.free or self.waiting < self._queue_max or self._yielding(priority):
            return None
        return Overloaded(f"expected at most {self._queue_max} waiting calls", field="queue")

    async def acquire(self, priority: Priority, *, wait_ms: float) -> None:
        """Take a slot, now or after waiting; Overloaded when the queue is full or the time is up."""
        if self.free:
            self._running += 1
            return
        if refused := self.refusal(priority):
            raise refused
        if self.waiting >= self._queue_max:
            taken = self._waiting[Priority.BACKGROUND].pop()
            taken.set_exception(Overloaded("a live call took the place", field="queue"))
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(place)
        try:
            async with asyncio.timeout(max(0.0, wait_ms) / 1000):
                await place
        except TimeoutError:
            if _granted(place):
                return
            raise Overloaded("no slot became free in time", field="queue") from None
        except asyncio.CancelledError:
            if _granted(place):
                self._running -= 1
                self._wake()
            raise
        finally:
            if place in self._waiting[priority]:
                self._waiting[priority].remove(place)

    def learn(self, *, duration_ms: float, congested: bool) -> None:
        """Adapt the limit to how one attempt went, while its slot is still taken."""
        self._concurrency = after(
            self._concurrency,
            congested=congested,
            duration_ms=duration_ms,
            full=self._running >= self.slots,
            now_ms=self._clock.now_ms(),
        )

    def release(self) -> None:
        """Give the slot back."""
        self._running -= 1
        self._wake()

    def _yielding(self, priority: Priority) -> bool:
        """Whether somebody in the queue gives way to this."""
        return priority is Priority.LIVE_CALL and bool(self._waiting[Priority.BACKGROUND])

    def _wake(self) -> None:
        while self._running < self.slots and self.waiting:
            queue = next(queue for queue in self._waiting.values() if queue)
            place = queue.popleft()
            if not place.done():
                self._running += 1
                place.set_result(None)


class Bulkheads:
    """One bulkhead per tool and declared limits: a new pack's limits count at once, a running call's stay its own."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        # Bounded by what the packs that are published declare.
        self._bulkheads: dict[tuple[str, str, Limits, int], Bulkhead] = {}

    def of(self, tool: Tool) -> Bulkhead:
        """The tool's bulkhead."""
        key = (tool.dependency, tool.name, tool.limits, tool.breaker.slow_ms)
        found = self._bulkheads.get(key)
        if found is None:
            found = self._bulkheads[key] = Bulkhead(tool=tool, clock=self._clock)
        return found


def _granted(place: asyncio.Future[None]) -> bool:
    return place.done() and not place.cancelled() and place.exception() is None
