"""Owns the life of one gRPC server: open, serve, NOT_SERVING, drain, close."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from grpc_health.v1 import health_pb2_grpc
from ringback_errors import ConfigError

from ringback_serving.health import Health, Probe
from ringback_serving.intercept import Guard, GuardedServer
from ringback_serving.run import settle
from ringback_serving.settings import ServingSettings, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

_log: Final = logging.getLogger(__name__)
# RPCs that are under way when all else has been finished.
DRAIN_MS_MIN: Final = 500


async def serve(
    service: str,
    *,
    settings: ServingSettings,
    register: Sequence[Callable[[grpc.aio.Server], None]],
    service_names: Sequence[str],
    probes: Mapping[str, Probe],
    on_ready: Callable[[int], None] | None = None,
    finish: Callable[[], Awaitable[None]] | None = None,
    closers: Sequence[Callable[[], Awaitable[None]]] = (),
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; then NOT_SERVING, finish, drain, and the closers in order.

    `register` are functions such as ``lambda server: add_XServicer_to_server(servicer, server)``. `finish` ends what
    the service does beside its RPCs, which are answered until it is done; it may take `close_ms`. A second signal cuts
    it and the drain short. The closers run also where serving could not start. Raises ConfigError for a taken port
    or unreadable TLS files.
    """
    stop = stop or asyncio.Event()
    hurry = asyncio.Event()
    try:
        with _signals(stop, hurry):
            health = Health(service_names, probes)
            await _serve(service, settings, register, health, (on_ready, finish), stop, hurry)
    finally:
        await _close(closers, settings.close_ms)


async def _serve(
    service: str,
    settings: ServingSettings,
    register: Sequence[Callable[[grpc.aio.Server], None]],
    health: Health,
    told: tuple[Callable[[int], None] | None, Callable[[], Awaitable[None]] | None],
    stop: asyncio.Event,
    hurry: asyncio.Event,
) -> None:
    on_ready, finish = told
    server = grpc.aio.server(options=_options(settings))
    guard = Guard(deadline_floor_ms=settings.deadline_floor_ms, rpcs_max=settings.rpcs_max)
    # Health stands outside the guard: it must answer under overload, and makes no spans.
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    guarded = cast(grpc.aio.Server, GuardedServer(server, guard))
    for add in register:
        add(guarded)
    port = _bind(server, settings)
    await server.start()
    try:
        if settings.ready_file:
            announce(settings.ready_file, port)
        if on_ready:
            on_ready(port)
        settle()
        _log.info("%s serves on %s:%d", service, settings.host, port)
        await stop.wait()
    finally:
        health.stop()
        began = time.monotonic()
        if finish:
            await _unless_hurried(_finish(finish, settings.close_ms), hurry)
        _log.info("%s drains: %d calls in flight", service, guard.running)
        spent_ms = round((time.monotonic() - began) * 1000)
        await _drain(server, max(min(DRAIN_MS_MIN, settings.drain_ms), settings.drain_ms - spent_ms), hurry)
        if settings.ready_file:
            settings.ready_file.unlink(missing_ok=True)


async def _drain(server: grpc.aio.Server, drain_ms: int, hurry: asyncio.Event) -> None:
    draining = asyncio.create_task(server.stop(drain_ms / 1000))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await server.stop(0)
    hurried.cancel()
    await asyncio.gather(draining, hurried, return_exceptions=True)


async def _finish(finish: Callable[[], Awaitable[None]], close_ms: int) -> None:
    try:
        async with asyncio.timeout(close_ms / 1000):
            await finish()
    except TimeoutError:
        _log.error("what was under way did not end within %d ms", close_ms)
    except Exception as error:
        _log.error("what was under way did not end well", exc_info=error)


async def _unless_hurried(work: Coroutine[None, None, None], hurry: asyncio.Event) -> None:
    task = asyncio.create_task(work)
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({task, hurried}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    hurried.cancel()
    await asyncio.gather(task, hurried, return_exceptions=True)


async def _close(closers: Sequence[Callable[[], Awaitable[None]]], close_ms: int) -> None:
    for closer in closers:
        try:
            async with asyncio.timeout(close_ms / 1000):
                await closer()
        except TimeoutError:
            _log.error("a closer did not end within %d ms", close_ms)
        except Exception as error:
            _log.error("a closer failed", exc_info=error)


@contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT set `stop`, and `hurry` the second time; only where signals can be had."""
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    wanted = (signal.SIGTERM, signal.SIGINT)
    for number in wanted:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def _options(settings: ServingSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 0),  # a taken port is an error, not a silent sharing
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # A bound for a connection; above rpcs_max, as streams beyond this wait unseen instead of being refused.
        ("grpc.max_concurrent_streams", 2 * settings.rpcs_max + 64),
        # Our channels ping every 20 s, also while idle; without these the server would call that abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]


def _bind(server: grpc.aio.Server, settings: ServingSettings) -> int:
    address = f"{settings.host}:{settings.port}"
    taken = ConfigError(
        f"{address} can not be bound (is the port in use?): set RINGBACK_PORT (with make: PORT=) to another"
        " port, or to 0 for a free one"
    )
    if settings.port and not _free(settings.host, settings.port):
        raise taken
    try:
        if settings.tls:
            port = server.add_secure_port(address, _credentials(settings.tls))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError:
        raise taken from None
    if port == 0:
        raise taken
    return port


def _free(host: str, port: int) -> bool:
    """Whether the port can be bound; asked first because gRPC prints a page when it can not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    pair = (_pem(tls.key), _pem(tls.cert))
    return grpc.ssl_server_credentials([pair], root_certificates=_pem(tls.ca), require_client_auth=True)


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"TLS file {path}: expected a readable file ({error.strerror})") from None


def announce(path: Path, port: int) -> None:
    """Write whole or not at all: a supervisor may look at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(f"{port}\n")
    partial.replace(path)
