"""Puts the service together: every dependency is an argument, and this is the only place that names adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ringback_events import Bus, connect, load_topology
from ringback_serving import serve
from ringback_telemetry import setup, setup_logging

from ringback_memory.adapters.clock import SystemClock
from ringback_memory.adapters.feed import BusFeed
from ringback_memory.adapters.gauges import MetricGauges
from ringback_memory.adapters.packs import PackSchemas
from ringback_memory.adapters.records import KvStateStore
from ringback_memory.adapters.summariser import ExtractiveSummariser
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.ports import Clock
from ringback_memory.server.service import MemoryService
from ringback_memory.settings import MemorySettings
from ringback_memory.usecases.get_context import GetContext
from ringback_memory.usecases.get_handoff import GetHandoff
from ringback_memory.usecases.sessions import Sessions

SERVICE = "ringback.memory.v1.MemoryService"


@dataclass(frozen=True, slots=True)
class Memory:
    """The assembled service, not started."""

    service: MemoryService
    sessions: Sessions
    feed: BusFeed

    async def start(self) -> None:
        """Begin to fold."""
        await self.feed.start(self.sessions.fold)


def build(bus: Bus, *, settings: MemorySettings, clock: Clock | None = None) -> Memory:
    """Memory over a bus."""
    clock = clock or SystemClock()
    tokens = O200kTokens()
    feed = BusFeed(bus, clock=clock, concurrency=settings.fold_concurrency)
    sessions = Sessions(
        KvStateStore(bus),
        schemas=PackSchemas(bus),
        source=feed,
        clock=clock,
        held_max=settings.sessions_held_max,
        gap_wait_ms=settings.gap_wait_ms,
    )
    get_context = GetContext(
        sessions,
        tokens=tokens,
        clock=clock,
        summariser=ExtractiveSummariser(),
        gauges=MetricGauges(),
        rules=settings.rules,
        compact_tokens=settings.compact_context_tokens,
    )
    service = MemoryService(get_context=get_context, get_handoff=GetHandoff(sessions, clock=clock))
    return Memory(service, sessions, feed)


async def main(settings: MemorySettings) -> None:
    """Connect, fold and serve until a signal comes."""
    setup_logging("memory", settings.log_level, instance=settings.instance)
    telemetry = setup("memory", endpoint=settings.otlp_endpoint, instance=settings.instance)
    bus = await connect(
        settings.nats_url, name=f"memory-{settings.instance or 'one'}", wait_ms=settings.nats_wait_ms
    )
    await bus.ensure(load_topology(), "memory")
    memory = build(bus, settings=settings)
    await memory.start()
    await serve(
        "memory",
        settings=settings.serving,
        register=[memory.service.register],
        service_names=[SERVICE],
        probes={"nats": bus.probe},
        closers=[memory.feed.close, bus.close, _last(telemetry.shutdown)],
    )


def _last(shutdown: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        shutdown()

    return close
