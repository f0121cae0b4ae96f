"""An event loop whose time is virtual: waiting costs nothing, and the same work happens in the same order each time.

It has no sockets, no threads and no wall clock. When nothing is ready, time jumps to the next timer; when there is no
timer either, the work that is waited for can never end, and that is an error.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["StuckError", "VirtualClock", "VirtualLoop", "run_virtually"]

T = TypeVar("T")
START_MS = 1_700_000_000_000


class StuckError(RuntimeError):
    """Everything waits, and nothing will ever happen."""


class _Jumping:
    """Takes the selector's place: where that would sleep, time goes on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StuckError("nothing is left to wait for")
        self._loop.pass_s(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers as asyncio does, in virtual seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_s = 0.0
        self._selector = _Jumping(self)
        # In order, and for good: what waits in a dead process must not be collected before the end.
        self.kept: dict[asyncio.Task[Any], None] = {}
        self.set_task_factory(_keeping)

    def time(self) -> float:
        return self._virtual_s

    def pass_s(self, seconds: float) -> None:
        self._virtual_s += seconds

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


def _keeping(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    assert isinstance(loop, VirtualLoop)
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    loop.kept[task] = None
    task.add_done_callback(lambda done: loop.kept.pop(done, None))
    return task


class VirtualClock:
    """Implements `ports.Clock` for one loop; `through` is how a timer reaches its owner."""

    def __init__(self, loop: VirtualLoop, through: Callable[[Callable[[], None]], None]) -> None:
        self._loop = loop
        self._through = through

    def now_ms(self) -> int:
        return START_MS + int(self._loop.time() * 1000 + 1e-6)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0, delay_ms) / 1000, self._through, callback)


def run_virtually(work: Callable[[VirtualLoop], Any], *, seed: int) -> Any:
    """Run a coroutine to its end on a loop of its own; what it leaves behind is cancelled.

    `seed` is for the pauses with jitter of whoever reconnects: libraries draw them from the process's own chance.
    """
    loop, chance = VirtualLoop(), random.getstate()
    random.seed(seed)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(work(loop))
    finally:
        left = [task for task in loop.kept if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
        random.setstate(chance)
