"""Reading the bus: what waits to be folded is told."""

import asyncio

from ringback.events.v1 import events_pb2 as ev_pb
from ringback_events import MemoryBus, event_subject
from ringback_memory.adapters.clock import SystemClock
from ringback_memory.adapters.feed import BusFeed

FACTS = 5


async def test_the_lag_rises_while_nothing_can_be_folded_and_falls_after():
    bus, gate = MemoryBus(), asyncio.Event()
    feed = BusFeed(bus, clock=SystemClock(), concurrency=1, unacked_max=1)

    async def fold(key, fact):
        await gate.wait()
        return True

    await feed.start(fold)
    for seq in range(1, FACTS + 1):
        event = ev_pb.SessionEvent(schema_version=1, tenant="local", session_id="sess_1", epoch=1, seq=seq)
        event.session_started.SetInParent()
        subject = event_subject("local", "sess_1", "session_started")
        bus.publish(subject, event.SerializeToString(), msg_id=f"sess_1:{seq}")
    await _until(feed, FACTS - 1)
    gate.set()
    await _until(feed, 0)
    await feed.close()
    await bus.close()


async def _until(feed, lag):
    async with asyncio.timeout(25):
        while await feed.lag() != lag:
            await asyncio.sleep(0)
