"""Owns callers at rest: the KV bucket `callers`, keyed by a digest so that no id shows in a key."""

from __future__ import annotations

import msgspec
from ringback_errors import Unavailable
from ringback_events import Bus
from ringback_identity import derive_id

from ringback_memory.domain.callers import Caller
from ringback_memory.ports import StoredCaller

BUCKET = "callers"
TIMEOUT_MS = 1_500
VERSION = b"rbcaller1"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Caller)


def encode_caller(caller: Caller) -> bytes:
    """A mark with the version, then MessagePack."""
    return VERSION + _encoder.encode(caller)


def decode_caller(value: bytes) -> Caller:
    """The caller in `value`; Unavailable when a newer release wrote it."""
    if not value.startswith(VERSION):
        raise Unavailable("what is stored of the caller was written by another release")
    try:
        return _decoder.decode(memoryview(value)[len(VERSION) :])
    except msgspec.DecodeError as error:
        raise Unavailable("what is stored of the caller cannot be read") from error


def caller_key(tenant: str, caller_id: str) -> str:
    """`<tenant>.clr_…`."""
    return f"{tenant}.{derive_id('clr', tenant, caller_id)}"


class KvCallerStore:
    """Callers in the bucket `callers`."""

    def __init__(self, bus: Bus, *, timeout_ms: int = TIMEOUT_MS) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._timeout_ms = timeout_ms

    async def load(
        self, tenant: str, caller_id: str, *, timeout_ms: int | None = None
    ) -> StoredCaller | None:
        """What is kept, or None."""
        return await self._read(caller_key(tenant, caller_id), timeout_ms=timeout_ms)

    async def save(self, caller: Caller, *, revision: int | None) -> int:
        """Store by compare-and-set."""
        key, value = caller_key(caller.tenant, caller.caller_id), encode_caller(caller)
        if revision is None:
            return await self._bucket.create(key, value, timeout_ms=self._timeout_ms)
        return await self._bucket.update(key, value, revision=revision, timeout_ms=self._timeout_ms)

    async def remove(self, tenant: str, caller_id: str, *, revision: int | None = None) -> None:
        """Remove what is kept."""
        await self._bucket.delete(
            caller_key(tenant, caller_id), revision=revision, timeout_ms=self._timeout_ms
        )

    async def all_of(self) -> list[StoredCaller]:
        """Every caller that is kept."""
        found = [await self._read(key, timeout_ms=None) for key in await self._bucket.keys()]
        return [one for one in found if one is not None]

    async def _read(self, key: str, *, timeout_ms: int | None) -> StoredCaller | None:
        entry = await self._bucket.get(key, timeout_ms=min(self._timeout_ms, timeout_ms or self._timeout_ms))
        return StoredCaller(decode_caller(entry.value), entry.revision) if entry else None
