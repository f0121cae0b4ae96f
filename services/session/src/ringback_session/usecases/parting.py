"""How a call leaves this replica for another one: what it is gets written down whole, then it stops here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback_realtime import Close
from ringback_realtime.closes import GOING_AWAY

from ringback_session.usecases.bounds import FENCED
from ringback_session.usecases.keeping import Keeper

__all__ = ["Parting"]


class Parting:
    """Of one call; it happens once, whoever asks, and goes on when who asked has given up."""

    def __init__(
        self, keeper: Keeper, *, wait_ms: int, stop: Callable[[], None], leave: Callable[[Close], None]
    ) -> None:
        self._keeper = keeper
        self._wait_ms = wait_ms
        self._stop = stop
        self._leave = leave
        self._under_way: asyncio.Task[None] | None = None

    async def hand_over(self, close: Close = GOING_AWAY) -> None:
        """Leave the call to whoever resumes it, also when the record could not be written in time. Raises Fenced."""
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(self._part(close))
        await asyncio.shield(self._under_way)

    async def release(self) -> None:
        """Leave the call to another owner, who waits for it. Raises Unavailable while the store is away: it goes on."""
        if self._under_way is None:
            # Most of what there is to write; and the proof that the last write will be a short one.
            await self._keeper.write()
        await self.hand_over(FENCED)

    async def _part(self, close: Close) -> None:
        # What moved after the last write would be known to nobody: the call stands still first.
        self._stop()
        await self._keeper.write_within(self._wait_ms)
        self._leave(close)
