"""Owns the words of progress of one call: sent in the order in which they were said, all before the reply."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

__all__ = ["CHARS_MAX", "WORDS_MAX", "Telling"]

_log = logging.getLogger(__name__)

# Of one call; the tools service passes on one a second at most.
WORDS_MAX: Final = 1_000
CHARS_MAX: Final = 240


class Telling:
    """Takes words from any thread and sends them to whoever made the call."""

    def __init__(self, message: Msg) -> None:
        self._message = message
        self._loop = asyncio.get_running_loop()
        self._due: deque[str] = deque()
        self._taken = 0
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    def __call__(self, word: str) -> None:
        """Send a word soon; never waits."""
        self._loop.call_soon_threadsafe(self._take, str(word)[:CHARS_MAX])

    async def close(self) -> None:
        """Send what is left; what is said later is not sent."""
        # Words that this call's function has said are in the loop's queue before this step of it.
        await asyncio.sleep(0)
        self._closed = True
        if self._sender is not None:
            await self._sender

    def _take(self, word: str) -> None:
        if self._closed or self._taken >= WORDS_MAX:
            return
        self._taken += 1
        self._due.append(word)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name="progress")

    async def _send(self) -> None:
        while self._due:
            word = orjson.dumps({"status": "progress", "message": self._due.popleft()})
            try:
                if self._message.reply:
                    await self._message.respond(word)
            except NatsError as error:
                # The call goes on; only its reply matters.
                _log.info("a word of progress was not sent: %s", type(error).__name__)
