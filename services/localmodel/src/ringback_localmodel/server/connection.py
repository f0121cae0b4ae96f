"""One connection's session: its start, its longest life, and that its failure stays its own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from ringback_realtime import Close, ProtocolError, ServerEvents, closes
from ringback_sockets import RealtimeLink

from ringback_localmodel.usecases.session import RealtimeSession

__all__ = ["Connection"]

log: Final = logging.getLogger(__name__)


class Connection:
    """Carries one session over `link`; whatever goes wrong in it ends this connection and no other."""

    def __init__(
        self,
        *,
        start: Callable[["Connection"], tuple[RealtimeSession, ServerEvents]],
        on_end: Callable[["Connection"], None],
        slow_reader_ms: int,
        session_ms_max: int,
    ) -> None:
        self.link = RealtimeLink(on_open=self._on_open, slow_reader_ms=slow_reader_ms)
        self._start = start
        self._on_end = on_end
        self._session_s = session_ms_max / 1000
        self._task: asyncio.Task[None] | None = None

    def send(self, frame: bytes) -> None:
        """Queue one event; a client that lets too much pile up is cut off."""
        self.link.send(frame)

    async def room(self) -> None:
        await self.link.room()

    def close(self, close: Close) -> None:
        """Say why and hang up; what the session still does is cancelled."""
        self.link.close(close)

    def _on_open(self, link: RealtimeLink) -> None:
        session, events = self._start(self)
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(self._session_s, self._expire, events)
        self._task = loop.create_task(self._live(session))
        self._task.add_done_callback(lambda _: expiry.cancel())

    async def _live(self, session: RealtimeSession) -> None:
        try:
            await session.run(self._frames())
        except Exception:
            log.exception("session failed")
            self.close(closes.INTERNAL)
        finally:
            self.link.close()
            self._on_end(self)

    async def _frames(self) -> AsyncIterator[bytes]:
        async for frame in self.link.messages():
            if not self.link.open:
                # Nobody is there for the answers.
                return
            yield frame

    def _expire(self, events: ServerEvents) -> None:
        expired = closes.session_expired(round(self._session_s * 1000))
        self.send(events.error(ProtocolError("session_expired", expired.reason)))
        self.close(expired)
