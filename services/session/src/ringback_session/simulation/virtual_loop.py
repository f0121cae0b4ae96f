"""An event loop whose time is virtual: waiting costs nothing, and the same work happens in the same order each time.

It has no sockets, no threads and no wall clock. When nothing is ready, time jumps to the next timer; when there is no
timer either, the work that is waited for can never end, and that is an error. What is due at the same moment happens in
the order in which it was asked for. A call is thousands of timers, so their way through the loop is kept short: half of
what a simulated call costs would otherwise be asyncio's own bookkeeping for threads, sockets and debugging.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar

__all__ = ["StuckError", "VirtualClock", "VirtualLoop", "run_virtually"]

T = TypeVar("T")
START_MS = 1_700_000_000_000
# What is due so soon after each other is due at the same moment: sums of seconds are not exact.
SAME_S = 1e-9


class StuckError(RuntimeError):
    """Everything waits, and nothing will ever happen."""


class _Due(asyncio.TimerHandle):
    """What is to be called, now or at a moment; cancelled, it is passed over when its turn comes."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = self._scheduled = False
        self._repr = self._source_traceback = None

    def run(self) -> None:
        if self._cancelled:
            return
        try:
            self._context.run(self._callback, *self._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            what = {"message": "a callback raised", "exception": error, "handle": self}
            self._loop.call_exception_handler(what)


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers as asyncio does, in virtual seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_s = 0.0
        self._due_now: deque[_Due] = deque()
        self._due_later: list[tuple[float, int, _Due]] = []
        self._timers = 0
        # In order, and for good: what waits in a dead process must not be collected before the end.
        self.kept: list[asyncio.Task[Any]] = []
        self.set_task_factory(_keeping)

    def time(self) -> float:
        return self._virtual_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        due = _Due(self._virtual_s, callback, args, self, context)
        self._due_now.append(due)
        return due

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """There are no threads; asyncio itself comes this way to end generators that nobody reads any more."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._virtual_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        due = _Due(when, callback, args, self, context)
        self._timers += 1
        heappush(self._due_later, (when, self._timers, due))
        return due

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """What is given to a thread is done at once: nobody here waits for wall-clock time."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        """One round, as `run_forever` makes them: what is due at this moment, but not what that brings about."""
        now, later = self._due_now, self._due_later
        if not now:
            self._jump()
        moment = self._virtual_s + SAME_S
        while later and later[0][0] <= moment:
            now.append(heappop(later)[2])
        for _ in range(len(now)):
            now.popleft().run()

    def _jump(self) -> None:
        """To the next timer that nobody has cancelled."""
        later = self._due_later
        while later and later[0][2].cancelled():
            heappop(later)
        if not later:
            raise StuckError("nothing is left to wait for")
        self._virtual_s = max(self._virtual_s, later[0][0])

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


def _keeping(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    assert isinstance(loop, VirtualLoop)
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    loop.kept.append(task)
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
