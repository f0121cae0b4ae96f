"""gRPC servers that answer with as many bytes as they are told: the way there and back and nothing else.

`python bench_echo.py bare` is grpc.aio alone, `ours` is served as every service is; RINGBACK_OTLP_ENDPOINT traces it.
A request is four bytes of the answer's size, then anything. With BENCH_NOOP=host:port every call asks that HTTP
server once before it answers.
"""

from __future__ import annotations

import asyncio
import os
import sys

import grpc
from bench_process import serve as serve_process
from ringback_serving import ServingSettings, serve
from ringback_telemetry import setup

METHOD = "/ringback.bench.Echo/Echo"


class Behind:
    """One kept connection to the no-op system."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        if self._streams is None:
            host, _, port = self._address.partition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        writer.write(b"GET /noop/1 HTTP/1.1\r\nhost: bench\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b'{"ok":true}'))


def _register(server: grpc.aio.Server) -> None:
    behind = Behind(os.environ["BENCH_NOOP"]) if "BENCH_NOOP" in os.environ else None

    async def echo(request: bytes, context: object) -> bytes:
        if behind is not None:
            await behind.ask()
        return bytes(int.from_bytes(request[:4], "big"))

    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("ringback.bench.Echo", {"Echo": handler}),)
    )


async def open_bare() -> int:
    server = grpc.aio.server()
    _register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.append(server)
    return int(port)


async def open_ours() -> int:
    setup("bench", endpoint=os.environ.get("RINGBACK_OTLP_ENDPOINT") or None)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        serve(
            "bench",
            settings=ServingSettings(drain_ms=0),
            register=[_register],
            service_names=[],
            probes={},
            on_ready=ready.set_result,
        )
    )
    _KEPT.append(task)
    return await ready


# A server or task that nobody holds is collected.
_KEPT: list[object] = []

if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    serve_process({"bare": open_bare, "ours": open_ours}[sys.argv[1]])
