"""What the KV bucket `sessions` holds of a session or its caller, found for erasure."""

from __future__ import annotations

import msgspec
from google.protobuf.message import DecodeError
from ringback.session.v1 import record_pb2
from ringback_events import Bus, Entry, WatchHandler

from ringback_session.adapters.records_kv import BUCKET, RECORD, TOKEN
from ringback_session.adapters.secrets_kv import SECRET
from ringback_session.ports import Secret
from ringback_session.ports_upkeep import Trace

__all__ = ["TracesInBucket"]

TIMEOUT_MS = 1_500
READ_MS = 10_000


class TracesInBucket:
    """Implements `ports_upkeep.Traces`. Tokens and secrets have no index by session: the bucket is read through."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = bus.bucket(BUCKET)

    async def find(self, *, tenant: str, session_id: str, caller_id: str) -> list[Trace]:
        found: list[Trace] = []

        async def token(key: str, entry: Entry | None) -> None:
            if entry is not None and entry.value == session_id.encode():
                found.append(Trace(key, entry.revision))

        async def secret(key: str, entry: Entry | None) -> None:
            if entry is not None and _belongs_to(entry.value, tenant=tenant, caller_id=caller_id):
                found.append(Trace(key, entry.revision))

        if session_id:
            entry = await self._bucket.get(RECORD + session_id, timeout_ms=TIMEOUT_MS)
            if entry is not None and not _is_of(entry.value, tenant):
                return []
            if entry is not None:
                found.append(Trace(RECORD + session_id, entry.revision, removable=_has_ended(entry.value)))
            await self._read(TOKEN, token)
        if caller_id:
            await self._read(SECRET, secret)
        return found

    async def remove(self, trace: Trace) -> None:
        await self._bucket.delete(trace.key, revision=trace.revision, timeout_ms=TIMEOUT_MS)

    async def _read(self, prefix: str, handler: WatchHandler) -> None:
        watch = await self._bucket.watch(prefix, handler, timeout_ms=READ_MS)
        await watch.close()


def _is_of(value: bytes, tenant: str) -> bool:
    try:
        return record_pb2.SessionRecord.FromString(value).tenant == tenant
    except DecodeError:
        # Nobody can read it, so nobody can say whose it is: whoever knows the session's id may have it removed.
        return True


def _has_ended(value: bytes) -> bool:
    try:
        return record_pb2.SessionRecord.FromString(value).ended
    except DecodeError:
        return True


def _belongs_to(value: bytes, *, tenant: str, caller_id: str) -> bool:
    try:
        secret = msgspec.json.decode(value, type=Secret)
    except msgspec.DecodeError:
        return False
    return (secret.tenant, secret.caller_id) == (tenant, caller_id)
