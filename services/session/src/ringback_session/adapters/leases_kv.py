"""The leases of all processes in the KV bucket `sessions`, `lease.<lease_id>`; ours is renewed from here.

The bucket forgets the key of a process that is gone a week after its last beat.
"""

from __future__ import annotations

import asyncio
import logging

from google.protobuf.message import DecodeError
from ringback.session.v1 import record_pb2
from ringback_errors import RingbackError
from ringback_events import Bus, Entry, Subscription
from ringback_identity import new_id

from ringback_session import wire
from ringback_session.ports import Clock
from ringback_session.usecases.leases import Lease, Leases, beat_every_ms

__all__ = ["LeasesInBucket"]

log = logging.getLogger(__name__)

BUCKET = "sessions"
LEASE = "lease."
TIMEOUT_MS = 1_500


class LeasesInBucket:
    """Keeps `known` true. Each start is a process of its own: it holds nothing of who had its name before."""

    def __init__(self, bus: Bus, clock: Clock, *, owner: str, lease_ms: int) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._clock = clock
        self.known = Leases(Lease(lease_id=new_id("lease_"), owner=owner, beat=0, lease_ms=lease_ms))

    async def watch(self) -> Subscription:
        return await self._bucket.watch(LEASE, self._seen)

    async def renew(self) -> None:
        """One beat. Raises Unavailable."""
        lease = self.known.renewed()
        # Nobody else writes this key, and a beat that comes late says no more than the one after it.
        await self._bucket.put(LEASE + lease.lease_id, self._encode(lease), timeout_ms=TIMEOUT_MS)

    async def renew_forever(self) -> None:
        """Until cancelled; what the bus does not take is made up for by the next beat."""
        every_s = beat_every_ms(self.known.own.lease_ms) / 1000
        while True:
            try:
                await self.renew()
            except RingbackError as error:
                log.info("this process's lease was not renewed: %s", error.code)
            await asyncio.sleep(every_s)

    async def _seen(self, key: str, entry: Entry | None) -> None:
        if entry is None:
            return
        try:
            message = record_pb2.ProcessLease.FromString(entry.value)
        except DecodeError:
            log.error("a process's lease can not be read", extra={"key": key})
            return
        self.known.heard(
            Lease(
                lease_id=key.removeprefix(LEASE),
                owner=message.owner,
                beat=message.beat,
                lease_ms=message.lease_ms,
            )
        )

    def _encode(self, lease: Lease) -> bytes:
        return record_pb2.ProcessLease(
            schema_version=wire.SCHEMA_VERSION,
            lease_id=lease.lease_id,
            owner=lease.owner,
            beat=lease.beat,
            lease_ms=lease.lease_ms,
            renewed_at_ms=self._clock.now_ms(),
        ).SerializeToString(deterministic=True)
