"""Owns the reading of a subject as its stream holds it now, from the first message to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ringback_errors import Unavailable
from ringback_events import Bus, Delivery

from ringback_cli.reaching import open_bus

__all__ = ["Tailing", "stored_payloads"]

# Subscribes from the first message on.
Tailing = Callable[[Bus, Callable[[Delivery], Awaitable[None]]], Awaitable[object]]
# A subject of which nothing comes in this time has nothing stored.
EMPTY_S = 2.0
# The next of several that are known to be there.
NEXT_S = 10.0


async def stored_payloads(nats_url: str, tail: Tailing) -> list[bytes]:
    """The payloads in their order, as `tail` subscribes; raises Unavailable when the stream stops before its end."""
    found: list[bytes] = []
    heard, done = asyncio.Event(), asyncio.Event()

    async def on_message(delivery: Delivery) -> None:
        found.append(delivery.payload)
        heard.set()
        if delivery.lag == 0:
            done.set()

    bus = await open_bus(nats_url)
    try:
        await tail(bus, on_message)
        while not done.is_set():
            heard.clear()
            try:
                await asyncio.wait_for(heard.wait(), NEXT_S if found else EMPTY_S)
            except TimeoutError:
                if found and not done.is_set():
                    raise Unavailable(f"the stream stopped after {len(found)} messages") from None
                break
    finally:
        await bus.close()
    return found
