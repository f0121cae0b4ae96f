"""The journal's twin in memory: for tests, and for trying a tool without NATS."""

from __future__ import annotations

from collections.abc import Callable

from ringback_errors import Fenced

from ringback_tools.domain.outcomes import OutcomeRecord
from ringback_tools.ports import JournalAway, LostRace, Stored

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Records in a dict, with revisions that count every write; `away` makes it unreachable."""

    def __init__(self) -> None:
        self.away = False
        self.records: dict[tuple[str, str], Stored] = {}
        self.epochs: dict[str, int] = {}
        self._revision = 0
        self._handlers: list[Callable[[Stored], None]] = []

    async def fence(self, session_id: str, *, epoch: int) -> None:
        self._reach()
        if self.epochs.get(session_id, 0) > epoch:
            raise Fenced("a newer owner of the session has acted", field="epoch")
        self.epochs[session_id] = epoch

    async def get(self, session_id: str, action_id: str) -> Stored | None:
        self._reach()
        return self.records.get((session_id, action_id))

    async def create(self, record: OutcomeRecord) -> Stored:
        return self._write(None, record)

    async def update(self, stored: Stored, record: OutcomeRecord) -> Stored:
        return self._write(stored.revision, record)

    async def follow(self, handler: Callable[[Stored], None]) -> None:
        self._reach()
        for stored in list(self.records.values()):
            handler(stored)
        self._handlers.append(handler)

    async def of_session(self, session_id: str) -> list[Stored]:
        self._reach()
        return [stored for (session, _), stored in self.records.items() if session == session_id]

    async def remove(self, stored: Stored) -> None:
        self._reach()
        key = (stored.record.session_id, stored.record.action_id)
        found = self.records.get(key)
        if found is None or found.revision != stored.revision:
            raise LostRace(stored.record.action_id)
        del self.records[key]

    async def has_epoch(self, session_id: str) -> bool:
        self._reach()
        return session_id in self.epochs

    async def forget_epoch(self, session_id: str) -> None:
        self._reach()
        self.epochs.pop(session_id, None)

    def _write(self, revision: int | None, record: OutcomeRecord) -> Stored:
        self._reach()
        key = (record.session_id, record.action_id)
        found = self.records.get(key)
        if (found.revision if found else None) != revision:
            raise LostRace(record.action_id)
        self._revision += 1
        self.records[key] = stored = Stored(record, self._revision)
        for handler in self._handlers:
            handler(stored)
        return stored

    def _reach(self) -> None:
        if self.away:
            raise JournalAway("the journal is away")
