"""In-memory twins of the brain and of the client's side of a session, for tests and dry runs."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from ringback_localmodel.domain.context import Call, Context, Say

__all__ = ["MemoryOutbox", "ScriptedBrain", "WaitingBrain"]


class ScriptedBrain:
    """Replies with the steps it was given, then with one sentence; keeps the contexts it saw."""

    def __init__(self, *replies: Iterable[Say | Call] | Exception) -> None:
        self._replies = deque(replies)
        self.contexts: list[Context] = []

    async def reply(self, context: Context) -> AsyncIterator[Say | Call]:
        self.contexts.append(context)
        reply = self._replies.popleft() if self._replies else [Say("I see.")]
        if isinstance(reply, Exception):
            raise reply
        for step in reply:
            yield step


class WaitingBrain:
    """Says one thing, then waits until it is let go."""

    def __init__(self) -> None:
        self.said = asyncio.Event()
        self.go_on = asyncio.Event()

    async def reply(self, context: Context) -> AsyncIterator[Say | Call]:
        yield Say("The first words are out.")
        self.said.set()
        await self.go_on.wait()
        yield Say("And the rest.")


class MemoryOutbox:
    """Keeps what was sent, and always has room."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    async def room(self) -> None:
        return None
