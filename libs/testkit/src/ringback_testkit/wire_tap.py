"""A tap on the wire between a WebSocket client and its server: bytes go through untouched, events are read from a copy.

What a client swallows, hides or mends is seen here all the same. A connection that negotiates compression is passed on
and not read; Realtime servers of this project never do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

__all__ = ["Seen", "Tap", "Wire"]

CHUNK_BYTES = 64 * 1024
HEAD_BYTES_MAX = 64 * 1024
EVENTS_MAX = 20_000


@dataclass(frozen=True)
class Seen:
    """One event: what it was, who sent it, and when (seconds of the monotonic clock)."""

    event: dict[str, Any]
    from_server: bool
    at_s: float

    @property
    def type(self) -> str:
        return str(self.event.get("type", ""))


@dataclass
class Wire:
    """One connection: both HTTP heads, every event in the order it passed, and how either side closed it."""

    request: str = ""
    response: str = ""
    seen: list[Seen] = field(default_factory=list)
    closes: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def server_events(self) -> list[dict[str, Any]]:
        return [each.event for each in self.seen if each.from_server]

    def of(self, kind: str) -> list[Seen]:
        """Every event of a type, of either side."""
        return [each for each in self.seen if each.type == kind]


class Tap:
    """An async context: clients connect to `port`, and everything goes on to the server at `target_port`."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.wires: list[Wire] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire()
        self.wires.append(wire)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, up_writer}
        try:
            await asyncio.gather(
                _pump(reader, up_writer, _Reading(wire, from_server=False)),
                _pump(up_reader, writer, _Reading(wire, from_server=True)),
            )
        finally:
            self._open -= {writer, up_writer}
            up_writer.close()
            writer.close()


class _Reading:
    """Reads one direction of a connection as its bytes pass."""

    def __init__(self, wire: Wire, *, from_server: bool) -> None:
        self._wire = wire
        self._from_server = from_server
        self._stream = StreamReader()
        self._parser: Generator[None, None, None] | None = self._read()
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take a copy of what passed. What cannot be read is noted, and the rest passes unread."""
        if self._parser is None:
            return
        self._stream.feed_data(data)
        try:
            next(self._parser)
        except StopIteration:
            self._parser = None
        except Exception as error:
            self._wire.problem = f"{type(error).__name__}: {error}"
            self._parser = None

    def _read(self) -> Generator[None, None, None]:
        head = yield from self._head()
        if self._from_server:
            self._wire.response = head
            if "sec-websocket-extensions" in head.lower():
                self._wire.problem = "compressed: not read"
                return
            if " 101 " not in head.split("\r\n", 1)[0]:
                return
        else:
            self._wire.request = head
        while True:
            frame = yield from Frame.parse(self._stream.read_exact, mask=not self._from_server)
            self._take(frame)

    def _head(self) -> Generator[None, None, str]:
        lines: list[str] = []
        while not lines or lines[-1]:
            line = yield from self._stream.read_line(HEAD_BYTES_MAX)
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        return "\r\n".join(lines)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            side = "server" if self._from_server else "client"
            self._wire.closes.append(f"{side}: {Close.parse(bytes(frame.data))}")
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            event = json.loads(b"".join(self._parts))
            self._parts.clear()
            assert len(self._wire.seen) < EVENTS_MAX, f"more than {EVENTS_MAX} events on one connection"
            self._wire.seen.append(Seen(event, self._from_server, time.monotonic()))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reading: _Reading) -> None:
    """Pass bytes on until this side is over."""
    on_data: Callable[[bytes], None] = reading.feed
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            on_data(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
