"""Puts session together: the only file that names concrete adapters. Reads from top to bottom."""

from __future__ import annotations

import asyncio
import logging

from ringback.session.v1 import session_pb2_grpc
from ringback_calling import Channel
from ringback_events import Bus, connect, load_topology
from ringback_packs import PackStore
from ringback_serving import announce, serve
from ringback_telemetry import setup, setup_logging

from ringback_session.adapters.clock_loop import LoopClock
from ringback_session.adapters.late_facts_bus import LateFactsOnBus
from ringback_session.adapters.memory_grpc import MemoryOverGrpc
from ringback_session.adapters.meters_otel import measure_loop
from ringback_session.adapters.models_ws import ModelsOverWebSocket
from ringback_session.adapters.packs_store import PacksInStore
from ringback_session.adapters.policy_grpc import PolicyOverGrpc
from ringback_session.adapters.recordings_file import recorders
from ringback_session.adapters.secrets_kv import SecretsInBucket
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.adapters.tools_grpc import ToolsOverGrpc
from ringback_session.adapters.tracing_otel import TracingWithOtel
from ringback_session.adapters.upstream_source import configured_upstreams
from ringback_session.assembly import Upkeep, make_upkeep
from ringback_session.server.background import Background
from ringback_session.server.gateway import Gateway
from ringback_session.settings import SessionSettings, variable
from ringback_session.usecases.calls import Calls
from ringback_session.usecases.client_secrets import ClientSecrets
from ringback_session.usecases.services import Services

__all__ = ["run_session"]

log = logging.getLogger(__name__)


async def run_session(settings: SessionSettings) -> None:
    """Serve until told to stop. Raises ConfigError."""
    owner = settings.instance or "session-0"
    setup_logging("session", settings.log_level, instance=owner)
    telemetry = setup("session", endpoint=settings.otlp_endpoint, instance=owner)
    tenants, clock = TenantsInFile(settings.tenants_file), LoopClock()
    models = ModelsOverWebSocket(configured_upstreams(settings), variable=variable, clock=clock)
    bus = await connect(settings.nats_url, name=owner, spool_dir=settings.state_dir / "spool")
    await bus.ensure(load_topology(), "session")
    upkeep = await make_upkeep(settings, bus, clock=clock, tenants=tenants, owner=owner)
    models.on_breaker = upkeep.control.breaker_changed
    channels = [Channel(address, name=name, tls=settings.tls) for name, address in settings.peers]
    await asyncio.gather(*(channel.warm() for channel in channels))
    services = _services(settings, models, bus, clock, upkeep, channels)
    calls = Calls(services, owner=owner, settings=settings.calls)
    kept = SecretsInBucket(bus, clock)
    secrets = ClientSecrets(secrets=kept, tenants=tenants, clock=clock, model=settings.calls.model)
    gateway = Gateway(calls, tenants, secrets, ping_ms=settings.client_ping_ms)
    models.open()
    port = await gateway.open(host=settings.host, port=settings.port, shared=settings.shared_port)
    admin = upkeep.admin(calls, services.packs, drain_ms=settings.drain_ms)
    background = Background(calls.settle_forever(), measure_loop(calls.sample), upkeep.ledger.flush_forever())

    def ready(admin_port: int) -> None:
        calls.address = settings.admin_address or f"{settings.host}:{admin_port}"
        if settings.ready_file is not None:
            announce(settings.ready_file, port)
        log.info("session serves Realtime on %s:%d", settings.host, port)

    await serve(
        "session",
        settings=settings.admin_serving,
        register=[lambda server: session_pb2_grpc.add_SessionAdminServiceServicer_to_server(admin, server)],
        service_names=["ringback.session.v1.SessionAdminService"],
        probes={"nats": bus.probe} | {channel.name: channel.probe for channel in channels},
        on_ready=ready,
        finish=lambda: gateway.close(drain_ms=settings.drain_ms),
        closers=[
            background.stop,
            lambda: gateway.close(drain_ms=0),
            models.close,
            upkeep.ledger.flush,
            upkeep.close,
            *(channel.close for channel in channels),
            bus.close,
            lambda: asyncio.to_thread(telemetry.shutdown),
        ],
    )


def _services(
    settings: SessionSettings,
    models: ModelsOverWebSocket,
    bus: Bus,
    clock: LoopClock,
    upkeep: Upkeep,
    channels: list[Channel],
) -> Services:
    policy, tools, memory = channels
    return Services(
        policy=PolicyOverGrpc(policy, clock),
        tools=ToolsOverGrpc(tools),
        memory=MemoryOverGrpc(memory, clock),
        packs=PacksInStore(PackStore(bus)),
        records=upkeep.records,
        facts=upkeep.facts,
        late_facts=LateFactsOnBus(bus),
        models=models,
        text=upkeep.text,
        voice=upkeep.voice,
        clock=clock,
        tracing=TracingWithOtel,
        presence=upkeep.records,
        meters=upkeep.meters,
        prices=upkeep.prices,
        ledger=upkeep.ledger,
        owners=upkeep.peers,
        recorder=recorders(settings.record_dir),
    )
