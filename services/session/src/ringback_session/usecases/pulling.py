"""What memory holds of a call, asked for once for all who want it, and not while something is done for the caller.

A turn wants memory's word when the caller was heard and at each reply's end. Soon after one another these are one
question, asked when the facts that it is about have long left; only what an action waits for is asked at once.
"""

from __future__ import annotations

import asyncio

from ringback_session.domain import inputs
from ringback_session.domain.effects import PullContext
from ringback_session.ports import Memory, Pinned
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.keeping import Keeper

__all__ = ["ContextPulls"]


class ContextPulls:
    """The questions of one call; the answer to each is an input of the core."""

    def __init__(self, *, memory: Memory, keeper: Keeper, feed: Feed, gather_ms: int) -> None:
        self._memory = memory
        self._keeper = keeper
        self._feed = feed
        self._gather_s = gather_ms / 1000
        # The newest fact that the next answer must know of; None while nobody wants one.
        self._wanted: tuple[int, int] | None = None

    async def pull(self, effect: PullContext, pinned: Pinned) -> None:
        """Returns when it was asked and answered, or somebody else will ask for it too."""
        wanted, gathering = (effect.min_epoch, effect.min_seq), self._wanted
        self._wanted = wanted if gathering is None else max(wanted, gathering)
        if not effect.at_once:
            if gathering is not None:
                return
            await asyncio.sleep(self._gather_s)
            await self._keeper.give_way()
        due = self._due()
        if due is not None:
            await self._ask(due, pinned)

    def _due(self) -> tuple[int, int] | None:
        """What to ask for now; None if that was done already, for somebody who could not wait."""
        due, self._wanted = self._wanted, None
        return due

    async def _ask(self, wanted: tuple[int, int], pinned: Pinned) -> None:
        self._keeper.hurry()
        known = await self._memory.context(pinned, min_epoch=wanted[0], min_seq=wanted[1])
        if known is None:
            self._feed(inputs.ContextMissed())
            return
        as_of = (known.as_of_epoch, known.as_of_seq)
        self._feed(inputs.ContextArrived(slots=known.slots, as_of=as_of, plan=known.plan, stale=known.stale))
