"""Puts tools together: every dependency is an argument, and this is the only place that names adapters."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from ringback_events import Bus, NatsBus, load_topology
from ringback_identity import MacKeys
from ringback_packs import PackStore
from ringback_serving import serve
from ringback_telemetry import setup

from ringback_tools.adapters.clock import LoopClock
from ringback_tools.adapters.connectors import Connector, ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.facts import BusFacts
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.adapters.journal import KvJournal
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.adapters.pauses import NoPauses, held_at
from ringback_tools.adapters.tracing import OtelTracing
from ringback_tools.server import SERVICE_NAME, ToolsServicer, register
from ringback_tools.settings import ToolsSettings
from ringback_tools.usecases.assembly import Parts, assemble
from ringback_tools.usecases.executor import Executor
from ringback_tools.usecases.reconciler import Reconciler

__all__ = ["Tools", "build", "serve_tools"]

_log = logging.getLogger(__name__)

# Less than a closer may take, so that the ones after it get their turn.
DRAIN_MS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Tools:
    """One replica, not started."""

    servicer: ToolsServicer
    executor: Executor
    reconciler: Reconciler
    connectors: ConnectorsByKind
    catalogue: PackCatalogue


def build(bus: Bus, keys: MacKeys, *, settings: ToolsSettings) -> Tools:
    """One replica over a bus."""
    replica = settings.instance or "tools"
    clock = LoopClock()
    connectors = ConnectorsByKind(_connectors(settings))
    held = held_at(settings.test_pause_at, folder=settings.state_dir)
    catalogue = PackCatalogue(PackStore(bus), settle_ms=settings.settle_ms)
    parts = Parts(
        journal=KvJournal(bus.bucket("outcomes")),
        catalogue=catalogue,
        connectors=connectors,
        proofs=keys,
        facts=BusFacts(bus, replica=replica, clock=clock),
        clock=clock,
        tracing=OtelTracing(),
        pauses=held or NoPauses(),
        roll=random.SystemRandom().random,
        owner=f"{replica}#{secrets.token_hex(4)}",
    )
    service = assemble(parts)
    servicer = ToolsServicer(executor=service.executor, listing=service.listing)
    return Tools(servicer, service.executor, service.reconciler, connectors, catalogue)


async def serve_tools(settings: ToolsSettings) -> None:
    """Serve at once; NOT_SERVING until NATS is there."""
    keys = MacKeys.load(settings.mac_keys_file)
    telemetry = setup("tools", endpoint=settings.otlp_endpoint, instance=settings.instance)
    name = settings.instance or "tools"
    bus = NatsBus(settings.nats_url, name=name, spool_dir=settings.state_dir / "spool" / name)
    tools = build(bus, keys, settings=settings)

    async def work() -> None:
        await bus.open(wait_ms=None)
        await bus.ensure(load_topology(), "tools")
        await tools.catalogue.warm()
        await tools.reconciler.run()

    working = asyncio.create_task(work(), name="tools-work")
    working.add_done_callback(_complain)

    async def close() -> None:
        await tools.executor.close(drain_ms=min(settings.drain_ms, DRAIN_MS_MAX))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    await serve(
        "tools",
        settings=settings.serving,
        register=[register(tools.servicer)],
        service_names=[SERVICE_NAME],
        probes={"nats": bus.probe},
        closers=[close, tools.connectors.close, bus.close, telemetry.close],
    )


def _connectors(settings: ToolsSettings) -> Mapping[str, Connector]:
    # It logs every URL, and URLs hold what callers said.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    credentials = Credentials(settings.credentials_dir)
    return {"http": HttpConnector(addresses=settings.connectors, credentials=credentials)}


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("background work ended", exc_info=error)
