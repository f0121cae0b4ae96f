"""Puts the service together: every dependency is an argument, and this is the only place that names adapters."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ringback_events import Bus, connect, load_topology
from ringback_serving import serve
from ringback_telemetry import setup, setup_logging

from ringback_memory.adapters.alarms import BusAlarms
from ringback_memory.adapters.callers import KvCallerStore
from ringback_memory.adapters.clock import SystemClock
from ringback_memory.adapters.erasures import BusErasures
from ringback_memory.adapters.feed import BusFeed
from ringback_memory.adapters.gauges import MetricGauges
from ringback_memory.adapters.models import text_model
from ringback_memory.adapters.packs import PackSchemas
from ringback_memory.adapters.records import KvStateStore
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.adapters.traces import BusTraces
from ringback_memory.ports import Clock, TextModel
from ringback_memory.server.service import MemoryService
from ringback_memory.settings import MemorySettings
from ringback_memory.usecases.callers import DAY_MS, Callers
from ringback_memory.usecases.forgetting import Forget
from ringback_memory.usecases.get_context import GetContext
from ringback_memory.usecases.get_handoff import GetHandoff
from ringback_memory.usecases.planning import Planner
from ringback_memory.usecases.sessions import Sessions
from ringback_memory.usecases.summarising import Summarising

SERVICE = "ringback.memory.v1.MemoryService"


@dataclass(frozen=True, slots=True)
class Memory:
    """The assembled service, not started."""

    service: MemoryService
    sessions: Sessions
    feed: BusFeed
    planner: Planner
    callers: Callers

    async def start(self) -> None:
        """Begin to fold."""
        await self.feed.start(self.sessions.fold)

    async def close(self) -> None:
        """Take no more facts, write no more summaries."""
        await self.feed.close()
        await self.planner.close()


def build(
    bus: Bus, *, settings: MemorySettings, clock: Clock | None = None, model: TextModel | None = None
) -> Memory:
    """Memory over a bus; `model` writes the summaries where there is one."""
    clock, tokens = clock or SystemClock(), O200kTokens()
    feed = BusFeed(bus, clock=clock, concurrency=settings.fold_concurrency)
    records, kept, gauges = KvStateStore(bus), KvCallerStore(bus), MetricGauges()
    callers = Callers(kept, clock=clock, gauges=gauges, retention_ms=settings.callers_retention_days * DAY_MS)
    sessions = Sessions(
        records,
        schemas=PackSchemas(bus),
        source=feed,
        clock=clock,
        held_max=settings.sessions_held_max,
        gap_wait_ms=settings.gap_wait_ms,
        on_end=callers.remember,
    )
    summarising = Summarising(
        clock,
        gauges,
        BusAlarms(bus, clock=clock, replica=settings.instance),
        model=model,
        deadline_ms=settings.summary_deadline_ms,
        hourly_tokens=settings.summary_tokens_per_hour,
    )
    planner = Planner(
        tokens, clock, summarising, rules=settings.rules, compact_tokens=settings.compact_context_tokens
    )
    service = MemoryService(
        get_context=GetContext(sessions, tokens, clock, planner, callers),
        get_handoff=GetHandoff(sessions, clock=clock),
        callers=callers,
        forget=Forget(sessions, records, kept, BusTraces(bus), clock, BusErasures(bus, clock=clock)),
    )
    return Memory(service, sessions, feed, planner, callers)


async def main(settings: MemorySettings) -> None:
    """Connect, fold and serve until a signal comes."""
    setup_logging("memory", settings.log_level, instance=settings.instance)
    telemetry = setup("memory", endpoint=settings.otlp_endpoint, instance=settings.instance)
    bus = await connect(
        settings.nats_url, name=f"memory-{settings.instance or 'one'}", wait_ms=settings.nats_wait_ms
    )
    await bus.ensure(load_topology(), "memory")
    memory = build(bus, settings=settings, model=text_model(settings))
    await memory.start()
    background = (memory.callers.sweep_forever(), memory.feed.watch_lag())
    upkeep = [asyncio.create_task(each) for each in background]

    async def end_upkeep() -> None:
        for task in upkeep:
            task.cancel()

    await serve(
        "memory",
        settings=settings.serving,
        register=[memory.service.register],
        service_names=[SERVICE],
        probes={"nats": bus.probe},
        closers=[end_upkeep, memory.close, bus.close, lambda: asyncio.to_thread(telemetry.shutdown)],
    )
