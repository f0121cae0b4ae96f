"""Owns the reading of the bus: durable consumers of EVENTS and FACTS, and the replay of one session."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from ringback_errors import InvalidInput, RingbackError
from ringback_events import Bus, ConsumePolicy, Delivery, Subscription
from ringback_events.subjects import (
    ALL_EVENTS,
    parse_event_subject,
    parse_fact_subject,
    session_events,
    session_facts,
)
from ringback_telemetry import counter, gauge, histogram, set_attributes, span
from ringback_telemetry.names import Attr, Metric, Span

from ringback_memory.adapters.streams import read_stream
from ringback_memory.domain.events import Event, LateFact
from ringback_memory.ports import Clock, SessionKey
from ringback_memory.wire import event_from_bytes, late_fact_from_bytes

CONSUMERS = (("EVENTS", "memory-events"), ("FACTS", "memory-facts"))
"""Each stream with its durable consumer, which the replicas share."""
LAG_EVERY_MS = 2_000
ACK_WAIT_MS = 5_000
"""What a killed replica held is offered again after this long; a handler that still runs says so meanwhile.
"""

Fold = Callable[[SessionKey, Event | LateFact], Awaitable[bool]]

_log = logging.getLogger("ringback.memory.feed")


class BusFeed:
    """Gives every fact on the bus to `fold`, at least once; what cannot be read is counted and left."""

    def __init__(self, bus: Bus, *, clock: Clock, concurrency: int = 32, unacked_max: int = 256) -> None:
        self._bus = bus
        self._clock = clock
        self._concurrency = concurrency
        self._unacked_max = unacked_max
        self._fold: Fold | None = None
        self._subscriptions: list[Subscription] = []

    async def start(self, fold: Fold) -> None:
        """Begin to consume; replicas share the messages."""
        self._fold = fold
        for stream, durable in CONSUMERS:
            self._subscriptions.append(
                await self._bus.consume(
                    stream,
                    durable=durable,
                    handler=self._handle,
                    concurrency=self._concurrency,
                    max_ack_pending=self._unacked_max,
                    policy=ConsumePolicy(ack_wait_ms=ACK_WAIT_MS),
                )
            )

    async def lag(self) -> int:
        """How many facts on the bus no replica has taken yet. Raises Unavailable."""
        return sum(
            [(await self._bus.backlog(stream, durable=durable)).waiting for stream, durable in CONSUMERS]
        )

    async def watch_lag(self) -> None:
        """Report the lag until cancelled, also while nothing can be folded: then above all it is asked for."""
        while True:
            with contextlib.suppress(RingbackError):
                gauge(Metric.FOLD_LAG).set(await self.lag())
            await self._clock.wait(LAG_EVERY_MS)

    async def close(self) -> None:
        """Take no more, finish what runs."""
        for subscription in self._subscriptions:
            await subscription.close()

    async def replay(self, key: SessionKey) -> AsyncIterator[Event | LateFact]:
        """Every stored fact of one session: its events, then the late facts."""
        for subject in (session_events(*key), session_facts(*key)):
            async for delivery in read_stream(self._bus, subject):
                try:
                    _, fact = _read(delivery)
                except InvalidInput:
                    continue
                yield fact

    async def _handle(self, delivery: Delivery) -> None:
        assert self._fold is not None
        try:
            key, fact = _read(delivery)
        except InvalidInput as error:
            _log.warning("passed over a message on %s: %s", delivery.subject, error)
            counter(Metric.REFUSED).add(1, {Attr.REASON: "unreadable_fact"})
            return
        began = self._clock.monotonic_ms()
        with span(Span.MEMORY_FOLD) as here:
            set_attributes(here, {Attr.TENANT: key.tenant, Attr.SESSION_ID: key.session_id, **_place(fact)})
            await self._fold(key, fact)
        histogram(Metric.FOLD_MS).record(self._clock.monotonic_ms() - began)


def _read(delivery: Delivery) -> tuple[SessionKey, Event | LateFact]:
    if delivery.subject.startswith(ALL_EVENTS[:-1]):
        event = parse_event_subject(delivery.subject)
        key = SessionKey(event.tenant, event.session_id)
        return key, event_from_bytes(delivery.payload, tenant=key.tenant, session_id=key.session_id)
    fact = parse_fact_subject(delivery.subject)
    key = SessionKey(fact.tenant, fact.session_id)
    late = late_fact_from_bytes(
        delivery.payload, service=fact.service, tenant=key.tenant, session_id=key.session_id
    )
    return key, late


def _place(fact: Event | LateFact) -> dict[str, str | int]:
    if isinstance(fact, LateFact):
        return {Attr.EVENT_KIND: "late_fact", Attr.SEQ: fact.producer_seq}
    kind = type(fact.body).__struct_config__.tag
    return {Attr.EVENT_KIND: str(kind), Attr.EPOCH: fact.position.epoch, Attr.SEQ: fact.position.seq}
