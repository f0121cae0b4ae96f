"""Owns where facts of sessions lie on the bus, for erasure: EVENTS, FACTS, recorded questions, and what was parked."""

from __future__ import annotations

from ringback_errors import InvalidInput
from ringback_events import Bus
from ringback_events.subjects import (
    ALL_PARKED,
    parse_event_subject,
    parse_fact_subject,
    session_decisions,
    session_events,
    session_facts,
    tenant_decisions,
    tenant_events,
)

from ringback_memory.adapters.streams import read_stream
from ringback_memory.domain.events import Started
from ringback_memory.ports import Found, SessionKey
from ringback_memory.wire import event_from_bytes

STARTED = "session_started"
PARKED_SUBJECT = "Ringback-Parked-Subject"


class BusTraces:
    """Finds and removes facts on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def sessions_of(self, tenant: str, caller_id: str) -> set[str]:
        """The sessions that began with this caller."""
        found = set()
        async for delivery in read_stream(self._bus, tenant_events(tenant, STARTED)):
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
            found.append(Found(place, len([one async for one in read_stream(self._bus, subject)])))
        for place, stream_seqs in await self._shared(key):
            found.append(Found(place, len(stream_seqs)))
        return found

    async def remove(self, key: SessionKey) -> None:
        """Remove every fact of a session."""
        for _, subject in _places(key):
            await self._bus.purge(subject)
        for place, stream_seqs in await self._shared(key):
            for stream_seq in stream_seqs:
                await self._bus.erase(place, stream_seq)

    async def _shared(self, key: SessionKey) -> list[tuple[str, list[int]]]:
        """What has no subject of the session's own: told by its content."""
        return [("DECISIONS", await self._recorded(key)), ("PARKED", await self._parked(key))]

    async def _recorded(self, key: SessionKey) -> list[int]:
        """Recorded questions of sessions together, as they lay before a session had a subject of its own."""
        subject = tenant_decisions(key.tenant)
        session_id = key.session_id.encode()
        return [one.stream_seq async for one in read_stream(self._bus, subject) if session_id in one.payload]

    async def _parked(self, key: SessionKey) -> list[int]:
        return [
            delivery.stream_seq
            async for delivery in read_stream(self._bus, ALL_PARKED)
            if _is_of(key, subject=delivery.headers.get(PARKED_SUBJECT, ""), payload=delivery.payload)
        ]


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
