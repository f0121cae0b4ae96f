"""The client's side: connect within a time, with a clear word on what is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from picows import WSError, ws_connect
from ringback_errors import Unavailable

from ringback_sockets.link import FRAME_BYTES_MAX, RealtimeLink

__all__ = ["dial"]

log: Final = logging.getLogger(__name__)


async def dial(
    url: str, *, link: RealtimeLink, headers: Mapping[str, str] | None = None, timeout_ms: int = 5_000
) -> RealtimeLink:
    """Connect `link` to a Realtime server. Raises Unavailable, naming the address but never the headers."""
    where = url.partition("?")[0]
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await ws_connect(
                lambda: link,
                url,
                extra_headers=dict(headers or {}),
                max_frame_size=FRAME_BYTES_MAX,
                logger_name=log,
                max_redirects=0,
                enable_auto_ping=True,
                auto_ping_idle_timeout=20,
                auto_ping_reply_timeout=20,
            )
    except TimeoutError:
        raise Unavailable(f"{where} did not answer within {timeout_ms} ms") from None
    except (OSError, WSError) as error:
        raise Unavailable(f"{where} can not be reached: {_why(error)}") from None
    return link


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
