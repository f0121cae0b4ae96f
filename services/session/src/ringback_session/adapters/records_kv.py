"""Session records in the KV bucket `sessions`, each write a compare-and-set; and who holds which, from watching them.

A record has the whole conversation; every replica watches all records, but only their summaries: who holds each.

Keys: `record.<session_id>` holds a SessionRecord, `token.<hash>` the session of a resume token.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import NamedTuple

import msgspec
from ringback.session.v1 import record_pb2
from ringback_errors import Conflict, Fenced, InvalidInput, Unavailable
from ringback_events import Bus, Entry, Subscription, WriteUnknown
from ringback_telemetry import current_traceparent, names, span

from ringback_session import wire_records
from ringback_session.ports import Clock, Record
from ringback_session.ports_upkeep import Present
from ringback_session.usecases.leases import Leases

__all__ = ["RecordsInBucket"]

log = logging.getLogger(__name__)

BUCKET = "sessions"
RECORD = "record."
TOKEN = "token."
TIMEOUT_MS = 1_500
EXPIRED_MAX = 100
# What a record says of itself to a release that knows no leases of processes: longer than calls go unwritten.
HELD_MS = 600_000


class _Written(NamedTuple):
    """A record as it is stored."""

    data: bytes
    summary: str


class RecordsInBucket:
    """Implements `ports.Records` and `ports.Presence`; `watch` keeps what is known of all sessions at hand."""

    def __init__(self, bus: Bus, clock: Clock, leases: Leases) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._clock = clock
        self._leases = leases
        self._present: dict[str, Present] = {}
        self._tenants: dict[str, dict[str, Present]] = {}
        # Records without a summary that could not be read yet.
        self._unread: set[str] = set()
        self._following = False

    async def watch(self) -> Subscription:
        watch = await self._bucket.watch(RECORD, self._seen, summaries=True)
        if self._unread:
            # Together: a bucket that the release before wrote to has those of many days.
            whole = await self._bucket.watch(RECORD, self._seen_whole)
            await whole.close()
        self._following = True
        return watch

    async def create(self, record: Record) -> Record:
        data, summary = self._encode(record)
        revision = await self._bucket.create(
            RECORD + record.session_id, data, summary=summary, timeout_ms=TIMEOUT_MS
        )
        return msgspec.structs.replace(record, revision=revision)

    async def save(self, record: Record) -> Record:
        key = RECORD + record.session_id
        written = self._encode(record)
        with self._traced():
            try:
                revision = await self._update(key, written, record.revision)
            except Conflict:
                revision = await self._behind_ourselves(key, written, record)
        return msgspec.structs.replace(record, revision=revision)

    async def claim(self, record: Record) -> Record:
        written = self._encode(record)
        revision = await self._update(RECORD + record.session_id, written, record.revision)
        return msgspec.structs.replace(record, revision=revision)

    async def load(self, session_id: str) -> Record | None:
        entry = await self._bucket.get(RECORD + session_id, timeout_ms=TIMEOUT_MS)
        if entry is None:
            return None
        return wire_records.record_from(record_pb2.SessionRecord.FromString(entry.value), entry.revision)

    async def find_by_token(self, token_hash: bytes) -> str | None:
        entry = await self._bucket.get(TOKEN + token_hash.hex(), timeout_ms=TIMEOUT_MS)
        return None if entry is None else entry.value.decode()

    async def bind_token(self, token_hash: bytes, session_id: str) -> None:
        await self._bucket.put(TOKEN + token_hash.hex(), session_id.encode(), timeout_ms=TIMEOUT_MS)

    async def expired(self, *, for_ms: int, but: Container[str] = ()) -> list[Present]:
        for session_id in list(self._unread):
            await self._read(session_id)
        found = (
            present
            for present in self._present.values()
            if present.session_id not in but and self._expired_ms(present) > for_ms
        )
        return list(islice(found, EXPIRED_MAX))

    def find(self, session_id: str) -> Present | None:
        return self._present.get(session_id)

    def of_tenant(self, tenant: str) -> Iterable[Present]:
        return list((self._tenants.get(tenant, {}) if tenant else self._present).values())

    def leased(self, present: Present) -> bool:
        return self._expired_ms(present) <= 0

    def _expired_ms(self, present: Present) -> int:
        """How long ago its lease ran out; negative: it holds."""
        if present.lease_id:
            return self._leases.expired_ms(present.lease_id, written_ms=present.heard_ms)
        # Of an owner whose release renews each record.
        return self._clock.now_ms() - present.lease_until_ms

    def _traced(self) -> AbstractContextManager[object]:
        """A span for the journal of a turn; what is written without one belongs to no trace."""
        if current_traceparent() is None:
            return nullcontext()
        return span(names.Span.JOURNAL_WRITE)

    async def _update(self, key: str, written: _Written, expected: int) -> int:
        """Raises Conflict for any other revision than the expected, Unavailable."""
        try:
            return await self._put(key, written, expected)
        except WriteUnknown:
            return await self._find_out(key, written.data)
        except InvalidInput as error:
            # The call goes on; what needs the record is not begun.
            log.error("a session's record can not be written: %s", error)
            raise Unavailable("the session's record does not fit its bucket") from None

    async def _put(self, key: str, written: _Written, expected: int) -> int:
        return await self._bucket.update(
            key, written.data, revision=expected, summary=written.summary, timeout_ms=TIMEOUT_MS
        )

    async def _find_out(self, key: str, data: bytes) -> int:
        """A write without an answer: read before deciding whether it happened."""
        entry = await self._bucket.get(key, timeout_ms=TIMEOUT_MS)
        if entry is not None and entry.value == data:
            return entry.revision
        # It may still land; the next write then meets our own record and goes on from there.
        raise Unavailable("the session's record could not be written")

    async def _behind_ourselves(self, key: str, written: _Written, record: Record) -> int:
        """A lost compare-and-set: to another owner, or to a late write of our own that had no answer."""
        entry = await self._bucket.get(key, timeout_ms=TIMEOUT_MS)
        stored = None if entry is None else record_pb2.SessionRecord.FromString(entry.value)
        if entry is None or stored is None or (stored.epoch, stored.owner) != (record.epoch, record.owner):
            raise Fenced("another replica owns this session")
        try:
            return await self._put(key, written, entry.revision)
        except Conflict:
            raise Fenced("another replica owns this session") from None

    async def _seen(self, key: str, entry: Entry | None) -> None:
        session_id = key.removeprefix(RECORD)
        if entry is None:
            self._forget(session_id)
        elif entry.summary:
            self._note(wire_records.summarized(entry.summary), entry.revision)
        else:
            # Of an owner whose release writes none.
            self._unread.add(session_id)
            if self._following:
                await self._read(session_id)

    async def _read(self, session_id: str) -> None:
        key = RECORD + session_id
        await self._seen_whole(key, await self._bucket.get(key, timeout_ms=TIMEOUT_MS))

    async def _seen_whole(self, key: str, entry: Entry | None) -> None:
        self._unread.discard(key.removeprefix(RECORD))
        if entry is not None:
            self._note(record_pb2.SessionRecord.FromString(entry.value), entry.revision)

    def _note(self, message: record_pb2.SessionRecord, revision: int) -> None:
        known = self._present.get(message.session_id)
        if known is not None and known.revision > revision:
            return
        self._forget(message.session_id)
        if not message.ended:
            present = wire_records.present(message, revision, heard_ms=self._leases.heard_ms)
            self._present[present.session_id] = present
            self._tenants.setdefault(present.tenant, {})[present.session_id] = present

    def _forget(self, session_id: str) -> None:
        gone = self._present.pop(session_id, None)
        if gone is not None:
            self._tenants[gone.tenant].pop(session_id, None)
            if not self._tenants[gone.tenant]:
                del self._tenants[gone.tenant]

    def _encode(self, record: Record) -> _Written:
        now_ms = self._clock.now_ms()
        message = wire_records.record_message(record, now_ms)
        # Whoever writes a record holds it.
        message.lease_id = self._leases.own.lease_id
        message.lease_until_ms = now_ms + HELD_MS
        return _Written(message.SerializeToString(deterministic=True), wire_records.summary_of(message))
