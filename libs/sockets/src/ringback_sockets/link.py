"""One connection: whole messages in, bounded sending out, a defined end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from ringback_realtime import Close, closes

__all__ = ["FRAME_BYTES_MAX", "Closed", "RealtimeLink"]

# 15 MiB of audio in one append, base64 included, is what the protocol allows a client.
FRAME_BYTES_MAX: Final = 22 * 1024 * 1024
# What may wait for a slow reader: about two minutes of PCM16 audio.
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
ABORT_AFTER_S: Final = 5.0


class Closed(NamedTuple):
    """How a connection ended; code 1006 when no close frame came."""

    code: int
    reason: str


class RealtimeLink(WSListener):
    """A connection of either side.

    `on_message` gets each whole text message; `on_closed` is called once, whatever ends the connection. Messages that
    arrive before `on_message` is set wait, within the frame bound.
    """

    def __init__(
        self,
        *,
        on_open: Callable[[RealtimeLink], None] | None = None,
        outbox_bytes_max: int = OUTBOX_BYTES_MAX,
    ) -> None:
        self.on_message: Callable[[bytes], None] | None = None
        self.on_closed: Callable[[Closed], None] | None = None
        self._on_open = on_open
        self._outbox_bytes_max = outbox_bytes_max
        self._transport: WSTransport | None = None
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._fragments = bytearray()
        self._closed: Closed | None = None
        self._ended = False

    @property
    def transport(self) -> WSTransport:
        """The transport, once connected."""
        assert self._transport is not None, "not connected yet"
        return self._transport

    @property
    def open(self) -> bool:
        return self._transport is not None and self._closed is None

    def take(self, on_message: Callable[[bytes], None], on_closed: Callable[[Closed], None]) -> None:
        """Begin to hand over messages, those that came early first."""
        self.on_message = on_message
        self.on_closed = on_closed
        early, self._early = self._early, []
        for message in early:
            on_message(message)
        if self._ended and self._closed is not None:
            on_closed(self._closed)

    def send(self, message: bytes) -> None:
        """Queue one message. A peer that lets too much pile up is closed with a reason."""
        transport = self._transport
        if transport is None or self._closed is not None:
            return
        transport.send(WSMsgType.TEXT, message)
        if transport.underlying_transport.get_write_buffer_size() > self._outbox_bytes_max:
            self.close(closes.SLOW_READER)

    def close(self, close: Close = closes.NORMAL) -> None:
        """Say why and hang up."""
        transport = self._transport
        if self._closed is not None:
            return
        self._closed = Closed(close.code, close.reason)
        if transport is None:
            return
        payload = close.code.to_bytes(2, "big") + close.reason.encode()[:123]
        transport.send(WSMsgType.CLOSE, payload)
        transport.disconnect()
        # A peer that does not read would keep the connection, and what is queued for it, for ever.
        loop = asyncio.get_running_loop()
        loop.call_later(ABORT_AFTER_S, _abort, transport)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        _no_delay(transport)
        if self._on_open is not None:
            self._on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION:
                self._take(frame)
            case WSMsgType.CLOSE:
                if self._closed is None:
                    code = frame.get_close_code()
                    number = code.value if isinstance(code, WSCloseCode) else int(code)
                    self._closed = Closed(number, frame.get_close_reason() or "")
                    transport.send_close(code if number else WSCloseCode.OK)
                transport.disconnect()
            case _:
                pass

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._closed is None:
            self._closed = Closed(1006, "the connection was lost")
        if not self._ended:
            self._ended = True
            if self.on_closed is not None:
                self.on_closed(self._closed)

    def _take(self, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if not frame.fin or frame.msg_type is WSMsgType.CONTINUATION:
            self._fragments += payload
            if len(self._fragments) > FRAME_BYTES_MAX:
                self.close(closes.FRAME_TOO_BIG)
                return
            if not frame.fin:
                return
            payload = bytes(self._fragments)
            self._fragments.clear()
        if self._closed is not None:
            return
        if self.on_message is not None:
            self.on_message(payload)
            return
        self._early_bytes += len(payload)
        if self._early_bytes > FRAME_BYTES_MAX:
            self.close(closes.FRAME_TOO_BIG)
        else:
            self._early.append(payload)


def _no_delay(transport: WSTransport) -> None:
    raw = transport.underlying_transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _abort(transport: WSTransport) -> None:
    if not transport.is_disconnected:
        transport.underlying_transport.abort()
