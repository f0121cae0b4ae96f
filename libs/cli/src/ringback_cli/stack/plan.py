"""Owns what a stack consists of: every program, its settings, and the order in which they start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringback_cli.stack.nats_server import nats_program, write_config
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.ports import free_ports, require_free
from ringback_cli.stack.probes import grpc_serving, http_ok, nats_listening, port_open
from ringback_cli.stack.process import Probe, ProgramSpec

__all__ = ["Addresses", "StackPlan", "make_plan"]

HOST = "127.0.0.1"
SERVICES = ("localmodel", "policy", "memory", "tools", "session")


@dataclass(frozen=True)
class Addresses:
    """Where everything listens, host:port or URL."""

    realtime_port: int
    admin_port: int
    nats_port: int
    backend_port: int
    localmodel_port: int
    policy_port: int
    memory_port: int
    tools_port: int

    @property
    def realtime_url(self) -> str:
        """The base URL for Realtime clients."""
        return f"http://{HOST}:{self.realtime_port}/v1"

    @property
    def nats_url(self) -> str:
        return f"nats://{HOST}:{self.nats_port}"

    @property
    def policy(self) -> str:
        return f"{HOST}:{self.policy_port}"

    @property
    def memory(self) -> str:
        return f"{HOST}:{self.memory_port}"

    @property
    def tools(self) -> str:
        return f"{HOST}:{self.tools_port}"

    @property
    def admin(self) -> str:
        return f"{HOST}:{self.admin_port}"

    @property
    def backend_url(self) -> str:
        return f"http://{HOST}:{self.backend_port}"

    @property
    def upstream_url(self) -> str:
        return f"ws://{HOST}:{self.localmodel_port}/v1/realtime"


@dataclass(frozen=True)
class StackPlan:
    """Programs in layers: a layer starts when the one before is ready; `session` last, after provisioning."""

    addresses: Addresses
    base: tuple[ProgramSpec, ...]
    services: tuple[ProgramSpec, ...]
    session: ProgramSpec

    @property
    def programs(self) -> tuple[ProgramSpec, ...]:
        return (*self.base, *self.services, self.session)


@dataclass(frozen=True)
class _Maker:
    paths: StackPaths
    addresses: Addresses
    environment: Mapping[str, str]
    otlp_endpoint: str = ""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def service(
        self, name: str, *, port: int, probe: Probe, address: str = "", **settings: str | int | Path
    ) -> ProgramSpec:
        state = self.paths.state_of(name)
        state.mkdir(parents=True, exist_ok=True)
        ready_file = self.paths.ready_file_of(name)
        env = {
            "RINGBACK_HOST": HOST,
            "RINGBACK_PORT": port,
            "RINGBACK_READY_FILE": ready_file,
            "RINGBACK_NATS_URL": self.addresses.nats_url,
            "RINGBACK_OTLP_ENDPOINT": self.otlp_endpoint,
            "RINGBACK_INSTANCE": f"{name}-1",
            "RINGBACK_STATE_DIR": state,
            **settings,
        }
        return ProgramSpec(
            name=name,
            argv=(sys.executable, "-m", f"ringback_{name}"),
            log_file=self.paths.log_of(name),
            env={
                **self.environment,
                **{key: str(value) for key, value in env.items()},
                **self.overrides.get(name, {}),
            },
            address=address or f"{HOST}:{port}",
            ready_file=ready_file,
            probe=probe,
            # The speech models take a few seconds of processor time on a busy machine.
            ready_timeout_ms=90_000,
        )


def make_plan(
    paths: StackPaths,
    *,
    packs: Path,
    environment: Mapping[str, str],
    realtime_port: int = 0,
    otlp_endpoint: str = "",
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    backend_arguments: tuple[str, ...] = (),
) -> StackPlan:
    """Choose ports, write the NATS configuration and describe every program. `overrides`: settings by service."""
    if realtime_port:
        require_free(realtime_port, host=HOST)
    chosen = free_ports(8, host=HOST)
    addresses = Addresses(realtime_port or chosen[0], *chosen[1:])
    maker = _Maker(paths, addresses, environment, otlp_endpoint, overrides or {})
    return StackPlan(
        addresses=addresses,
        base=(_nats(maker), _backend(maker, packs, backend_arguments)),
        services=_services(maker),
        session=_session(maker),
    )


def _nats(maker: _Maker) -> ProgramSpec:
    paths, port = maker.paths, maker.addresses.nats_port
    config = paths.state / "nats.conf"
    write_config(config, host=HOST, port=port, store=paths.nats_store)
    return ProgramSpec(
        name="nats",
        argv=(str(nats_program()), "--config", str(config)),
        log_file=paths.log_of("nats"),
        env=maker.environment,
        address=f"{HOST}:{port}",
        probe=nats_listening(HOST, port),
    )


def _backend(maker: _Maker, packs: Path, arguments: tuple[str, ...]) -> ProgramSpec:
    paths, port = maker.paths, maker.addresses.backend_port
    ready_file = paths.ready_file_of("reservations")
    return ProgramSpec(
        name="reservations",
        argv=(
            sys.executable,
            str(packs / "airline" / "backend" / "reservations.py"),
            *("--port", str(port)),
            *("--ledger", str(paths.ledger)),
            *("--ready-file", str(ready_file)),
            *arguments,
        ),
        log_file=paths.log_of("reservations"),
        env=maker.environment,
        address=maker.addresses.backend_url,
        ready_file=ready_file,
        probe=port_open(HOST, port),
    )


def _services(maker: _Maker) -> tuple[ProgramSpec, ...]:
    at = maker.addresses
    return (
        maker.service("localmodel", port=at.localmodel_port, probe=port_open(HOST, at.localmodel_port)),
        maker.service(
            "policy",
            port=at.policy_port,
            probe=grpc_serving(at.policy),
            RINGBACK_MAC_KEYS_FILE=maker.paths.mac_keys,
        ),
        maker.service("memory", port=at.memory_port, probe=grpc_serving(at.memory)),
        maker.service(
            "tools",
            port=at.tools_port,
            probe=grpc_serving(at.tools),
            RINGBACK_MAC_KEYS_FILE=maker.paths.mac_keys,
            RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS=at.backend_url,
        ),
    )


def _session(maker: _Maker) -> ProgramSpec:
    at = maker.addresses
    return maker.service(
        "session",
        port=at.realtime_port,
        probe=http_ok(HOST, at.realtime_port, "/healthz"),
        address=at.realtime_url,
        RINGBACK_ADMIN_PORT=at.admin_port,
        RINGBACK_POLICY_ADDR=at.policy,
        RINGBACK_TOOLS_ADDR=at.tools,
        RINGBACK_MEMORY_ADDR=at.memory,
        RINGBACK_UPSTREAM_URL=at.upstream_url,
        RINGBACK_TENANTS_FILE=maker.paths.tenants,
    )
