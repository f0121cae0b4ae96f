"""An object store in memory."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MemoryObjects"]


class MemoryObjects:
    """Blobs by name; every call first asks whether the bus is there, by `require_up`."""

    def __init__(self, require_up: Callable[[], None], store: dict[str, bytes]) -> None:
        self._require_up = require_up
        self._store = store

    async def put(self, name: str, data: bytes, *, timeout_ms: int = 10_000) -> None:
        self._require_up()
        self._store[name] = bytes(data)

    async def get(self, name: str, *, timeout_ms: int = 10_000) -> bytes | None:
        self._require_up()
        return self._store.get(name)

    async def list(self, *, timeout_ms: int = 10_000) -> list[str]:
        self._require_up()
        return sorted(self._store)
