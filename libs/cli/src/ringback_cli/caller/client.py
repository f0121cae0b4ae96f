"""Owns the connection of a Realtime client: one WebSocket, JSON events both ways."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)
from ringback_errors import InvalidInput, Unauthenticated, Unavailable

__all__ = ["Event", "RealtimeClient", "realtime_url"]

Event = dict[str, Any]
_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_HANDSHAKE_S = 10.0
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

    def __init__(self, transport: WSTransport, listener: _Listener) -> None:
        self._transport = transport
        self._listener = listener

    @classmethod
    async def connect(cls, url: str, *, api_key: str, on_event: Callable[[Event], None]) -> RealtimeClient:
        """Open the WebSocket; Unauthenticated or Unavailable say why it cannot be."""
        try:
            transport, listener = await ws_connect(
                lambda: _Listener(on_event),
                url,
                websocket_handshake_timeout=_HANDSHAKE_S,
                max_frame_size=_MESSAGE_BYTES_MAX,
                extra_headers={"Authorization": f"Bearer {api_key}"},
            )
        except WSInvalidStatusError as refused:
            raise _refusal(url, refused) from None
        except (OSError, TimeoutError, WSHandshakeError) as error:
            raise Unavailable(
                f"{url}: cannot connect ({error or type(error).__name__}); is the stack up?"
            ) from None
        assert isinstance(listener, _Listener)
        return cls(transport, listener)

    @property
    def resume_token(self) -> str:
        """The credential for taking this call up again after a lost connection."""
        response = self._transport.response
        return str(response.headers.get(_RESUME_HEADER, "")) if response is not None else ""

    @property
    def closed(self) -> asyncio.Event:
        return self._listener.closed

    @property
    def close_reason(self) -> str:
        """Why the connection ended; empty while it is open."""
        return self._listener.reason

    def send(self, event: Mapping[str, Any]) -> None:
        """Send one client event; nothing happens on a closed connection."""
        if not self._listener.closed.is_set():
            self._transport.send(WSMsgType.TEXT, orjson.dumps(event))

    def send_audio(self, pcm: bytes) -> None:
        """Send one frame of PCM16."""
        if not self._listener.closed.is_set():
            audio = binascii.b2a_base64(pcm, newline=False)
            self._transport.send(
                WSMsgType.TEXT, b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'
            )

    async def close(self) -> None:
        """Say goodbye and wait a moment for the other side."""
        if not self._listener.closed.is_set():
            self._transport.send_close(WSCloseCode.OK)
            try:
                async with asyncio.timeout(2):
                    await self._listener.closed.wait()
            except TimeoutError:
                self._transport.disconnect()

    def drop(self) -> None:
        """Cut the connection without goodbye, as a lost network does."""
        self._transport.disconnect(graceful=False)


class _Listener(WSListener):  # type: ignore[misc, unused-ignore]
    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self.closed = asyncio.Event()
        self.reason = ""
        self._on_event = on_event
        self._parts: list[bytes] = []
        self._size = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._take(transport, frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            code = frame.get_close_code()
            self.reason = f"{code.value} {frame.get_close_reason() or ''}".strip()
            if not transport.is_close_frame_sent:
                transport.send_close(code)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.reason = self.reason or "the connection was lost"
        self.closed.set()

    def _take(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        self._size += len(payload)
        if self._size > _MESSAGE_BYTES_MAX:
            self.reason = "a server event was larger than 16 MiB"
            transport.disconnect(graceful=False)
            return
        self._parts.append(payload)
        if frame.fin:
            message = b"".join(self._parts)
            self._parts, self._size = [], 0
            self._on_event(orjson.loads(message))


def _refusal(url: str, refused: WSInvalidStatusError) -> Unauthenticated | Unavailable:
    said, response = _message_of(bytes(refused.raw_body or b"")), refused.response
    if response is None:
        return Unavailable(f"{url}: {refused}")
    if response.status in (401, 403):
        return Unauthenticated(f"{url}: the key is not accepted ({said or int(response.status)})")
    wait_s = response.headers.get("Retry-After")
    return Unavailable(
        f"{url}: refused with HTTP {int(response.status)}{': ' + said if said else ''}",
        retry_after_ms=int(wait_s) * 1000 if wait_s and wait_s.isdecimal() else None,
    )


def _message_of(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:300]
