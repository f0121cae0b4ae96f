"""Owns the reading of what a stream holds on a subject, from its start to where it ends now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ringback_errors import Unavailable
from ringback_events import Bus, Delivery

QUEUE_MAX = 1_024
QUIET_MS = 5_000
"""A stream that has more to say and says nothing for this long is away."""


async def read_stream(bus: Bus, subject: str) -> AsyncIterator[Delivery]:
    """Every message that is stored on `subject`, in order. Raises Unavailable when not all of it can be read."""
    queue: asyncio.Queue[Delivery | None] = asyncio.Queue(maxsize=QUEUE_MAX)
    tail = await bus.ephemeral(subject, queue.put, start="all")

    async def end() -> None:
        await tail.wait_caught_up(_LONGER_THAN_ANY_MS)
        await queue.put(None)

    ending = asyncio.create_task(end(), name="end-of-stream")
    try:
        while True:
            try:
                async with asyncio.timeout(QUIET_MS / 1000):
                    delivery = await queue.get()
            except TimeoutError:
                raise Unavailable(f"nothing was heard on {subject} for {QUIET_MS} ms") from None
            if delivery is None:
                return
            yield delivery
    finally:
        ending.cancel()
        await tail.close()


_LONGER_THAN_ANY_MS = 3_600_000
