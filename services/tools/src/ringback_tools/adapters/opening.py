"""Owns the way to a bus that can be used, and work in the background whose end is never silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from ringback_errors import Unavailable
from ringback_events import NatsBus, load_topology

__all__ = ["background", "open_bus", "until_there"]

_log = logging.getLogger(__name__)
AGAIN_S: Final = 2.0


async def open_bus(bus: NatsBus, *, owner: str) -> None:
    """Connect and create what `owner` owns, however long NATS is away."""
    await bus.open(wait_ms=None)
    while True:
        try:
            await bus.ensure(load_topology(), owner)
            return
        except Unavailable as away:
            _log.warning("streams and buckets are not there yet: %s", away)
            await asyncio.sleep(AGAIN_S)


async def until_there(begin: Callable[[], Awaitable[object]]) -> None:
    """Begin something on the bus, again until the bus is there for it."""
    while True:
        try:
            await begin()
            return
        except Unavailable as away:
            _log.warning("not begun yet: %s", away)
            await asyncio.sleep(AGAIN_S)


async def background(
    begin: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, name: str, wait_s: float
) -> asyncio.Task[None]:
    """Start work that goes on until it is cancelled, and wait until it says by its event that it has begun, or so long.

    Its error is logged.
    """
    begun = asyncio.Event()
    task = asyncio.create_task(begin(begun), name=name)
    task.add_done_callback(_complain)
    with suppress(TimeoutError):
        await asyncio.wait_for(begun.wait(), wait_s)
    return task


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("%s ended", task.get_name(), exc_info=error)
