"""Owns the twins that need no bus: a list of facts as source, and fixed schemas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

from ringback_memory.domain.events import Event, LateFact
from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema
from ringback_memory.ports import SessionKey


class InMemorySource:
    """Facts by session, in the order of `publish`."""

    def __init__(self) -> None:
        self._facts: dict[SessionKey, list[Event | LateFact]] = defaultdict(list)

    def publish(self, key: SessionKey, fact: Event | LateFact) -> None:
        """Add one fact."""
        self._facts[key].append(fact)

    async def replay(self, key: SessionKey) -> AsyncIterator[Event | LateFact]:
        """Every fact of the session."""
        for fact in list(self._facts[key]):
            yield fact


class FixedSchemas:
    """Schemas that were given by digest."""

    def __init__(self, schemas: Mapping[str, SlotSchema] | None = None) -> None:
        self._schemas = dict(schemas or {})

    async def schema(self, pack_digest: str) -> SlotSchema:
        """The schema given for the digest, else the empty one."""
        return self._schemas.get(pack_digest, EMPTY_SCHEMA)
