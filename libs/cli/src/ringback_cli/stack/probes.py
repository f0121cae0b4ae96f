"""Questions that a program answers once it can be used: the bus, gRPC health, HTTP health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback_errors import Unavailable

from ringback_cli.stack.process import Probe

__all__ = ["grpc_serving", "http_ok", "nats_listening", "port_open"]

_TIMEOUT_S = 1.0
_ANSWER_BYTES_MAX = 4_096


def nats_listening(host: str, port: int) -> Probe:
    """Ready when the server greets with its INFO line."""

    async def probe() -> None:
        async with _connected(host, port) as (reader, _):
            if not (await reader.readline()).startswith(b"INFO"):
                raise Unavailable(f"{host}:{port} does not speak NATS")

    return probe


def port_open(host: str, port: int) -> Probe:
    """Ready when the port accepts a connection."""

    async def probe() -> None:
        async with _connected(host, port):
            pass

    return probe


def http_ok(host: str, port: int, path: str) -> Probe:
    """Ready when a GET is answered with status 200."""

    async def probe() -> None:
        async with _connected(host, port) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = (await reader.readline()).split(b" ", 2)
            if len(status) < 2 or status[1] != b"200":
                raise Unavailable(f"{host}:{port}{path} is not ready")

    return probe


def grpc_serving(address: str) -> Probe:
    """Ready when the service's own health, which probes its dependencies, says SERVING."""

    async def probe() -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                raise Unavailable(f"{address}: {error.code().name}") from None
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable(f"{address} is not serving yet")

    return probe


@asynccontextmanager
async def _connected(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=_ANSWER_BYTES_MAX)
            try:
                yield reader, writer
            finally:
                writer.close()
    except TimeoutError:
        raise Unavailable(f"{host}:{port} does not answer") from None
