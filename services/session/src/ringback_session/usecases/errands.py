"""What a call does that takes time, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

__all__ = ["Errands"]


class Errands:
    """One call's tasks; a defect in one of them is told to `on_failed`."""

    def __init__(self, on_failed: Callable[[Exception], None]) -> None:
        self._on_failed = on_failed
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, work))

    def stop(self) -> None:
        """Cancel all but the one that says so."""
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    def _ended(self, work: Coroutine[Any, Any, None], task: asyncio.Task[None]) -> None:
        # Work that was cancelled before it began must not be taken for forgotten.
        work.close()
        self._tasks.discard(task)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._on_failed(error)
