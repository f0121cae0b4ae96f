"""A network that can be cut: connections through it stay open and nothing passes, as when packets get lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

__all__ = ["Partition"]

CHUNK_BYTES = 64 * 1024


class Partition:
    """An async context: clients connect to `port`, and bytes go on to `target_port` while it is whole.

    Neither side is told of a cut: what was sent meanwhile arrives when it is mended, and new connections wait.
    """

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._closed = False
        self.port = 0

    def cut(self) -> None:
        """From now on nothing passes, in either direction."""
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._closed = True
        self._server.close()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for writer in list(self._writers):
            await self._end(writer)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        self._writers.add(writer)
        try:
            if not self._closed:
                # A cancelled task would be taken for a fault by the server that made it.
                with suppress(OSError, asyncio.CancelledError):
                    await self._carry(reader, writer)
        finally:
            self._carrying.discard(task)
            await self._end(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(up_writer)
        pumps = [
            asyncio.ensure_future(self._pump(reader, up_writer)),
            asyncio.ensure_future(self._pump(up_reader, writer)),
        ]
        try:
            # The end of either side is the end of both, once the other may know of it.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            await self._whole.wait()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await self._end(up_writer)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
