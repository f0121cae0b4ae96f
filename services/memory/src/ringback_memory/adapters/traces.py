"""Owns where facts of sessions lie on the bus, for erasure: EVENTS, FACTS, recorded questions, and what was parked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ringback_errors import InvalidInput
from ringback_events import Bus, Delivery
from ringback_events.subjects import (
    ALL_PARKED,
    parse_event_subject,
    parse_fact_subject,
    session_decisions,
    session_events,
    session_facts,
    tenant_events,
)

from ringback_memory.domain.events import Started
from ringback_memory.ports import Found, SessionKey
from ringback_memory.wire import event_from_bytes

QUEUE_MAX = 1_024
QUIET_MS = 1_000
"""A stream that says nothing for this long has nothing more to say."""
STARTED = "session_started"
PARKED_SUBJECT = "Ringback-Parked-Subject"


class BusTraces:
    """Finds and removes facts on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def sessions_of(self, tenant: str, caller_id: str) -> set[str]:
        """The sessions that began with this caller."""
        found = set()
        async for delivery in self._stored(tenant_events(tenant, STARTED)):
            session_id = parse_event_subject(delivery.subject).session_id
            try:
                body = event_from_bytes(delivery.payload, tenant=tenant, session_id=session_id).body
            except InvalidInput:
                continue
            if isinstance(body, Started) and body.caller_id == caller_id:
                found.add(session_id)
        return found

    async def count(self, key: SessionKey) -> list[Found]:
        """How many facts each stream holds of a session."""
        found = []
        for place, subject in _places(key):
            found.append(Found(place, len([one async for one in self._stored(subject)])))
        return [*found, Found("PARKED", len(await self._parked(key)))]

    async def remove(self, key: SessionKey) -> None:
        """Remove every fact of a session."""
        for _, subject in _places(key):
            await self._bus.purge(subject)
        for seq in await self._parked(key):
            await self._bus.erase("PARKED", seq)

    async def _parked(self, key: SessionKey) -> list[int]:
        return [
            delivery.stream_seq
            async for delivery in self._stored(ALL_PARKED)
            if _is_of(key, subject=delivery.headers.get(PARKED_SUBJECT, ""), payload=delivery.payload)
        ]

    async def _stored(self, subject: str) -> AsyncIterator[Delivery]:
        queue: asyncio.Queue[Delivery] = asyncio.Queue(maxsize=QUEUE_MAX)
        subscription = await self._bus.ephemeral(subject, queue.put, start="all")
        try:
            while True:
                async with asyncio.timeout(QUIET_MS / 1000):
                    delivery = await queue.get()
                yield delivery
                if delivery.lag == 0 and queue.empty():
                    return
        except TimeoutError:
            return
        finally:
            await subscription.close()


def _places(key: SessionKey) -> tuple[tuple[str, str], ...]:
    return (
        ("EVENTS", session_events(*key)),
        ("FACTS", session_facts(*key)),
        ("DECISIONS", session_decisions(*key)),
    )


def _is_of(key: SessionKey, *, subject: str, payload: bytes) -> bool:
    place = _session_of(subject)
    # Background work has no session in its subject; its request names it, next to the tenant.
    return place == key if place is not None else key.session_id.encode() in payload


def _session_of(subject: str) -> SessionKey | None:
    for parse in (parse_event_subject, parse_fact_subject):
        try:
            place = parse(subject)
        except InvalidInput:
            continue
        return SessionKey(place.tenant, place.session_id)
    return None
