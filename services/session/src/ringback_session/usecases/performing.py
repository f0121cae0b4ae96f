"""The effects that ask other services: each ends as an input of the core."""

from __future__ import annotations

import asyncio

import orjson
from ringback_errors import Fenced, RingbackError

from ringback_session.domain import effects, inputs
from ringback_session.domain.agents import AgentCard
from ringback_session.domain.effects import (
    AskPolicy,
    AskText,
    Execute,
    FetchAgent,
    FetchFact,
    FetchPacket,
    PullContext,
    ReadConsent,
    Recall,
    RefreshValue,
)
from ringback_session.ports import Memory, Pinned, Policy, Tools
from ringback_session.usecases.agents import Agents
from ringback_session.usecases.bounds import Limits
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.keeping import Keeper
from ringback_session.usecases.pulling import ContextPulls
from ringback_session.usecases.voicing import Voicing
from ringback_session.views.metering import Metering

__all__ = ["TAKES_TIME", "Performer"]

# What asks another service; everything else is carried out on the spot.
TAKES_TIME = (
    AskPolicy,
    AskText,
    ReadConsent,
    FetchFact,
    FetchAgent,
    Execute,
    effects.Journal,
    effects.PersistNow,
    effects.SpeakByPort,
    FetchPacket,
    PullContext,
    Recall,
    RefreshValue,
)
# An agent that takes the call over does not wait longer for what memory knows of it.
BRIEF_WAIT_S = 0.6


class Performer:
    """Carries out what takes time, and feeds the answer back."""

    def __init__(
        self,
        *,
        policy: Policy,
        tools: Tools,
        memory: Memory,
        agents: Agents,
        keeper: Keeper,
        pinned: Pinned,
        feed: Feed,
        limits: Limits,
        metering: Metering,
        voicing: Voicing,
    ) -> None:
        self._voicing = voicing
        self._policy = policy
        self._tools = tools
        self._memory = memory
        self._agents = agents
        self._keeper = keeper
        self.pinned = pinned
        self._feed = feed
        self._metering = metering
        self._journal_wait_ms = limits.journal_wait_ms
        self._pulls = ContextPulls(
            memory=memory, keeper=keeper, feed=feed, gather_ms=limits.context_gather_ms
        )

    async def perform(self, effect: effects.Effect) -> None:
        match effect:
            case AskPolicy():
                with self._keeper.pressing():
                    self._feed(await self._policy.decide(effect, self.pinned))
            case ReadConsent():
                self._feed(await self._policy.read_consent(effect, self.pinned))
            case FetchFact():
                self._feed(await self._tools.fetch(effect, self.pinned))
            case Execute():
                with self._keeper.pressing():
                    async for event in self._tools.execute(effect, self.pinned):
                        self._feed(event)
            case effects.PersistNow():
                await self._keeper.write_or_retry()
            case effects.Journal():
                with self._keeper.pressing():
                    await self._journal(effect.action_id)
            case FetchPacket():
                await self._packet(effect)
            case PullContext():
                await self._pulls.pull(effect, self.pinned)
            case _:
                await self._perform_rest(effect)

    async def _perform_rest(self, effect: effects.Effect) -> None:
        match effect:
            case FetchAgent():
                await self._agent(effect)
            case effects.SpeakByPort():
                await self._voicing.speak(effect)
            case AskText():
                answered = await self._agents.answer(effect)
                self._feed(*self._metering.consulted(answered), answered)
            case Recall():
                await self._recall(effect)
            case RefreshValue():
                await self._refresh(effect)
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

    async def _agent(self, effect: FetchAgent) -> None:
        card, known = await asyncio.gather(self._card(effect.agent), self._brief(effect))
        self._feed(inputs.AgentReady(ask_id=effect.ask_id, card=card, context=known))

    async def _card(self, agent: str) -> AgentCard | None:
        try:
            return await self._agents.card(self.pinned, agent)
        except RingbackError:
            return None

    async def _brief(self, effect: FetchAgent) -> str:
        if not effect.with_context:
            return ""
        self._keeper.hurry()
        try:
            async with asyncio.timeout(BRIEF_WAIT_S):
                known = await self._memory.context(
                    self.pinned, min_epoch=effect.min_epoch, min_seq=effect.min_seq
                )
        except TimeoutError:
            return ""
        return known.text if known is not None else ""

    async def _packet(self, effect: FetchPacket) -> None:
        self._keeper.hurry()
        packet = await self._memory.packet(effect, self.pinned)
        if packet is None:
            packet = orjson.dumps(effect.fallback).decode()
        self._feed(inputs.PacketReady(packet_json=packet))

    async def _recall(self, effect: Recall) -> None:
        self._keeper.hurry()
        text = await self._memory.recall(
            self.pinned,
            min_epoch=effect.min_epoch,
            min_seq=effect.min_seq,
            budget_tokens=effect.budget_tokens,
        )
        self._feed(inputs.Recalled(text=text or ""))

    async def _refresh(self, effect: RefreshValue) -> None:
        need = FetchFact(
            action_id=effect.refresh_id,
            name="refresh",
            tool=effect.tool,
            arguments_json=effect.arguments_json,
            ttl_ms=0,
        )
        fact = await self._tools.fetch(need, self.pinned)
        self._feed(
            inputs.ValueRefreshed(
                refresh_id=effect.refresh_id, ok=not fact.unavailable, data_json=fact.value_json
            )
        )
