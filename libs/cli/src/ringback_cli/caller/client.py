"""Owns the connection of a Realtime client: one WebSocket, JSON events both ways."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from ringback_errors import InvalidInput, Unauthenticated, Unavailable
from ringback_realtime import closes
from ringback_sockets import Closed, RealtimeLink, UpgradeRefused, dial

__all__ = ["Event", "RealtimeClient", "realtime_url"]

Event = dict[str, Any]
_HANDSHAKE_MS = 10_000
_RESUME_HEADER = "Ringback-Resume-Token"


def realtime_url(base: str, *, pack: str = "", resume_token: str = "", model: str = "") -> str:
    """The WebSocket URL for a base such as `http://127.0.0.1:8080/v1`."""
    parts = urlsplit(base)
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise InvalidInput(
            f"url: something like http://127.0.0.1:8080/v1 expected, got {base!r}", field="url"
        )
    prefix = f"/r/{resume_token}" if resume_token else f"/p/{pack}" if pack else ""
    path = parts.path.rstrip("/").removesuffix("/realtime") or "/v1"
    query = f"?model={model}" if model else ""
    return f"{schemes[parts.scheme]}://{parts.netloc}{prefix}{path}/realtime{query}"


class RealtimeClient:
    """An open connection. `on_event` gets every server event, in order, in the event loop."""

    def __init__(self, link: RealtimeLink, on_event: Callable[[Event], None]) -> None:
        self._link = link
        self._on_event = on_event
        self.closed = asyncio.Event()
        self.close_reason = ""
        """Why the connection ended; empty while it is open."""
        link.take(self._take, self._ended)

    @classmethod
    async def connect(cls, url: str, *, api_key: str, on_event: Callable[[Event], None]) -> RealtimeClient:
        """Open the WebSocket; Unauthenticated or Unavailable say why it cannot be."""
        headers = {"Authorization": f"Bearer {api_key}"}
        try:
            link = await dial(url, link=RealtimeLink(), headers=headers, timeout_ms=_HANDSHAKE_MS)
        except UpgradeRefused as refused:
            if refused.status in (401, 403):
                said = refused.said or str(refused.status)
                raise Unauthenticated(f"{url}: the key is not accepted ({said})") from None
            raise
        except Unavailable as error:
            raise Unavailable(f"{error}; is the stack up?") from None
        return cls(link, on_event)

    @property
    def resume_token(self) -> str:
        """The credential for taking this call up again after a lost connection."""
        return self._link.response_headers.get(_RESUME_HEADER, "")

    def send(self, event: Mapping[str, Any]) -> None:
        """Send one client event; nothing happens on a closed connection."""
        self._link.send(orjson.dumps(event))

    def send_audio(self, pcm: bytes) -> None:
        """Send one frame of PCM16."""
        audio = binascii.b2a_base64(pcm, newline=False)
        self._link.send(b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}')

    async def close(self) -> None:
        """Say goodbye and wait a moment for the other side."""
        self._link.close(closes.NORMAL)
        try:
            async with asyncio.timeout(2):
                await self._link.wait_closed()
        except TimeoutError:
            self._link.abort()

    def drop(self) -> None:
        """Cut the connection without goodbye, as a lost network does."""
        self._link.abort()

    def _take(self, message: bytes) -> None:
        self._on_event(orjson.loads(message))

    def _ended(self, closed: Closed) -> None:
        lost = closed.code == 1006
        self.close_reason = closed.reason if lost else f"{closed.code} {closed.reason}".strip()
        self.closed.set()
