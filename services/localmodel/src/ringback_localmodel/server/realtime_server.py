"""The server: listens, admits connections within a bound, says texts aloud, tells its health, and drains."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from picows import WSUpgradeRequest, WSUpgradeResponseWithListener
from ringback_realtime import ServerEvents, closes
from ringback_sockets import accepted, listen, read_upgrade, text_answer

from ringback_localmodel.ports import Synthesiser
from ringback_localmodel.server.admission import HEALTH_PATH, Admission, not_ready
from ringback_localmodel.server.connection import Connection
from ringback_localmodel.server.speech_http import SpeechHttp
from ringback_localmodel.settings import LocalModelSettings
from ringback_localmodel.usecases.session import RealtimeSession

__all__ = ["RealtimeServer", "SessionFactory"]

CLOSE_S: Final = 1
SessionFactory = Callable[[Connection, str | None], tuple[RealtimeSession, ServerEvents]]


class RealtimeServer:
    """Serves sessions once ``open_for`` has given it a way to make them; until then it says it is not ready."""

    def __init__(self, settings: LocalModelSettings) -> None:
        self._settings = settings
        self._admission = Admission(key=settings.key, sessions_max=settings.sessions_max)
        self._speech = SpeechHttp(self._admission)
        self._factory: SessionFactory | None = None
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._draining = False
        self._ended = asyncio.Event()

    @property
    def sessions(self) -> int:
        return len(self._connections)

    async def listen(self) -> int:
        """Bind and return the port. Raises ConfigError when the port can not be had."""
        self._server, port = await listen(
            self._admit, host=self._settings.host, port=self._settings.port, on_request=self._speech
        )
        return port

    def open_for(self, factory: SessionFactory, *, mouth: Synthesiser) -> None:
        """Admit sessions, and texts to say, from now on."""
        self._factory = factory
        self._speech.open_for(mouth)

    async def drain(self, *, drain_ms: int) -> None:
        """Admit nobody, let sessions end by themselves for ``drain_ms``, then close the rest."""
        self._draining = True
        self._speech.close()
        if self._server is not None:
            self._server.close()
        await self._quiet_within(drain_ms / 1000)
        rest = list(self._connections)
        for connection in rest:
            connection.close(closes.GOING_AWAY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(*(connection.link.wait_closed() for connection in rest))
        for connection in rest:
            connection.link.abort()
        await self._quiet_within(CLOSE_S)

    async def wait_for_sessions(self, *, at_most: int) -> None:
        """Return once no more than so many sessions are open."""
        while len(self._connections) > at_most:
            self._ended.clear()
            await self._ended.wait()

    async def _quiet_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait_for_sessions(at_most=0)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ended.set()

    def _admit(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        upgrade = read_upgrade(request)
        factory = None if self._draining else self._factory
        if upgrade.path == HEALTH_PATH:
            return text_answer("ok\n") if factory else not_ready("The speech models are not loaded.")
        refused = self._admission.refuse(upgrade, ready=factory is not None, sessions=len(self._connections))
        if refused is not None or factory is None:
            return refused or not_ready("Not ready for sessions.")
        return accepted(upgrade, self._connection(factory, upgrade.model).link)

    def _connection(self, factory: SessionFactory, model: str | None) -> Connection:
        def start(connection: Connection) -> tuple[RealtimeSession, ServerEvents]:
            self._connections.add(connection)
            return factory(connection, model)

        return Connection(
            start=start,
            on_end=self._forget,
            slow_reader_ms=self._settings.slow_reader_ms,
            session_ms_max=self._settings.session_ms_max,
        )
