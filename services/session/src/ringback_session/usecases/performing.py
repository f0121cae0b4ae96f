"""The effects that ask other services: each ends as an input of the core."""

from __future__ import annotations

import orjson
from ringback_errors import Fenced

from ringback_session.domain import effects, inputs
from ringback_session.domain.effects import (
    AskPolicy,
    Execute,
    FetchFact,
    FetchPacket,
    PullContext,
    ReadConsent,
)
from ringback_session.ports import Memory, Pinned, Policy, Tools
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.keeping import Keeper

__all__ = ["Performer"]


class Performer:
    """Carries out what takes time, and feeds the answer back."""

    def __init__(
        self,
        *,
        policy: Policy,
        tools: Tools,
        memory: Memory,
        keeper: Keeper,
        pinned: Pinned,
        feed: Feed,
        journal_wait_ms: int,
    ) -> None:
        self._policy = policy
        self._tools = tools
        self._memory = memory
        self._keeper = keeper
        self._pinned = pinned
        self._feed = feed
        self._journal_wait_ms = journal_wait_ms

    async def perform(self, effect: effects.Effect) -> None:
        match effect:
            case AskPolicy():
                self._feed(await self._policy.decide(effect, self._pinned))
            case ReadConsent():
                self._feed(await self._policy.read_consent(effect, self._pinned))
            case FetchFact():
                self._feed(await self._tools.fetch(effect, self._pinned))
            case Execute():
                async for event in self._tools.execute(effect, self._pinned):
                    self._feed(event)
            case effects.Journal():
                await self._journal(effect.action_id)
            case FetchPacket():
                await self._packet(effect)
            case PullContext():
                await self._context(effect)
            case _:
                raise TypeError(f"{type(effect).__name__} takes no time")

    async def _journal(self, action_id: str) -> None:
        try:
            written = await self._keeper.write_within(self._journal_wait_ms)
        except Fenced:
            return
        if written:
            self._feed(inputs.Journalled(action_id=action_id))
        else:
            self._feed(inputs.JournalFailed(action_id=action_id, reason="journal_unavailable"))

    async def _packet(self, effect: FetchPacket) -> None:
        packet = await self._memory.packet(effect, self._pinned)
        if packet is None:
            packet = orjson.dumps(effect.fallback).decode()
        self._feed(inputs.PacketReady(packet_json=packet))

    async def _context(self, effect: PullContext) -> None:
        known = await self._memory.context(self._pinned, min_epoch=effect.min_epoch, min_seq=effect.min_seq)
        if known is not None:
            as_of = (known.as_of_epoch, known.as_of_seq)
            self._feed(inputs.ContextArrived(slots=known.slots, as_of=as_of, plan=known.plan))
