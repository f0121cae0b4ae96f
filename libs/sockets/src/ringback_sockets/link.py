"""One connection: whole messages in, bounded sending out, a defined end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, NamedTuple

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from ringback_realtime import Close, closes

from ringback_sockets.bursts import Bursts

__all__ = ["FRAME_BYTES_MAX", "Closed", "RealtimeLink"]

log: Final = logging.getLogger(__name__)
# 15 MiB of audio in one append, base64 included, is what the protocol allows a client.
FRAME_BYTES_MAX: Final = 22 * 1024 * 1024
# What may wait for a slow reader: about two minutes of PCM16 audio.
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
# What may wait to be handled before the peer is made to wait.
INBOX_BYTES_PAUSE: Final = 1024 * 1024
# How long a peer may take to answer a close, and to read what was sent before it.
CLOSE_TIMEOUT_S: Final = 5.0
TOO_BIG: Final = Close(
    closes.FRAME_TOO_BIG.code, f"frame_too_big: a message may have at most {FRAME_BYTES_MAX >> 20} MiB."
)
# What is longer is no control frame (RFC 6455, 5.5).
CONTROL_BYTES_MAX: Final = 125
NO_STATUS: Final = 1005
BROKEN_RULE: Final = 1002
LOST: Final = 1006
# A member of an enumeration is looked up anew each time that it is named.
_TEXT: Final = WSMsgType.TEXT
_BURSTS: Final = Bursts()


class Closed(NamedTuple):
    """How a connection ended; code 1006 when no close frame came."""

    code: int
    reason: str


class RealtimeLink(WSListener):
    """A connection of either side.

    Messages are had in one of two ways: pushed, by `take`, or pulled, by `messages`. Those that come before either is
    called wait; while more than 1 MiB waits, nothing more is read, so a peer that sends too fast is slowed down and
    loses nothing. With `slow_reader_ms`, a peer that lets the outbox be full for so long is closed.
    """

    # Among hundreds of connections, what a message needs of its own has left the processor's caches since the last
    # one: it is kept together.
    __slots__ = (
        "_arrived",
        "_close_timer",
        "_closed",
        "_ending",
        "_fragments",
        "_full",
        "_inbox",
        "_inbox_bytes",
        "_on_open",
        "_outbox_bytes_max",
        "_over",
        "_reader_timer",
        "_room",
        "_slow_reader_ms",
        "_socket",
        "_taker",
        "_transport",
        "_way",
        "on_closed",
        "on_message",
    )

    def __init__(
        self,
        *,
        on_open: Callable[[RealtimeLink], None] | None = None,
        outbox_bytes_max: int = OUTBOX_BYTES_MAX,
        slow_reader_ms: int | None = None,
    ) -> None:
        self.on_message: Callable[[bytes], None] | None = None
        self.on_closed: Callable[[Closed], None] | None = None
        self._on_open = on_open
        self._outbox_bytes_max = outbox_bytes_max
        self._slow_reader_ms = slow_reader_ms
        self._transport: WSTransport | None = None
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        # What has come of a message that comes in fragments.
        self._fragments: bytearray | None = None
        self._room = asyncio.Event()
        self._room.set()
        # Whom messages are handed to, and where they are sent, while the connection is open.
        self._taker: Callable[[bytes], None] | None = None
        self._way: WSTransport | None = None
        self._socket: Any = None
        self._full = False
        self._closed: Closed | None = None
        self._over = asyncio.Event()
        self._reader_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Future[None] | None = None

    @property
    def transport(self) -> WSTransport:
        """The transport, once connected."""
        assert self._transport is not None, "not connected yet"
        return self._transport

    @property
    def connected(self) -> bool:
        """Whether the connection ever came about; it may have ended since."""
        return self._transport is not None

    @property
    def open(self) -> bool:
        """Whether messages can be sent: connected, and neither side has said that it closes."""
        return self._transport is not None and self._closed is None

    @property
    def closed(self) -> Closed | None:
        """How the connection ends or ended; None while it is open."""
        return self._closed

    @property
    def response_headers(self) -> Mapping[str, str]:
        """What the server answered the upgrade with, on either side."""
        response = self._transport.response if self._transport is not None else None
        return response.headers if response is not None else {}

    def take(
        self, on_message: Callable[[bytes], None], on_closed: Callable[[Closed], None] | None = None
    ) -> None:
        """Begin to hand over messages, those that came early first, then `on_closed` once, whatever ends it."""
        self.on_message = on_message
        self.on_closed = on_closed
        self._taker = on_message if self._closed is None else None
        while self._inbox:
            on_message(self._next())
        if self._over.is_set() and self._closed is not None and on_closed is not None:
            on_closed(self._closed)

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Messages one by one, until the connection ends and those that came before are taken.

        After an own `close` there are no more.
        """
        while True:
            while self._inbox:
                yield self._next()
            if self._closed is not None:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def send(self, message: bytes) -> None:
        """Queue one message. A peer that lets too much pile up is closed with a reason."""
        transport = self._way
        if transport is None:
            return
        if _BURSTS.coming:
            _BURSTS.hold(self._socket)
        if not self._full:
            transport.send(_TEXT, message)
            return
        # One message may be larger than the outbox; what counts is what the peer has not read before it.
        waiting = transport.underlying_transport.get_write_buffer_size()
        transport.send(_TEXT, message)
        if waiting > self._outbox_bytes_max:
            self.close(closes.SLOW_READER)

    async def room(self) -> None:
        """Return once the peer has read enough for more to be sent, or the connection has ended."""
        await self._room.wait()

    async def answers(self, *, within_ms: int) -> bool:
        """Whether the peer answers a ping in time; asked by one at a time."""
        transport = self._transport
        if transport is None or self._closed is not None:
            return False
        try:
            async with asyncio.timeout(within_ms / 1000):
                await transport.measure_roundtrip_time(1)
        except (TimeoutError, ConnectionError):
            return False
        return self._closed is None

    def close(self, close: Close = closes.NORMAL) -> None:
        """Say why, wait a bounded time for the peer to say the same, hang up. A second call does nothing."""
        if self._closed is not None:
            return
        if close.code != closes.NORMAL.code:
            log.info("closing a connection", extra={"close_code": close.code, "reason": close.reason})
        self._inbox.clear()
        self._inbox_bytes = 0
        self._settle(Closed(close.code, close.reason))
        transport = self._transport
        if transport is None:
            return
        transport.send(WSMsgType.CLOSE, close.code.to_bytes(2, "big") + close.reason.encode()[:123])
        # To close the socket now, with a message of the peer's unread, would reset the connection, and the peer might
        # never see the reason. One that does not answer would keep the connection for ever.
        self._read(True)
        self._close_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    async def wait_closed(self) -> Closed:
        """Wait until the connection has ended, however it does; cancel it to stop waiting."""
        await self._over.wait()
        assert self._closed is not None
        return self._closed

    def abort(self) -> None:
        """Cut the connection without a word; the peer sees what it sees when a network is lost."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._socket = transport.underlying_transport.get_extra_info("socket")
        _no_delay(self._socket)
        if self._closed is not None:
            self.abort()
            return
        self._way = transport
        if self._on_open is not None:
            self._on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        taker, size = self._taker, frame.payload_size
        if (
            taker is not None
            and CONTROL_BYTES_MAX < size <= FRAME_BYTES_MAX
            and frame.fin
            and self._fragments is None
        ):
            # Nearly every frame: a whole message for somebody who waits for it. With as much behind it, another one
            # is there already; a control frame, which the library may keep for itself, is smaller.
            if frame.last_in_buffer or frame.tail_size < size:
                taker(frame.get_payload_as_bytes())
                if _BURSTS.waiting:
                    _BURSTS.end()
                return
            _BURSTS.coming = True
            try:
                taker(frame.get_payload_as_bytes())
            finally:
                _BURSTS.coming = False
            return
        _BURSTS.end()
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION:
                if self._closed is None:
                    self._on_data(frame)
            case WSMsgType.CLOSE:
                self._on_close(transport, frame)
            case _:
                pass

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._over.is_set():
            return
        self._over.set()
        self._settle(_broken_rule(transport) or Closed(LOST, "the connection was lost"))
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self.on_closed is not None and self._closed is not None:
            self.on_closed(self._closed)
        self._ending = asyncio.ensure_future(_over(transport))

    def pause_writing(self) -> None:
        self._full = True
        self._room.clear()
        if self._slow_reader_ms is not None and self._closed is None:
            self._stop_reader_timer()
            self._reader_timer = asyncio.get_running_loop().call_later(
                self._slow_reader_ms / 1000, self.close, closes.SLOW_READER
            )

    def resume_writing(self) -> None:
        self._full = False
        self._room.set()
        self._stop_reader_timer()

    def _on_data(self, frame: WSFrame) -> None:
        if frame.payload_size > FRAME_BYTES_MAX:
            # picows has begun to hang up, and still hands over what it refused if the rest comes in quickly.
            self.close(TOO_BIG)
            return
        payload = frame.get_payload_as_bytes()
        if not frame.fin or frame.msg_type is WSMsgType.CONTINUATION:
            fragments = self._fragments = self._fragments or bytearray()
            fragments += payload
            if len(fragments) > FRAME_BYTES_MAX:
                self._fragments = None
                self.close(TOO_BIG)
                return
            if not frame.fin:
                return
            payload = bytes(fragments)
            self._fragments = None
        if self.on_message is not None:
            self.on_message(payload)
            return
        self._inbox.append(payload)
        self._inbox_bytes += len(payload)
        self._arrived.set()
        if self._inbox_bytes > INBOX_BYTES_PAUSE:
            self._read(False)

    def _on_close(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if self._closed is None:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_STATUS
            said = Closed(code, payload[2:].decode("utf-8", "replace"))
            self._settle(_broken_rule(transport) or said)
            transport.send(WSMsgType.CLOSE, _echo(payload))
        transport.disconnect()

    def _next(self) -> bytes:
        message = self._inbox.popleft()
        full = self._inbox_bytes > INBOX_BYTES_PAUSE
        self._inbox_bytes -= len(message)
        if full and self._inbox_bytes <= INBOX_BYTES_PAUSE:
            self._read(True)
        return message

    def _read(self, on: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        if on:
            transport.underlying_transport.resume_reading()
        else:
            transport.underlying_transport.pause_reading()

    def _settle(self, closed: Closed) -> None:
        """From now on the connection is closed, and whoever waits on it goes on; the first word counts."""
        if self._closed is None:
            self._closed = closed
            self._taker = self._way = None
            self._stop_reader_timer()
            self._room.set()
            self._arrived.set()

    def _stop_reader_timer(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None


def _broken_rule(transport: WSTransport) -> Closed | None:
    """The close that the library below sent by itself: for a frame that is too big or malformed, or no pong."""
    handshake = transport.close_handshake
    if handshake is None or handshake.sent is None:
        return None
    code = handshake.sent.code
    return Closed(code.value if isinstance(code, WSCloseCode) else int(code), handshake.sent.reason or "")


def _no_delay(raw: Any) -> None:
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _echo(payload: bytes) -> bytes:
    """The peer's own code, if it is one that may be sent (RFC 6455, 7.4); else that it broke the protocol."""
    code = int.from_bytes(payload[:2], "big")
    may_be_sent = (1000 <= code <= 1014 and code not in (1004, NO_STATUS, LOST)) or 3000 <= code <= 4999
    if not payload or (len(payload) > 1 and may_be_sent):
        return payload[:2]
    return BROKEN_RULE.to_bytes(2, "big")


async def _over(transport: WSTransport) -> None:
    """What the peer did wrong is told by the close: the library's own error for it is not asked for again."""
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()
