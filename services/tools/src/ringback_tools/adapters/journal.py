"""Owns the outcomes in the key-value bucket: `<session_id>.<action_id>`, and `epoch.<session_id>`."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ringback_errors import Conflict, Fenced, Unavailable
from ringback_events import Bucket, Entry, WriteUnknown

from ringback_tools.domain.outcomes import OutcomeRecord
from ringback_tools.ports import JournalAway, LostRace, Stored
from ringback_tools.wire import record_from_bytes, record_to_bytes

__all__ = ["KvJournal"]

TIMEOUT_MS: Final = 1_500
FOLLOW_TIMEOUT_MS: Final = 60_000
# What follows the journal has time (its nearest dates are a second away); told at once, a replica would take in each of
# its own writes again.
FOLLOW_PACE_MS: Final = 250
EPOCHS_MAX: Final = 10_000
_TRIES: Final = 8


@dataclass(slots=True)
class _Turns:
    """The fences of one session: how many have begun, and the last one that was passed, with its epoch."""

    begun: int = 0
    passed: int = 0
    epoch: int = 0
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KvJournal:
    """The journal on NATS. A write whose answer got lost is read back, so that callers see one of two ends."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        # The last revision of a session's epoch: the compare-and-set that checks it is then one round trip.
        self._epochs: OrderedDict[str, tuple[int, int]] = OrderedDict()
        # Only sessions whose fence is being passed now.
        self._turns: dict[str, _Turns] = {}

    async def fence(self, session_id: str, *, epoch: int) -> None:
        """Remember the epoch by a compare-and-set, also when it is known: only a write proves that none is higher.

        Calls of one session that come while one is under way share the next one: it begins after they came.
        """
        turns = self._turns.setdefault(session_id, _Turns())
        came_at = turns.begun
        turns.users += 1
        try:
            async with turns.lock:
                if turns.passed > came_at and turns.epoch == epoch:
                    return
                turns.begun += 1
                await self._pass(session_id, epoch=epoch)
                turns.passed, turns.epoch = turns.begun, epoch
        finally:
            turns.users -= 1
            if not turns.users:
                self._turns.pop(session_id, None)

    async def _pass(self, session_id: str, *, epoch: int) -> None:
        key = f"epoch.{session_id}"
        for turn in range(_TRIES):
            known = self._epochs.get(session_id)
            # Unknown here is mostly the session's first write, so creating comes before reading.
            if known is None and turn:
                known = await self._epoch(key)
            if known is not None and known[0] > epoch:
                raise Fenced("a newer owner of the session has acted", field="epoch")
            try:
                revision = await self._write(key, str(epoch).encode(), known[1] if known else None)
            except LostRace:
                self._epochs.pop(session_id, None)
                continue
            self._epochs[session_id] = (epoch, revision)
            self._epochs.move_to_end(session_id)
            if len(self._epochs) > EPOCHS_MAX:
                self._epochs.popitem(last=False)
            return
        raise JournalAway("the session's epoch kept changing")

    async def get(self, session_id: str, action_id: str) -> Stored | None:
        entry = await self._read(f"{session_id}.{action_id}")
        return _stored(entry) if entry else None

    async def create(self, record: OutcomeRecord) -> Stored:
        return Stored(record, await self._write(_key(record), record_to_bytes(record), None))

    async def update(self, stored: Stored, record: OutcomeRecord) -> Stored:
        return Stored(record, await self._write(_key(record), record_to_bytes(record), stored.revision))

    async def follow(self, handler: Callable[[Stored], None]) -> None:
        async def seen(key: str, entry: Entry | None) -> None:
            if entry is not None and not key.startswith("epoch."):
                handler(_stored(entry))

        try:
            await self._bucket.watch("", seen, timeout_ms=FOLLOW_TIMEOUT_MS, pace_ms=FOLLOW_PACE_MS)
        except Unavailable as away:
            raise JournalAway(str(away)) from None

    async def of_session(self, session_id: str) -> list[Stored]:
        try:
            keys = await self._bucket.keys(f"{session_id}.")
        except Unavailable as away:
            raise JournalAway(str(away)) from None
        entries = [await self._read(key) for key in keys]
        return [_stored(entry) for entry in entries if entry is not None]

    async def remove(self, stored: Stored) -> None:
        await self._delete(_key(stored.record), revision=stored.revision)

    async def has_epoch(self, session_id: str) -> bool:
        return await self._read(f"epoch.{session_id}") is not None

    async def forget_epoch(self, session_id: str) -> None:
        await self._delete(f"epoch.{session_id}", revision=None)
        self._epochs.pop(session_id, None)

    async def _delete(self, key: str, *, revision: int | None) -> None:
        try:
            await self._bucket.delete(key, revision=revision, timeout_ms=TIMEOUT_MS)
        except Conflict:
            raise LostRace(key) from None
        except Unavailable as away:
            raise JournalAway(str(away)) from None

    async def _epoch(self, key: str) -> tuple[int, int] | None:
        entry = await self._read(key)
        return (int(entry.value), entry.revision) if entry else None

    async def _read(self, key: str) -> Entry | None:
        try:
            return await self._bucket.get(key, timeout_ms=TIMEOUT_MS)
        except Unavailable as away:
            raise JournalAway(str(away)) from None

    async def _write(self, key: str, value: bytes, revision: int | None) -> int:
        try:
            if revision is None:
                return await self._bucket.create(key, value, timeout_ms=TIMEOUT_MS)
            return await self._bucket.update(key, value, revision=revision, timeout_ms=TIMEOUT_MS)
        except Conflict:
            raise LostRace(key) from None
        except WriteUnknown:
            return await self._read_back(key, value, revision)
        except Unavailable as away:
            raise JournalAway(str(away)) from None

    async def _read_back(self, key: str, value: bytes, revision: int | None) -> int:
        entry = await self._read(key)
        if entry is not None and entry.value == value and entry.revision != revision:
            return entry.revision
        if (entry.revision if entry else None) == revision:
            raise JournalAway("the write was not stored in time")
        raise LostRace(key)


def _key(record: OutcomeRecord) -> str:
    return f"{record.session_id}.{record.action_id}"


def _stored(entry: Entry) -> Stored:
    return Stored(record_from_bytes(entry.value), entry.revision)
