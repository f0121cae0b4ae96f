"""The server: listens, admits connections within a bound, tells its health, and drains."""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from ringback_errors import ConfigError
from ringback_realtime import ServerEvents, closes

from ringback_localmodel.server.admission import (
    REALTIME_PATH,
    key_fits,
    model_of,
    path_of,
    presented_key,
    refusal,
    subprotocol,
)
from ringback_localmodel.server.connection import FRAME_BYTES_MAX, Connection
from ringback_localmodel.settings import LocalModelSettings
from ringback_localmodel.usecases.session import RealtimeSession

__all__ = ["HEALTH_PATH", "RealtimeServer"]

HEALTH_PATH: Final = "/healthz"
RETRY_AFTER_S: Final = 1
CLOSE_S: Final = 1
# One line for each connection and each health check is no news.
wire_log = logging.getLogger(f"{__name__}.wire")
wire_log.setLevel(logging.WARNING)
SessionFactory = Callable[[Connection, str | None], tuple[RealtimeSession, ServerEvents]]


class RealtimeServer:
    """Serves sessions once ``open_for`` has given it a way to make them; until then it says it is not ready."""

    def __init__(self, settings: LocalModelSettings) -> None:
        self._settings = settings
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
        host, port = self._settings.host, self._settings.port
        try:
            self._server = await ws_create_server(
                self._admit, host, port, max_frame_size=FRAME_BYTES_MAX, logger_name=wire_log
            )
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            why = "it is in use: choose another RINGBACK_PORT" if in_use else error.strerror or str(error)
            raise ConfigError(f"can not listen on {host}:{port}: {why}") from None
        return int(self._server.sockets[0].getsockname()[1])

    def open_for(self, factory: SessionFactory) -> None:
        """Admit sessions from now on."""
        self._factory = factory

    async def drain(self, *, drain_ms: int) -> None:
        """Admit nobody, let sessions end by themselves for ``drain_ms``, then close the rest."""
        self._draining = True
        if self._server is not None:
            self._server.close()
        await self._quiet_within(drain_ms / 1000)
        for connection in list(self._connections):
            connection.close(closes.GOING_AWAY)
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

    def _admit(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        path = path_of(request)
        if path == HEALTH_PATH:
            return WSUpgradeResponseWithListener(self._health(), None)
        if path != REALTIME_PATH:
            message = f"Nothing is here; sessions are at {REALTIME_PATH}."
            return _refuse(HTTPStatus.NOT_FOUND, "not_found", message)
        if not key_fits(presented_key(request), expected=self._settings.key):
            return _refuse(HTTPStatus.UNAUTHORIZED, "invalid_api_key", "The key is missing or wrong.")
        if self._factory is None or self._draining:
            return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "Not ready for sessions.")
        if len(self._connections) >= self._settings.sessions_max:
            message = f"At most {self._settings.sessions_max} sessions at once."
            return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_sessions", message)
        connection = self._connection(self._factory, model_of(request))
        headers = subprotocol(request)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), connection)

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

    def _health(self) -> WSUpgradeResponse:
        ready = self._factory is not None and not self._draining
        if ready:
            response: WSUpgradeResponse = WSUpgradeResponse.create_ok_response(b"ok\n")
            return response
        return refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, code="not_ready", message="The speech models are not loaded."
        )


def _refuse(status: HTTPStatus, code: str, message: str) -> WSUpgradeResponseWithListener:
    retry = RETRY_AFTER_S if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return WSUpgradeResponseWithListener(
        refusal(status, code=code, message=message, retry_after_s=retry), None
    )
