"""A change of the summariser's mode is a fact that everybody can read."""

import asyncio

from ringback.events.v1 import events_pb2 as ev_pb
from ringback_events import ALL_CONTROL, MemoryBus
from ringback_memory.adapters.alarms import BusAlarms
from ringback_memory.adapters.clock import SystemClock


async def test_degradation_and_recovery_are_told_on_control():
    bus, seen, both = MemoryBus(), [], asyncio.Event()

    async def take(delivery):
        seen.append(ev_pb.ControlFact.FromString(delivery.payload))
        if len(seen) == 2:
            both.set()

    await bus.ephemeral(ALL_CONTROL, take)
    alarms = BusAlarms(bus, clock=SystemClock(), replica="one")
    alarms.degraded("slow", retry_in_ms=15_000)
    alarms.recovered(degraded_ms=20_000)
    async with asyncio.timeout(5):
        await both.wait()
    first, second = seen
    assert (first.producer, first.summariser_degraded.reason) == ("memory", "slow")
    assert (first.summariser_degraded.replica, first.summariser_degraded.retry_in_ms) == ("one", 15_000)
    assert second.summariser_recovered.degraded_ms == 20_000
    await bus.close()
