"""Late facts of other services on the FACTS stream, for the session's owner; with them, switches of tools.

One tail serves all sessions that began here: late facts are few, and a tail of its own for each would cost every idle
call the stream's heartbeats. A session that was taken over has a past, which it reads by a tail of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ringback.events.v1 import events_pb2
from ringback_events import ALL_FACTS, Bus, Deduper, Delivery, Subscription, parse_fact_subject, session_facts

from ringback_session import wire
from ringback_session.adapters.tool_switches_bus import SwitchesOnBus
from ringback_session.domain.inputs import ActionReconciled
from ringback_session.domain.upkeep import ToolsSwitched
from ringback_session.ports import Pinned

__all__ = ["LateFactsOnBus"]

SEEN_MAX = 1_000

_Take = Callable[[Delivery], Awaitable[None]]


class LateFactsOnBus:
    """Implements `ports.LateFacts`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._switches = SwitchesOnBus(bus)
        self._opening = asyncio.Lock()
        self._tail: Subscription | None = None
        # By tenant and session; one that is resumed on its own replica has two owners for a moment.
        self._takers: dict[tuple[str, str], list[_Take]] = {}

    async def follow(
        self, pinned: Pinned, on_fact: Callable[[ActionReconciled | ToolsSwitched], None]
    ) -> Callable[[], Awaitable[None]]:
        stop_facts = await self._follow_facts(pinned, on_fact)
        try:
            stop_switches = await self._switches.follow(on_fact, heir=pinned.epoch > 1)
        except BaseException:
            await stop_facts()
            raise

        async def stop() -> None:
            stop_switches()
            await stop_facts()

        return stop

    async def tools_off(self) -> tuple[str, ...]:
        return await self._switches.off()

    async def _follow_facts(
        self, pinned: Pinned, on_fact: Callable[[ActionReconciled], None]
    ) -> Callable[[], Awaitable[None]]:
        take = _taking(on_fact)
        if pinned.epoch > 1:
            own = await self._bus.ephemeral(
                session_facts(pinned.tenant, pinned.session_id), take, start="all"
            )
            return own.close
        whose = (pinned.tenant, pinned.session_id)
        self._takers.setdefault(whose, []).append(take)

        async def stop() -> None:
            left = [other for other in self._takers.pop(whose, ()) if other is not take]
            if left:
                self._takers[whose] = left

        try:
            await self._open()
        except BaseException:
            await stop()
            raise
        return stop

    async def _open(self) -> None:
        async with self._opening:
            if self._tail is None:
                self._tail = await self._bus.ephemeral(ALL_FACTS, self._dispatch, start="new")

    async def _dispatch(self, delivery: Delivery) -> None:
        subject = parse_fact_subject(delivery.subject)
        for take in list(self._takers.get((subject.tenant, subject.session_id), ())):
            await take(delivery)


def _taking(on_fact: Callable[[ActionReconciled], None]) -> _Take:
    seen = Deduper(SEEN_MAX)

    async def take(delivery: Delivery) -> None:
        message = events_pb2.LateFact.FromString(delivery.payload)
        fact = wire.reconciled(message)
        if fact is not None and seen.first(f"{message.producer}:{message.producer_seq}"):
            on_fact(fact)

    return take
