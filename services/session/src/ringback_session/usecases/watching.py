"""Who watches a call: each watcher gets its facts as they are made, through a bounded queue of its own.

Only a session's owner makes facts of it, so that there are no others to show: what another service found out later
comes as a fact of the owner's once it has taken it in, and after the end of the call not at all. Of a former owner's
the next one may publish some again, before anybody can watch it: whoever watches on is shown the call as it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from ringback_errors import Overloaded, Unavailable

from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned

__all__ = ["Watchers"]

WATCHERS_MAX = 64
FACTS_WAITING_MAX = 1_000
LOOK_MS = 500


class Watchers:
    """All watchers of this replica. A call never waits for one: who reads too slowly is let go."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Publish]]] = {}
        self._slow: set[asyncio.Queue[Publish]] = set()
        self._watching = 0

    def fact(self, fact: Publish, pinned: Pinned) -> None:
        for queue in self._queues.get(pinned.session_id, ()):
            if queue.full():
                self._slow.add(queue)
            else:
                queue.put_nowait(fact)

    @contextmanager
    def listening(self, session_id: str) -> Iterator[asyncio.Queue[Publish]]:
        """A queue in which the facts are put from now on: before anybody is shown the call. Raises Overloaded."""
        if self._watching >= WATCHERS_MAX:
            raise Overloaded(f"this replica has {WATCHERS_MAX} watchers, its limit", retry_after_ms=5_000)
        queue: asyncio.Queue[Publish] = asyncio.Queue(FACTS_WAITING_MAX)
        self._watching += 1
        self._queues.setdefault(session_id, set()).add(queue)
        try:
            yield queue
        finally:
            self._watching -= 1
            self._slow.discard(queue)
            self._queues[session_id].discard(queue)
            if not self._queues[session_id]:
                del self._queues[session_id]

    async def facts(
        self, queue: asyncio.Queue[Publish], *, held: Callable[[], bool]
    ) -> AsyncIterator[Publish]:
        """To the end of the call. Raises Overloaded for who reads too slowly; Unavailable once it is held elsewhere."""
        while True:
            fact = await self._next(queue)
            if fact is not None:
                yield fact
                if fact.kind == "session_ended":
                    return
            elif queue in self._slow:
                raise Overloaded(f"{FACTS_WAITING_MAX} facts were waiting to be read: watch again")
            elif not held():
                raise Unavailable("the call is not held here any more: watch again")

    async def _next(self, queue: asyncio.Queue[Publish]) -> Publish | None:
        try:
            async with asyncio.timeout(LOOK_MS / 1000):
                return await queue.get()
        except TimeoutError:
            return None
