"""Which processes still hold their sessions: one lease a process, renewed by a beat, judged without a clock.

All beats go through one ordered stream, and each process hears its own there. A lease has run out when this process
heard itself for longer than the lease lasts, and nothing of the other. So whoever stood still, was cut off, or has
another idea of what time it is, takes nobody for dead: it heard nothing of itself either.

A lease only says which sessions may be taken up by whoever looks after expired ones. What keeps two owners from acting
is the compare-and-set on the record.
"""

from __future__ import annotations

import msgspec

__all__ = ["Lease", "Leases", "beat_every_ms"]

BEATS_A_LEASE = 3
BEAT_MS_MAX = 5_000
# Of processes that are gone, the last heard of; what they held was taken up long before so many others came and went.
KNOWN_MAX = 1_000


class Lease(msgspec.Struct, frozen=True):
    """One beat of a process; `beat` counts them."""

    lease_id: str
    owner: str
    beat: int
    lease_ms: int


class _Heard(msgspec.Struct, frozen=True):
    at_ms: int
    lease_ms: int


def beat_every_ms(lease_ms: int) -> int:
    """How often a lease is renewed: some beats may be lost before it runs out."""
    return max(1, min(BEAT_MS_MAX, lease_ms // BEATS_A_LEASE))


class Leases:
    """What this process heard of its own lease and of others."""

    def __init__(self, own: Lease) -> None:
        self.own = own
        # What this process heard of itself, in ms: the only time there is here.
        self.heard_ms = 0
        self._beat_ms = beat_every_ms(own.lease_ms)
        self._counted = own.beat
        self._others: dict[str, _Heard] = {}

    def renewed(self) -> Lease:
        """The next beat, to be told to everybody; it counts once it is heard."""
        self.own = msgspec.structs.replace(self.own, beat=self.own.beat + 1)
        return self.own

    def heard(self, lease: Lease) -> None:
        """A beat came through the stream."""
        if lease.lease_id == self.own.lease_id:
            # Of a beat that was sent twice, or is told again after a break, once.
            if lease.beat > self._counted:
                self._counted = lease.beat
                self.heard_ms += self._beat_ms
            return
        self._others.pop(lease.lease_id, None)
        self._others[lease.lease_id] = _Heard(self.heard_ms, lease.lease_ms)
        while len(self._others) > KNOWN_MAX:
            del self._others[next(iter(self._others))]

    def expired_ms(self, lease_id: str, *, written_ms: int) -> int:
        """How long ago it ran out for a session; negative: it holds. `written_ms`: when its record was last heard of.

        What our own process does not look after has nobody, however well it is: there only the record counts. So it
        does where nothing was ever heard of a process.
        """
        if lease_id == self.own.lease_id:
            return self.heard_ms - written_ms - self.own.lease_ms
        other = self._others.get(lease_id, _Heard(written_ms, self.own.lease_ms))
        return self.heard_ms - max(other.at_ms, written_ms) - other.lease_ms
