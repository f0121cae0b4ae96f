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
# A connection that held for so long was a good one: what is lost later is a new loss.
LASTING_S = 10.0


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
        self._connected_s = 0.0
        self._losses = 0

    async def connect(self, context: str) -> None:
        """Connect, configure, rebuild. Raises Unavailable."""
        early: list[str] = []
        socket: ModelSocket | None = None

        def lost(reason: str) -> None:
            if socket is not None and self._socket is socket:
                self._lost(reason)
            else:
                early.append(reason)

        socket = await self._models.connect(on_frame=self._on_frame, on_lost=lost)
        if self._closed:
            socket.close()
            return
        if early:
            raise Unavailable(f"the model hung up at once: {early[0]}")
        self._socket = socket
        self._connected_s = asyncio.get_running_loop().time()
        backlog, self._backlog = self._backlog, []
        for frame in (*self._opening(context), *backlog):
            socket.send(frame)

    async def reconnect(self, context: Callable[[], Awaitable[str]]) -> bool:
        """Try with growing pauses, also between connections that do not last. False when the model stayed away."""
        while self._losses < RECONNECTS_MAX:
            if self._losses > 1:
                await asyncio.sleep(RECONNECT_BASE_MS * 2 ** (self._losses - 2) / 1000)
            if self._closed:
                return True
            try:
                await self.connect(await context())
            except Unavailable:
                self._losses += 1
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
        if self._socket is None or self._closed:
            return
        self._socket = None
        lasted_s = asyncio.get_running_loop().time() - self._connected_s
        self._losses = 1 if lasted_s > LASTING_S else self._losses + 1
        self._on_lost(reason)
