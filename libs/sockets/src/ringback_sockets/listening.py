"""The server's side: bind, admit, and on the same port answer requests that have a body."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import aiofastnet
from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from ringback_errors import ConfigError

from ringback_sockets.front import Front
from ringback_sockets.http import OnRequest
from ringback_sockets.link import FRAME_BYTES_MAX
from ringback_sockets.upgrade import refusal

__all__ = ["listen"]

log: Final = logging.getLogger(__name__)
wire_log: Final = logging.getLogger(f"{__name__}.wire")
# One line for each connection and each health check is no news.
wire_log.setLevel(logging.WARNING)
PING_MS: Final = 20_000
READ_BYTES: Final = 16 * 1024
Admit = Callable[[WSUpgradeRequest], WSListener | WSUpgradeResponseWithListener | None]


async def listen(
    admit: Admit,
    *,
    host: str,
    port: int,
    shared: bool = False,
    ping_ms: int = PING_MS,
    on_request: OnRequest | None = None,
) -> tuple[asyncio.Server, int]:
    """Serve on host:port (0: a free one) and return the server with its port.

    `on_request` answers what is no GET; without it that gets 400. `shared`: other processes of the same user may listen
    there too, and the kernel deals new connections out among them (SO_REUSEPORT). A client that is silent for `ping_ms`
    must answer a ping within as long again, or its connection is lost. Raises ConfigError when the port can
    not be had, saying what to do. A fault in `admit` is answered with 500 and none of its text.
    """
    guarded = _guarded(admit)

    def protocol() -> Any:
        if on_request is None:
            return _websocket(guarded, ping_ms)
        return Front(upgrades=lambda: _websocket(guarded, ping_ms), on_request=on_request)

    try:
        server: asyncio.Server = await aiofastnet.create_server(
            asyncio.get_running_loop(), protocol, host=host, port=port, reuse_port=shared or None
        )
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            why = "it is in use: set RINGBACK_PORT (with make: PORT=) to another port, or to 0 for a free one"
        raise ConfigError(f"can not listen on {host}:{port}: {why}") from None
    return server, int(server.sockets[0].getsockname()[1])


def _websocket(admit: Admit, ping_ms: int) -> Any:
    """What `picows.ws_create_server` makes of a connection; that takes none that another has begun to read."""
    host_port = path = extra_headers = None
    client_side, disconnect_on_exception, handshake_s = False, True, 5
    auto_ping, auto_pong = True, True
    return WSProtocol(
        host_port,
        path,
        client_side,
        admit,
        wire_log,
        disconnect_on_exception,
        handshake_s,
        auto_ping,
        ping_ms / 1000,
        ping_ms / 1000,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        auto_pong,
        FRAME_BYTES_MAX,
        extra_headers,
        READ_BYTES,
    )


def _guarded(admit: Admit) -> Admit:
    def guarded(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        try:
            return admit(request)
        except Exception:
            log.exception("a request could not be judged")
            return refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, code="internal_error", message="The server has a fault."
            )

    return guarded
