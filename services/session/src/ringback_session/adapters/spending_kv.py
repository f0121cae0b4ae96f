"""What tenants spent, in the KV bucket `sessions`: `spend.<day>.<tenant>.<process>`, one key for each process.

The bucket forgets a key a week after its last write.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec
from ringback_events import Bus, Entry, Subscription
from ringback_identity import new_id

from ringback_session.ports_upkeep import DaySpend

__all__ = ["SpendingInBucket"]

log = logging.getLogger(__name__)

BUCKET = "sessions"
SPEND = "spend."
TIMEOUT_MS = 1_500
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DaySpend)


class SpendingInBucket:
    """Implements `ports.Spending`. Each start is a process of its own: it never reads back what it wrote."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._process = new_id("p_")
        self._others: dict[tuple[str, str], dict[str, DaySpend]] = {}

    async def watch(self) -> Subscription:
        return await self._bucket.watch(SPEND, self._seen)

    async def keep(self, sums: DaySpend) -> None:
        key = f"{SPEND}{sums.day}.{sums.tenant}.{self._process}"
        await self._bucket.put(key, _encoder.encode(sums), timeout_ms=TIMEOUT_MS)

    def of(self, tenant: str, day: str) -> Iterable[DaySpend]:
        return list(self._others.get((tenant, day), {}).values())

    def tenants(self, day: str) -> Iterable[str]:
        return [tenant for tenant, on in self._others if on == day]

    async def _seen(self, key: str, entry: Entry | None) -> None:
        parts = key.split(".")
        if len(parts) != 4 or parts[3] == self._process:
            return
        _, day, tenant, process = parts
        known = self._others.setdefault((tenant, day), {})
        try:
            if entry is not None:
                known[process] = _decoder.decode(entry.value)
                return
        except msgspec.DecodeError:
            log.error("what a process spent can not be read", extra={"key": key})
        known.pop(process, None)
        if not known:
            del self._others[tenant, day]
