"""How a message is written in the spool: `length, CRC-32, body`, and read back only when whole."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

from ringback_events.message import Message

__all__ = ["encode_record", "read_records"]

RECORD_BYTES_MAX = 16 * 1024 * 1024
_HEAD = struct.Struct(">II")
_PART = struct.Struct(">I")


class Read(Protocol):
    """The `read` of a binary file."""

    def __call__(self, size: int, /) -> bytes: ...


def encode_record(message: Message) -> bytes:
    head = json.dumps([message.subject, message.msg_id, dict(message.headers)]).encode("ascii")
    body = _PART.pack(len(head)) + head + message.payload
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _decode(body: bytes) -> Message:
    (length,) = _PART.unpack_from(body)
    subject, msg_id, headers = json.loads(body[_PART.size : _PART.size + length])
    return Message(subject, body[_PART.size + length :], msg_id, headers)


def read_records(read: Read, *, start: int) -> Iterator[tuple[Message, int]]:
    """Yield each whole record and the position after it; stop at the first that is cut short or damaged."""
    end = start
    while True:
        head = read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        length, checksum = _HEAD.unpack(head)
        body = read(length) if length <= RECORD_BYTES_MAX else b""
        if len(body) < max(length, _PART.size) or zlib.crc32(body) != checksum:
            return
        try:
            message = _decode(body)
        except (ValueError, struct.error):
            return
        end += _HEAD.size + length
        yield message, end
