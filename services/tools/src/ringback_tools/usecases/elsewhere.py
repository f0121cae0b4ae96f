"""Owns what one replica asks of the others about actions that they run."""

from __future__ import annotations

import asyncio
from typing import Final

from ringback_tools.domain.notes import Note, Said, StopAsked, Stopped
from ringback_tools.ports import Siblings

__all__ = ["Elsewhere"]

# Whoever runs the action answers at once; nobody answers for one that nobody runs.
ANSWER_MS: Final = 500

_Key = tuple[str, str, str]


class Elsewhere:
    """The executions of the other replicas."""

    def __init__(self, *, siblings: Siblings) -> None:
        self._siblings = siblings
        # Bounded by the calls of Cancel that are being served.
        self._asking: dict[_Key, set[asyncio.Future[None]]] = {}

    async def stop(self, key: _Key, *, epoch: int) -> bool:
        """Ask whoever runs it to stop it; false if nobody says in time that it did."""
        stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asking = self._asking.setdefault(key, set())
        asking.add(stopped)
        try:
            self._siblings.tell(Note(key, StopAsked(epoch)))
            async with asyncio.timeout(ANSWER_MS / 1000):
                await stopped
            return True
        except TimeoutError:
            return False
        finally:
            asking.discard(stopped)
            if not asking:
                self._asking.pop(key, None)

    def was_stopped(self, key: _Key) -> None:
        """Somebody says that it stopped it."""
        for stopped in self._asking.get(key, ()):
            if not stopped.done():
                stopped.set_result(None)

    def tell_stopped(self, key: _Key) -> None:
        """Say that it was stopped here."""
        self._siblings.tell(Note(key, Stopped()))

    def tell_said(self, key: _Key, message: str) -> None:
        """Pass on what a tool says, for those who watch it elsewhere."""
        self._siblings.tell(Note(key, Said(message)))
