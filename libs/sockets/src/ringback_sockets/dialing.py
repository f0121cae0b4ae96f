"""The client's side: connect within a time, with a clear word on what is wrong.

RingbackError
└── Unavailable          nobody there, or no answer in time
    └── UpgradeRefused   the server answered, and said no
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import orjson
from picows import WSError, WSInvalidStatusError, ws_connect
from ringback_errors import Unavailable

from ringback_sockets.link import FRAME_BYTES_MAX, RealtimeLink

__all__ = ["UpgradeRefused", "dial"]

log: Final = logging.getLogger(__name__)
# One line for each connection that comes and goes is no news.
log.setLevel(logging.WARNING)
SAID_CHARS_MAX: Final = 300


class UpgradeRefused(Unavailable):
    """The server refused the upgrade: with which HTTP status, and in which words."""

    def __init__(self, where: str, *, status: int, said: str, retry_after_ms: int | None = None) -> None:
        super().__init__(
            f"{where}: refused with HTTP {status}{': ' + said if said else ''}", retry_after_ms=retry_after_ms
        )
        self.status = status
        self.said = said


async def dial(
    url: str,
    *,
    link: RealtimeLink,
    headers: Mapping[str, str] | None = None,
    timeout_ms: int = 5_000,
    ping_idle_ms: int = 20_000,
    pong_wait_ms: int = 20_000,
) -> RealtimeLink:
    """Connect `link` to a Realtime server; one that is silent for `ping_idle_ms` must answer a ping in `pong_wait_ms`.

    Raises Unavailable or UpgradeRefused. These name the server, but neither path, query nor headers: a resume token
    or a key may be in any of them.
    """
    where = _address(url)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await ws_connect(
                lambda: link,
                url,
                extra_headers=dict(headers or {}),
                max_frame_size=FRAME_BYTES_MAX,
                logger_name=log,
                max_redirects=0,
                # Before the limit around it: one that is cut off from outside would leave its socket behind.
                websocket_handshake_timeout=timeout_ms * 0.9 / 1000,
                ssl_context=_tls() if url.startswith("wss:") else None,
                enable_auto_ping=True,
                auto_ping_idle_timeout=ping_idle_ms / 1000,
                auto_ping_reply_timeout=pong_wait_ms / 1000,
            )
    except TimeoutError:
        raise Unavailable(f"{where}: did not answer within {timeout_ms} ms") from None
    except WSInvalidStatusError as refused:
        raise _refusal(where, refused) from None
    except (OSError, WSError, ValueError) as error:
        raise Unavailable(f"{where}: cannot connect: {_why(error)}") from None
    if not link.connected:
        # The library below takes the end of the connection for the end of the handshake.
        raise Unavailable(f"{where}: hung up before it answered")
    return link


@cache
def _tls() -> ssl.SSLContext:
    """One context for all connections: to read the system's authorities again for each would hold up the loop."""
    return ssl.create_default_context()


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        return "this address"


def _refusal(where: str, refused: WSInvalidStatusError) -> Unavailable:
    response = refused.response
    if response is None:
        return Unavailable(f"{where}: refused the upgrade")
    wait_s = response.headers.get("Retry-After", "")
    return UpgradeRefused(
        where,
        status=int(response.status),
        said=_message_of(bytes(refused.raw_body or b"")),
        retry_after_ms=int(wait_s) * 1000 if wait_s.isdecimal() and len(wait_s) < 7 else None,
    )


def _message_of(body: bytes) -> str:
    """The message of an error body in the protocol's shape, else the body itself."""
    try:
        return str(orjson.loads(body)["error"]["message"])[:SAID_CHARS_MAX]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:SAID_CHARS_MAX]


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionError) and error.errno:
        # The event loop's own words name the address.
        return os.strerror(error.errno)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "this is no WebSocket server" if isinstance(error, WSError) else "expected a ws:// or wss:// URL"
