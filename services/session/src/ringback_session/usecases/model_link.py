"""The connection to the model: made, lost, made again with the conversation rebuilt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ringback_errors import Unavailable

from ringback_session.ports import Models, ModelSocket

__all__ = ["ModelLink"]

BACKLOG_MAX = 64
RECONNECTS_MAX = 8
RECONNECT_BASE_MS = 200


class ModelLink:
    """One call's way to the model, over any number of connections."""

    def __init__(
        self,
        *,
        models: Models,
        opening: Callable[[str], list[bytes]],
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._models = models
        self._opening = opening
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._socket: ModelSocket | None = None
        self._backlog: list[bytes] = []
        self._closed = False

    async def connect(self, context: str) -> None:
        """Connect, configure, rebuild. Raises Unavailable."""
        self._socket = await self._models.connect(on_frame=self._on_frame, on_lost=self._lost)
        backlog, self._backlog = self._backlog, []
        for frame in (*self._opening(context), *backlog):
            self._socket.send(frame)

    async def reconnect(self, context: Callable[[], Awaitable[str]]) -> bool:
        """Try with growing pauses. False when the model stayed away."""
        for attempt in range(RECONNECTS_MAX):
            if self._closed:
                return True
            try:
                await self.connect(await context())
            except Unavailable:
                await asyncio.sleep(RECONNECT_BASE_MS * 2**attempt / 1000)
            else:
                return True
        return False

    def audio(self, frame: bytes) -> None:
        """The caller's audio, verbatim. While the model is away it is lost: a bridge tells the caller."""
        if self._socket is not None:
            self._socket.send(frame)

    def send(self, frame: bytes, *, keep: bool = False) -> None:
        """While the model is away only requests for speech are kept: all else is in the history."""
        if self._socket is not None:
            self._socket.send(frame)
        elif keep and len(self._backlog) < BACKLOG_MAX:
            self._backlog.append(frame)

    def close(self) -> None:
        self._closed = True
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()

    def _lost(self, reason: str) -> None:
        if self._socket is not None and not self._closed:
            self._socket = None
            self._on_lost(reason)
