"""Puts tools together: every dependency is an argument, and this is the only place that names adapters."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from ringback_events import Bus, NatsBus
from ringback_identity import MacKeys
from ringback_packs import PackStore
from ringback_serving import serve
from ringback_telemetry import setup

from ringback_tools.adapters.clock import LoopClock
from ringback_tools.adapters.connectors import Connector, ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.facts import BusFacts
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.adapters.jobs_bus import BusJobQueue
from ringback_tools.adapters.journal import KvJournal
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.adapters.opening import background
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.adapters.pauses import NoPauses, held_at
from ringback_tools.adapters.siblings import BusSiblings
from ringback_tools.adapters.tracing import OtelTracing
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.adapters.working import work
from ringback_tools.server import SERVICE_NAME, ToolsServicer, register
from ringback_tools.settings import ToolsSettings
from ringback_tools.usecases.assembly import Parts, Service, assemble

__all__ = ["Tools", "build", "connectors_of", "serve_tools"]

# Less than a closer may take, so that the ones after it get their turn.
DRAIN_MS_MAX = 4_000
# A start waits this long for NATS; without it there are no packs, so nobody is kept from anything.
OPEN_S = 5


@dataclass(frozen=True, slots=True)
class Tools:
    """One replica, not started."""

    service: Service
    connectors: ConnectorsByKind
    catalogue: PackCatalogue
    queue: BusJobQueue
    siblings: BusSiblings


def build(bus: Bus, keys: MacKeys, *, settings: ToolsSettings) -> Tools:
    """One replica over a bus."""
    replica, clock = settings.instance or "tools", LoopClock()
    owner = f"{replica}#{secrets.token_hex(4)}"
    connectors = ConnectorsByKind(connectors_of(settings))
    catalogue = PackCatalogue(PackStore(bus), settle_ms=settings.settle_ms, prepare=connectors.prepare)
    queue, siblings = BusJobQueue(bus, clock=clock), BusSiblings(bus, owner=owner)
    parts = Parts(
        journal=KvJournal(bus.bucket("outcomes")),
        jobs=queue,
        siblings=siblings,
        catalogue=catalogue,
        connectors=connectors,
        proofs=keys,
        facts=BusFacts(bus, replica=replica, clock=clock),
        clock=clock,
        tracing=OtelTracing(),
        pauses=held_at(settings.test_pause_at, folder=settings.state_dir) or NoPauses(),
        roll=random.SystemRandom().random,
        owner=owner,
    )
    return Tools(assemble(parts), connectors, catalogue, queue, siblings)


async def serve_tools(settings: ToolsSettings) -> None:
    """Serve as soon as NATS is there, or after a while without it; then NOT_SERVING until it is."""
    keys = MacKeys.load(settings.mac_keys_file)
    telemetry = setup("tools", endpoint=settings.otlp_endpoint, instance=settings.instance)
    name = settings.instance or "tools"
    bus = NatsBus(settings.nats_url, name=name, spool_dir=settings.state_dir / "spool" / name)
    tools = build(bus, keys, settings=settings)
    service = tools.service
    servicer = ToolsServicer(executor=service.executor, listing=service.listing, erasing=service.erasing)
    begin = partial(work, bus, service, tools.catalogue, tools.queue, tools.siblings)
    working = await background(begin, name="tools-work", wait_s=OPEN_S)

    async def close() -> None:
        await service.executor.close(drain_ms=min(settings.drain_ms, DRAIN_MS_MAX))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    await serve(
        "tools",
        settings=settings.serving,
        register=[register(servicer)],
        service_names=[SERVICE_NAME],
        probes={"nats": bus.probe},
        closers=[close, tools.connectors.close, bus.close, telemetry.close],
    )


def connectors_of(settings: ToolsSettings) -> Mapping[str, Connector]:
    """One connector of each kind."""
    addresses = settings.connectors
    credentials = Credentials(settings.credentials_dir, given=settings.credentials)
    return {
        "http": HttpConnector(addresses=addresses, credentials=credentials),
        "function": FunctionConnector(settings.tool_modules, credentials=credentials),
        "nats": WorkerConnector(settings.nats_url),
        "grpc": GrpcConnector(addresses=addresses, credentials=credentials),
        "mcp": McpConnector(addresses=addresses, credentials=credentials),
    }
