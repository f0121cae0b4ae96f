"""Owns records at rest: their bytes, the KV bucket that holds them, and the bucket's in-memory twin."""

from __future__ import annotations

import msgspec
from ringback_errors import Conflict, Unavailable
from ringback_events import Bus

from ringback_memory.domain.state import FOLD_VERSION
from ringback_memory.domain.timeline import Record
from ringback_memory.ports import NeedsRebuildError, SessionKey, Stored

BUCKET = "memory"
TIMEOUT_MS = 1_500
MAGIC = b"rbmem"
_HEAD = len(MAGIC) + 2

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The bytes of a record: a mark, the fold version, then the record as MessagePack."""
    return MAGIC + FOLD_VERSION.to_bytes(2, "big") + _encoder.encode(record)


def decode_record(value: bytes, *, revision: int) -> Record:
    """The record in `value`.

    Raises NeedsRebuildError for an older fold or unreadable bytes, Unavailable for a newer fold: a replica
    of the newer release folds on, this one must not overwrite it.
    """
    if value[: len(MAGIC)] != MAGIC:
        raise NeedsRebuildError("what is stored is no record", revision=revision)
    version = int.from_bytes(value[len(MAGIC) : _HEAD], "big")
    if version > FOLD_VERSION:
        raise Unavailable(f"the state was folded by a newer release (fold {version}, here {FOLD_VERSION})")
    if version < FOLD_VERSION:
        raise NeedsRebuildError(f"folded by fold {version}", revision=revision)
    try:
        return _decoder.decode(memoryview(value)[_HEAD:])
    except (msgspec.DecodeError, RecursionError) as error:
        raise NeedsRebuildError("the stored record cannot be read", revision=revision) from error


class KvStateStore:
    """Records in the bucket `memory`, under `<tenant>.<session_id>`."""

    def __init__(self, bus: Bus, *, timeout_ms: int = TIMEOUT_MS) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._timeout_ms = timeout_ms

    async def load(self, key: SessionKey, *, timeout_ms: int | None = None) -> Stored | None:
        """The record and its revision, or None."""
        wait_ms = min(self._timeout_ms, timeout_ms or self._timeout_ms)
        entry = await self._bucket.get(".".join(key), timeout_ms=wait_ms)
        if entry is None:
            return None
        return Stored(decode_record(entry.value, revision=entry.revision), entry.revision)

    async def save(self, key: SessionKey, record: Record, *, revision: int | None) -> int:
        """Store the record by compare-and-set."""
        name, value = ".".join(key), encode_record(record)
        if revision is None:
            return await self._bucket.create(name, value, timeout_ms=self._timeout_ms)
        return await self._bucket.update(name, value, revision=revision, timeout_ms=self._timeout_ms)

    async def remove(self, key: SessionKey) -> None:
        """Remove the record."""
        await self._bucket.delete(".".join(key), timeout_ms=self._timeout_ms)

    async def keys(self, tenant: str) -> list[SessionKey]:
        """Every session of a tenant that has a record."""
        return [SessionKey(*key.split(".", 1)) for key in await self._bucket.keys(f"{tenant}.")]


class InMemoryStateStore:
    """The twin of `KvStateStore`; set `away` to make the store unreachable."""

    def __init__(self) -> None:
        self.away = False
        self.values: dict[SessionKey, tuple[bytes, int]] = {}
        self._revision = 0

    async def load(self, key: SessionKey, *, timeout_ms: int | None = None) -> Stored | None:
        """The record and its revision, or None."""
        self._reach()
        if key not in self.values:
            return None
        value, revision = self.values[key]
        return Stored(decode_record(value, revision=revision), revision)

    async def save(self, key: SessionKey, record: Record, *, revision: int | None) -> int:
        """Store the record by compare-and-set."""
        self._reach()
        held = self.values.get(key)
        if (held[1] if held else None) != revision:
            raise Conflict(f"{'.'.join(key)}: revision {revision} expected")
        self._revision += 1
        self.values[key] = (encode_record(record), self._revision)
        return self._revision

    async def remove(self, key: SessionKey) -> None:
        """Remove the record."""
        self._reach()
        self.values.pop(key, None)

    async def keys(self, tenant: str) -> list[SessionKey]:
        """Every session of a tenant that has a record."""
        self._reach()
        return [key for key in self.values if key.tenant == tenant]

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("the store is away")
