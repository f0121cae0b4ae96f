"""A bucket in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ringback_events.bus import BusStats, Entry, Subscription, WatchHandler
from ringback_events.handling import watch_one
from ringback_events.keys import check_key, check_key_prefix, check_summary
from ringback_events.memory_broker import MemoryBucketStore

__all__ = ["MemoryBucket"]

Follow = Callable[[str, WatchHandler, int], Subscription]


class MemoryBucket:
    """The twin of `NatsBucket`. `follow` tells a handler of the changes of a prefix after a revision."""

    def __init__(
        self, require_up: Callable[[], None], store: MemoryBucketStore, follow: Follow, stats: BusStats
    ) -> None:
        self._require_up = require_up
        self._store = store
        self._follow = follow
        self._stats = stats

    async def get(self, key: str, *, timeout_ms: int = 2_000) -> Entry | None:
        self._require_up()
        entry = self._store.entries.get(check_key(key))
        return None if entry is None else replace(entry, summary="")

    async def create(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        return self._write(key, value, expected=0, summary=summary)

    async def update(
        self, key: str, value: bytes, *, revision: int, summary: str = "", timeout_ms: int = 2_000
    ) -> int:
        return self._write(key, value, expected=revision, summary=summary)

    async def put(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        return self._write(key, value, expected=None, summary=summary)

    async def delete(self, key: str, *, revision: int | None = None, timeout_ms: int = 2_000) -> None:
        self._write(key, None, expected=revision, summary="")

    async def keys(self, prefix: str = "", *, timeout_ms: int = 5_000) -> list[str]:
        self._require_up()
        return sorted(key for key in self._store.entries if key.startswith(check_key_prefix(prefix)))

    async def watch(
        self,
        prefix: str,
        handler: WatchHandler,
        *,
        timeout_ms: int = 5_000,
        pace_ms: int = 0,
        summaries: bool = False,
    ) -> Subscription:
        check_key_prefix(prefix)
        self._require_up()
        told = _without_values(handler) if summaries else handler
        after = self._store.revision
        for key, entry in tuple(self._store.entries.items()):
            if key.startswith(prefix):
                await watch_one(key, entry, told, self._stats)
        return self._follow(prefix, told, after)

    def _write(self, key: str, value: bytes | None, *, expected: int | None, summary: str) -> int:
        check_key(key)
        self._require_up()
        return self._store.write(key, value, expected=expected, summary=check_summary(summary))


def _without_values(handler: WatchHandler) -> WatchHandler:
    async def told(key: str, entry: Entry | None) -> None:
        await handler(key, None if entry is None else replace(entry, value=b""))

    return told
