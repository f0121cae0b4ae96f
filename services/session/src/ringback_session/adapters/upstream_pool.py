"""Connections to one upstream that wait for a call, so that its start does not pay for the dial.

As many as configured, none older than configured, each asked now and then whether it is still there, and once more
before it is handed over: a connection that died is never given to a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ringback_errors import Unavailable
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from ringback_session.adapters.upstream_dialing import Greeted

__all__ = ["Pool"]

log: Final = logging.getLogger(__name__)
CHECK_EVERY_MS: Final = 10_000
CHECK_MS: Final = 2_000
# What a call may wait for a sign of life before it is dialled for.
HAND_OVER_MS: Final = 250
_PAUSE: Final = wait_random_exponential(multiplier=0.5, max=30)


class Pool:
    """Keeps `size` connections ready."""

    def __init__(
        self,
        *,
        name: str,
        size: int,
        age_ms_max: int,
        dial: Callable[[], Awaitable[Greeted]],
        now_ms: Callable[[], int],
        check_every_ms: int = CHECK_EVERY_MS,
    ) -> None:
        self._name = name
        self._size = size
        self._age_ms_max = age_ms_max
        self._dial = dial
        self._now_ms = now_ms
        self._check_every_ms = check_every_ms
        self._waiting: deque[Greeted] = deque()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def open(self) -> None:
        """Begin to fill it; needs a running loop."""
        if self._size and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_filled())

    async def close(self) -> None:
        """Hang up on everybody who waits."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        while self._waiting:
            self._waiting.popleft().link.close()

    async def take(self, model: str) -> Greeted | None:
        """The connection that has waited longest, if it answers; None: there is none for this model."""
        while self._waiting:
            waiting = self._next(model)
            if waiting is None:
                return None
            self._wanted.set()
            if self._is_fresh(waiting) and await waiting.link.answers(within_ms=HAND_OVER_MS):
                return waiting
            waiting.link.abort()
        return None

    async def _keep_filled(self) -> None:
        while True:
            try:
                self._wanted.clear()
                await self._check()
                while len(self._waiting) < self._size:
                    await self._fill()
            except Exception:
                # A pool that stays empty costs time, never a call.
                log.exception("the pool of upstream '%s' could not be filled", self._name)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._check_every_ms / 1000):
                    await self._wanted.wait()

    async def _fill(self) -> None:
        """One more, however long it takes: with growing pauses while the upstream is away."""
        retrying = AsyncRetrying(wait=_PAUSE, retry=retry_if_exception_type(Unavailable), reraise=True)
        self._waiting.append(await retrying(self._dialled))

    async def _dialled(self) -> Greeted:
        # A coroutine function, which is what is awaited and tried again.
        return await self._dial()

    async def _check(self) -> None:
        """Ask each one; nobody is given to a call while being asked."""
        for _ in range(len(self._waiting)):
            if not self._waiting:
                return
            waiting = self._waiting.popleft()
            kept = False
            try:
                kept = self._is_fresh(waiting) and await waiting.link.answers(within_ms=CHECK_MS)
            finally:
                if kept:
                    self._waiting.append(waiting)
                else:
                    waiting.link.close()

    def _is_fresh(self, waiting: Greeted) -> bool:
        return waiting.link.open and self._now_ms() - waiting.at_ms < self._age_ms_max

    def _next(self, model: str) -> Greeted | None:
        for waiting in self._waiting:
            if waiting.model == model:
                self._waiting.remove(waiting)
                return waiting
        return None
