"""One WebSocket connection: frames in by a bounded queue, events out with back-pressure, a defined end."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport
from ringback_realtime import Close, ProtocolError, ServerEvents, closes

from ringback_localmodel.usecases.session import RealtimeSession

__all__ = ["FRAME_BYTES_MAX", "Connection"]

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
INBOX_BYTES_PAUSE: Final = 1024 * 1024
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
ABORT_AFTER_S: Final = 5
log = logging.getLogger(__name__)


class Connection(WSListener):
    """Carries one session; whatever goes wrong in it ends this connection and no other."""

    def __init__(
        self,
        *,
        start: Callable[["Connection"], tuple[RealtimeSession, ServerEvents]],
        on_end: Callable[["Connection"], None],
        slow_reader_ms: int,
        session_ms_max: int,
    ) -> None:
        self._start = start
        self._on_end = on_end
        self._slow_reader_s = slow_reader_ms / 1000
        self._session_s = session_ms_max / 1000
        self._transport: WSTransport | None = None
        self._events: ServerEvents | None = None
        self._task: asyncio.Task[None] | None = None
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._fragments = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ended = False

    def send(self, frame: bytes) -> None:
        """Queue one event; a client that lets too much pile up is cut off."""
        transport = self._transport
        if transport is None or self._ended:
            return
        transport.send(WSMsgType.TEXT, frame)
        if transport.underlying_transport.get_write_buffer_size() > OUTBOX_BYTES_MAX:
            self.close(closes.SLOW_READER)

    async def room(self) -> None:
        await self._room.wait()

    def close(self, close: Close) -> None:
        """Say why and hang up; what the session still does is cancelled."""
        if self._ended or self._transport is None:
            return
        log.info("closing", extra={"code": close.code, "reason": close.reason})
        self._transport.send(WSMsgType.CLOSE, close.code.to_bytes(2, "big") + close.reason.encode())
        self._transport.disconnect()
        # A client that does not read would keep the connection and what is queued for it for ever.
        asyncio.get_running_loop().call_later(ABORT_AFTER_S, self._transport.underlying_transport.abort)
        self._end()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        session, self._events = self._start(self)
        loop = asyncio.get_running_loop()
        self._timers["session"] = loop.call_later(self._session_s, self._expire)
        self._task = loop.create_task(self._live(session))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION:
                self._take(frame)
            case WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            case _:
                pass

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._room.clear()
        loop = asyncio.get_running_loop()
        if timer := self._timers.pop("reader", None):
            timer.cancel()
        self._timers["reader"] = loop.call_later(self._slow_reader_s, self.close, closes.SLOW_READER)

    def resume_writing(self) -> None:
        self._room.set()
        if timer := self._timers.pop("reader", None):
            timer.cancel()

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
        self._inbox.append(payload)
        self._inbox_bytes += len(payload)
        self._arrived.set()
        if self._inbox_bytes > INBOX_BYTES_PAUSE and self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    async def _frames(self) -> AsyncIterator[bytes]:
        while True:
            while self._inbox:
                frame = self._inbox.popleft()
                paused = self._inbox_bytes > INBOX_BYTES_PAUSE
                self._inbox_bytes -= len(frame)
                if paused and self._inbox_bytes <= INBOX_BYTES_PAUSE and not self._ended and self._transport:
                    self._transport.underlying_transport.resume_reading()
                yield frame
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def _live(self, session: RealtimeSession) -> None:
        try:
            await session.run(self._frames())
        except Exception:
            log.exception("session failed")
            self.close(closes.INTERNAL)
        finally:
            self._on_end(self)

    def _expire(self) -> None:
        if self._events is not None:
            reason = closes.SESSION_EXPIRED.reason
            self.send(self._events.error(ProtocolError("session_expired", reason)))
        self.close(closes.SESSION_EXPIRED)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        self._room.set()
        self._inbox.clear()
        self._arrived.set()
        if self._task is None:
            self._on_end(self)
