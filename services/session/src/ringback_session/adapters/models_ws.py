"""The realtime model over its WebSocket, at whatever compatible server the settings name."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from ringback_sockets import FRAME_BYTES_MAX, Closed, RealtimeLink, dial
from ringback_telemetry import names, span

from ringback_session.ports import ModelSocket

__all__ = ["ModelsOverWebSocket"]

CONNECT_TIMEOUT_MS = 5_000
# The largest message of a client, and what may wait behind it.
OUTBOX_BYTES_MAX = FRAME_BYTES_MAX + 8 * 1024 * 1024


class ModelsOverWebSocket:
    """Implements `ports.Models`."""

    def __init__(self, *, url: str, model: str, api_key: str) -> None:
        mark = "&" if "?" in url else "?"
        self._url = f"{url}{mark}{urlencode({'model': model})}" if model else url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def connect(
        self, *, on_frame: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> ModelSocket:
        link = RealtimeLink(outbox_bytes_max=OUTBOX_BYTES_MAX)
        with span(names.Span.MODEL_CONNECT):
            await dial(self._url, link=link, headers=self._headers, timeout_ms=CONNECT_TIMEOUT_MS)

        def lost(closed: Closed) -> None:
            on_lost(f"closed_{closed.code}")

        link.take(on_frame, lost)
        return link
