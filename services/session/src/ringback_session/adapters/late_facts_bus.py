"""Late facts of other services on the FACTS stream, for the session's owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ringback.events.v1 import events_pb2
from ringback_events import Bus, Deduper, Delivery, session_facts

from ringback_session import wire
from ringback_session.domain.inputs import ActionReconciled
from ringback_session.ports import Pinned

__all__ = ["LateFactsOnBus"]

SEEN_MAX = 1_000


class LateFactsOnBus:
    """Implements `ports.LateFacts`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def follow(
        self, pinned: Pinned, on_fact: Callable[[ActionReconciled], None]
    ) -> Callable[[], Awaitable[None]]:
        seen = Deduper(SEEN_MAX)

        async def take(delivery: Delivery) -> None:
            message = events_pb2.LateFact.FromString(delivery.payload)
            fact = wire.reconciled(message)
            if fact is not None and seen.first(f"{message.producer}:{message.producer_seq}"):
                on_fact(fact)

        subject = session_facts(pinned.tenant, pinned.session_id)
        subscription = await self._bus.ephemeral(subject, take, start="all")
        return subscription.close
