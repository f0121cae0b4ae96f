"""The server's side: bind, admit."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener, ws_create_server
from ringback_errors import ConfigError

from ringback_sockets.link import FRAME_BYTES_MAX
from ringback_sockets.upgrade import refusal

__all__ = ["listen"]

log: Final = logging.getLogger(__name__)
wire_log: Final = logging.getLogger(f"{__name__}.wire")
# One line for each connection and each health check is no news.
wire_log.setLevel(logging.WARNING)
Admit = Callable[[WSUpgradeRequest], WSListener | WSUpgradeResponseWithListener | None]


async def listen(admit: Admit, *, host: str, port: int) -> tuple[asyncio.Server, int]:
    """Serve on host:port (0: a free one) and return the server with its port.

    Raises ConfigError when the port can not be had, saying what to do. A fault in `admit` is answered with 500 and
    none of its text.
    """
    try:
        server = await ws_create_server(
            _guarded(admit),
            host,
            port,
            max_frame_size=FRAME_BYTES_MAX,
            logger_name=wire_log,
            enable_auto_ping=True,
            auto_ping_idle_timeout=20,
            auto_ping_reply_timeout=20,
        )
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            why = "it is in use: set RINGBACK_PORT (with make: PORT=) to another port, or to 0 for a free one"
        raise ConfigError(f"can not listen on {host}:{port}: {why}") from None
    return server, int(server.sockets[0].getsockname()[1])


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
