"""The short way between this process's requests and the socket of a connection that nats-py keeps.

nats-py takes every message out through a queue and a task, and in through a reader's buffer, a task and a parser of
all that a server may say: half of what a compare-and-set costs. A request and its answer are plain, so they go past
that: out with whatever else waits at the loop's next turn, in straight from the chunk that the socket gave. Only
answers that are whole, bare of headers and first in their chunk come in here; everything else, and what follows it,
goes nats-py's way. It needs names that nats-py keeps to itself; where one is missing, or the connection is no plain
stream, nothing is attached and all goes nats-py's way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from nats.aio.client import Client
from nats.errors import (
    BadHeaderError,
    BadSubjectError,
    ConnectionClosedError,
    ConnectionDrainingError,
    MaxPayloadError,
    OutboundBufferLimitError,
)
from nats.protocol.parser import AWAITING_CONTROL_LINE

__all__ = ["Answer", "Lane", "whole_answers"]

# What may wait for a server that does not read; beyond it a request is refused as it is without a connection.
UNSENT_BYTES_MAX: Final = 16 * 1024 * 1024

_END: Final = b"\r\n"
_SUBJECT: Final = re.compile(r"[!-~]+")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: ?[\t -~]*")


class Answer(NamedTuple):
    """A message as requests need it."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None = None


class Lane:
    """The short way of one client; `attach` after every new connection."""

    def __init__(self, nc: Client, prefix: str, take: Callable[[Answer], None]) -> None:
        self._nc: Any = nc
        self._prefix = f"MSG {prefix}".encode()
        self._take = take
        self._reader: Any = None
        self._feed: Callable[[bytes], None] = _nowhere
        self._loop = asyncio.get_running_loop()
        self._due = False

    @property
    def attached(self) -> bool:
        """Whether answers of the connection that stands now come this way."""
        return self._reader is not None and self._reader is _reader_of(self._nc)

    def attach(self) -> None:
        """Take answers from the connection that stands now."""
        reader = _reader_of(self._nc)
        if reader is not None and reader is not self._reader:
            self._reader, self._feed = reader, reader.feed_data
            reader.feed_data = self._fed

    def send(self, subject: str, reply: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        """Publish, refusing what nats-py's `publish` refuses, by the same errors."""
        nc = self._nc
        if nc.is_closed:
            raise ConnectionClosedError
        if nc.is_draining_pubs:
            raise ConnectionDrainingError
        if not nc.is_connected or self._unsent() > UNSENT_BYTES_MAX:
            raise OutboundBufferLimitError
        if len(payload) > nc.max_payload:
            raise MaxPayloadError
        command = _command(subject, reply, payload, headers)
        nc._pending.append(command)
        nc._pending_data_size += len(command)
        if not self._due:
            # Not at once: what else is sent in this turn of the loop leaves with it.
            self._due = True
            self._loop.call_soon(self._flush)

    def _unsent(self) -> int:
        writer = getattr(getattr(self._nc, "_transport", None), "_io_writer", None)
        return writer.transport.get_write_buffer_size() if writer is not None else 0

    def _flush(self) -> None:
        self._due = False
        nc = self._nc
        # A connection that broke meanwhile keeps it for nats-py, as what its own flusher would have sent.
        if nc._pending and nc.is_connected and nc._transport:
            waiting, nc._pending, nc._pending_data_size = nc._pending, [], 0
            nc._transport.writelines(waiting)

    def _fed(self, chunk: bytes) -> None:
        if not (self._reader._buffer or self._nc._ps.buf) and self._nc._ps.state == AWAITING_CONTROL_LINE:
            # Nothing is half read, so the chunk begins where a message does.
            answers, taken = whole_answers(chunk, self._prefix)
            for answer in answers:
                self._take(answer)
            chunk = chunk[taken:] if taken else chunk
        if chunk:
            self._feed(chunk)


def whole_answers(chunk: bytes, start: bytes) -> tuple[list[Answer], int]:
    """The whole messages that a chunk begins with whose line starts like this, and how many bytes they take."""
    answers: list[Answer] = []
    at = 0
    while chunk.startswith(start, at):
        line_end = chunk.find(_END, at)
        if line_end < 0:
            break
        line = chunk[at:line_end].split(b" ")
        if len(line) != 4 or not line[3].isdigit():
            break
        data_at = line_end + len(_END)
        data_end = data_at + int(line[3])
        if len(chunk) < data_end + len(_END):
            break
        answers.append(Answer(line[1].decode(), bytes(chunk[data_at:data_end])))
        at = data_end + len(_END)
    return answers, at


def _command(subject: str, reply: str, payload: bytes, headers: Mapping[str, str] | None) -> bytes:
    if not _SUBJECT.fullmatch(subject) or not _SUBJECT.fullmatch(reply):
        raise BadSubjectError
    if not headers:
        return f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + _END
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if not all(_HEADER.fullmatch(line) for line in lines):
        raise BadHeaderError(next(iter(headers)))
    head = "NATS/1.0\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    size = len(head)
    return f"HPUB {subject} {reply} {size} {size + len(payload)}\r\n{head}".encode() + payload + _END


def _reader_of(nc: Any) -> Any:
    """The buffer that the client's socket fills; None where it has no plain stream, or other names."""
    reader = getattr(getattr(nc, "_transport", None), "_io_reader", None)
    known = hasattr(reader, "_buffer") and hasattr(getattr(nc, "_ps", None), "buf")
    return reader if known and isinstance(getattr(nc, "_pending", None), list) else None


def _nowhere(chunk: bytes) -> None: ...
