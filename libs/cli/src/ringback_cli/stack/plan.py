"""Owns what a stack consists of: every program, its settings, and the order in which they start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    # Of the session workers after the first.
    admin_ports: tuple[int, ...] = field(default=(), kw_only=True)

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
    def admins(self) -> tuple[str, ...]:
        """The admin service of every session worker; each of them answers for all."""
        return tuple(f"{HOST}:{port}" for port in (self.admin_port, *self.admin_ports))

    @property
    def backend_url(self) -> str:
        return f"http://{HOST}:{self.backend_port}"

    @property
    def upstream_url(self) -> str:
        return f"ws://{HOST}:{self.localmodel_port}/v1/realtime"

    @property
    def speech_url(self) -> str:
        """The base URL of text to speech."""
        return f"http://{HOST}:{self.localmodel_port}/v1"


@dataclass(frozen=True)
class StackPlan:
    """Programs in layers: a layer starts when the one before is ready; `sessions` last, after provisioning."""

    addresses: Addresses
    base: tuple[ProgramSpec, ...]
    services: tuple[ProgramSpec, ...]
    sessions: tuple[ProgramSpec, ...]

    @property
    def programs(self) -> tuple[ProgramSpec, ...]:
        return (*self.base, *self.services, *self.sessions)


@dataclass(frozen=True)
class _Maker:
    paths: StackPaths
    addresses: Addresses
    environment: Mapping[str, str]
    otlp_endpoint: str = ""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def service(
        self,
        name: str,
        *,
        port: int,
        probe: Probe,
        address: str = "",
        called: str = "",
        **settings: str | int | Path,
    ) -> ProgramSpec:
        """One program of a service; `called` where there are several of it."""
        called = called or name
        state = self.paths.state_of(called)
        state.mkdir(parents=True, exist_ok=True)
        ready_file = self.paths.ready_file_of(called)
        env = {
            "RINGBACK_HOST": HOST,
            "RINGBACK_PORT": port,
            "RINGBACK_READY_FILE": ready_file,
            "RINGBACK_NATS_URL": self.addresses.nats_url,
            "RINGBACK_OTLP_ENDPOINT": self.otlp_endpoint,
            "RINGBACK_INSTANCE": called if called != name else f"{name}-1",
            "RINGBACK_STATE_DIR": state,
            **settings,
        }
        return ProgramSpec(
            name=called,
            argv=(sys.executable, "-m", f"ringback_{name}"),
            log_file=self.paths.log_of(called),
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
    workers: int = 1,
) -> StackPlan:
    """Choose ports, write the NATS configuration and describe every program.

    `overrides`: settings by service. `workers`: processes of session behind the one Realtime port.
    """
    if realtime_port:
        require_free(realtime_port, host=HOST)
    chosen = free_ports(7 + workers, host=HOST)
    first = Addresses(realtime_port or chosen[0], *chosen[1:8])
    addresses = replace(first, admin_ports=tuple(chosen[8:]))
    maker = _Maker(paths, addresses, environment, otlp_endpoint, overrides or {})
    return StackPlan(
        addresses=addresses,
        base=(_nats(maker), _backend(maker, packs, backend_arguments)),
        services=_services(maker),
        sessions=tuple(_session(maker, number, of=workers) for number in range(1, workers + 1)),
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


def _session(maker: _Maker, number: int, *, of: int) -> ProgramSpec:
    """The only worker, or one of several behind the same port: each with its own name, state and admin service."""
    at = maker.addresses
    alone = of == 1
    return maker.service(
        "session",
        called="" if alone else f"session-{number}",
        port=at.realtime_port,
        probe=http_ok(HOST, at.realtime_port, "/healthz") if alone else grpc_serving(at.admins[number - 1]),
        address=at.realtime_url,
        RINGBACK_SHARED_PORT="off" if alone else "on",
        RINGBACK_ADMIN_PORT=at.admins[number - 1].rpartition(":")[2],
        RINGBACK_POLICY_ADDR=at.policy,
        RINGBACK_TOOLS_ADDR=at.tools,
        RINGBACK_MEMORY_ADDR=at.memory,
        RINGBACK_UPSTREAM_URL=at.upstream_url,
        RINGBACK_UPSTREAM_KIND="local",
        RINGBACK_SPEECH_URL=at.speech_url,
        RINGBACK_SPEECH_MODEL="ringback-local",
        RINGBACK_TENANTS_FILE=maker.paths.tenants,
    )
