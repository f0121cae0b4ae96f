"""The peers: relays that do nothing but pass frames on. `python bench_relays.py picows|websockets UPSTREAM_URL`."""

from __future__ import annotations

import asyncio
import sys

from bench_process import serve
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

FRAME_BYTES_MAX = 22 * 1024 * 1024


class Leg(WSListener):  # type: ignore[misc]
    """One side of a relayed connection; what comes before the other side is open waits."""

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.transport: WSTransport | None = None
        self.other: Leg | None = None
        self.early: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        if self.upstream:
            self.task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        other = Leg()
        other.other = self
        await ws_connect(lambda: other, self.upstream, max_frame_size=FRAME_BYTES_MAX)
        self.other = other
        for message in self.early:
            other.transport.send(WSMsgType.TEXT, message)  # type: ignore[union-attr]

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        elif self.other is None or self.other.transport is None:
            self.early.append(frame.get_payload_as_bytes())
        else:
            self.other.transport.send(frame.msg_type, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.disconnect()


async def open_picows(upstream: str) -> int:
    def admit(_: WSUpgradeRequest) -> Leg:
        return Leg(upstream)

    server = await ws_create_server(admit, "127.0.0.1", 0, max_frame_size=FRAME_BYTES_MAX)
    return int(server.sockets[0].getsockname()[1])


async def open_websockets(upstream: str) -> int:
    async def handle(client: ServerConnection) -> None:
        async with connect(upstream, max_size=FRAME_BYTES_MAX, compression=None) as model:

            async def back() -> None:
                async for message in model:
                    await client.send(message)

            answering = asyncio.ensure_future(back())
            try:
                async for message in client:
                    await model.send(message)
            except ConnectionClosed:
                pass
            finally:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)

    server = await serve_websockets(handle, "127.0.0.1", 0, max_size=FRAME_BYTES_MAX, compression=None)
    return int(next(iter(server.sockets)).getsockname()[1])


if __name__ == "__main__":
    opener = {"picows": open_picows, "websockets": open_websockets}[sys.argv[1]]
    serve(lambda: opener(sys.argv[2]))
