"""Upstreams on loopback: lists of scripted models, a wire that can be cut or stall, and who listens to a call."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

from ringback_session.adapters.models_ws import ModelsOverWebSocket
from ringback_session.adapters.upstream_source import UpstreamSource
from ringback_session.adapters.upstream_spec import Upstream
from ringback_sockets import refusal
from ringback_testkit import FakeClock

__all__ = ["Listener", "StallingWire", "models_of", "refused", "spec"]

PATIENCE_S = 5


def spec(name, url, **fields):
    """One compatible upstream that is given up on quickly."""
    quick = {"dial_timeout_ms": 1_000, "dial_attempts": 1, "failures_max": 2, "open_ms": 10_000}
    return Upstream(**{"name": name, "kind": "compatible", "url": url} | quick | fields)


def refused(status, **more):
    """An HTTP answer in place of the upgrade."""
    return refusal(HTTPStatus(status), code="c", message="secret words of the provider", **more)


class _Source(UpstreamSource):
    def __init__(self, *upstreams):
        self.upstreams = upstreams

    def current(self):
        return self.upstreams


def models_of(*upstreams, clock=None, variables=None):
    variables = variables or {}
    return ModelsOverWebSocket(
        _Source(*upstreams), variable=lambda name: variables.get(name, ""), clock=clock or FakeClock()
    )


class Listener:
    """What a call hears of its model."""

    def __init__(self):
        self.frames = []
        self.lost = []
        self._changed = asyncio.Event()

    async def connect(self, models, *, model="gpt-realtime", purpose="start"):
        return await models.connect(model=model, purpose=purpose, on_frame=self._frame, on_lost=self._lost)

    async def until(self, true):
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def _frame(self, frame):
        self.frames.append(frame)
        self._changed.set()

    def _lost(self, reason):
        self.lost.append(reason)
        self._changed.set()


class StallingWire:
    """Passes bytes on to a server, until it `stalls`: connections stay open, and nothing moves on them."""

    def __init__(self, url):
        self._target = urlsplit(url)
        self._moving = asyncio.Event()
        self._moving.set()
        self._tasks = []
        self.url = ""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}{self._target.path}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self):
        self._moving.clear()

    async def _serve(self, reader, writer):
        self._tasks.append(asyncio.current_task())
        with suppress(asyncio.CancelledError):
            await self._forward(reader, writer)

    async def _forward(self, reader, writer):
        try:
            await self._moving.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target.port)
            try:
                await asyncio.gather(self._pass(reader, up_writer), self._pass(up_reader, writer))
            finally:
                up_writer.close()
        finally:
            writer.close()

    async def _pass(self, reader, writer):
        while data := await reader.read(65_536):
            await self._moving.wait()
            writer.write(data)
            await writer.drain()
        writer.close()
