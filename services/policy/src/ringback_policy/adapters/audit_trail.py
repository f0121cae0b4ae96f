"""The audit on the bus: entries of this process form one hash chain, ordered and spooled by the bus."""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache

from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import Overloaded, RingbackError
from ringback_events import Bus, SpoolFull, audit_subject

from ringback_policy import wire
from ringback_policy.domain.auditing import AuditRecord, ChangeRecord, ConsentRecord, DecisionRecord

__all__ = ["AuditChain", "chain_breaks", "entry_hash", "read_entries"]

SCHEMA_VERSION = 1
REASON_CHARS_MAX = 500
HELD_MAX = 1_024
# Entries are made and go to the bus together: one write to the socket and one wake-up for all of a few milliseconds.
BATCH_MS = 25
BATCH_MAX = 64
# A bus that could keep no more is tried again, also when nobody asks meanwhile.
AGAIN_MS = 1_000
_log = logging.getLogger("ringback.policy.audit")


class AuditChain:
    """Appends entries. `replica` is unique to this run of the process: a restart begins a chain of its own.

    Entries are handed to the bus within `BATCH_MS` of their answers, several of a tenant in one message, so that
    nobody waits for them. What allows a side effect is on disk, with all that stands before it in the chain, when
    `append` returns. When the bus can keep no more, those answered already wait here, `HELD_MAX` and what is being
    answered at most, and further ones are refused.
    """

    def __init__(self, bus: Bus, *, replica: str) -> None:
        self._bus = bus
        self._replica = replica
        self._seq = 0
        self._last_hash = b""
        self._held: deque[AuditRecord] = deque()
        # What comes after those held, not made yet.
        self._unmade: deque[Callable[[], DecisionRecord]] = deque()
        self._full = False
        self._timer: asyncio.TimerHandle | None = None

    def append(self, record: AuditRecord, *, happened: bool = False) -> None:
        """Takes an entry; raises Overloaded when the bus keeps no more, InvalidInput for what is no tenant.

        What has happened is taken all the same.
        """
        if not happened:
            self.check_room(record.tenant)
        self._make()
        self._held.append(record)
        if isinstance(record, DecisionRecord) and record.binding:
            self._keep()
        elif _cannot_wait(record):
            self.deliver()
        else:
            self._deliver_soon()

    def append_later(self, tenant: str, made: Callable[[], DecisionRecord]) -> None:
        """Takes an entry that is made when it is handed on; raises as `append` does."""
        self.check_room(tenant)
        self._unmade.append(made)
        self._deliver_soon()

    def check_room(self, tenant: str) -> None:
        """Raises as `append` does."""
        if self._full or self._waiting() >= HELD_MAX:
            self.deliver()
        if self._full:
            raise _overloaded()
        # Refused here and not later: the tenant is part of the subject.
        _subject(tenant, "decision")

    def deliver(self, *, durable: bool = False) -> None:
        """Hands everything that waits to the bus."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._make()
        while self._held:
            batch = _together(self._held)
            try:
                self._publish(batch, durable=durable)
            except SpoolFull:
                if not self._full:
                    _log.error("the audit cannot take more: its spool is full")
                self._full = True
                self._timer = asyncio.get_running_loop().call_later(AGAIN_MS / 1000, self.deliver)
                return
            except RingbackError as error:
                # Entries that the bus will never take must not stop those behind them.
                _log.error("%d audit entries were refused: %s", len(batch), error)
            for _ in batch:
                self._held.popleft()
        self._full = False

    def _waiting(self) -> int:
        return len(self._held) + len(self._unmade)

    def _make(self) -> None:
        while self._unmade:
            self._held.append(self._unmade.popleft()())

    def _deliver_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_MS / 1000, self.deliver)
        elif self._waiting() == BATCH_MAX:
            asyncio.get_running_loop().call_soon(self.deliver)

    def _keep(self) -> None:
        """What cannot be kept is not allowed, and the entry that would say so is withdrawn."""
        self.deliver(durable=True)
        if self._full:
            self._held.pop()
            raise _overloaded()

    def _publish(self, records: list[AuditRecord], *, durable: bool) -> None:
        seq, link = self._seq, self._last_hash
        batch = audit_pb2.AuditBatch()
        for record in records:
            entry = batch.entries.add()
            seq += 1
            _fill(entry, record)
            entry.schema_version, entry.replica = SCHEMA_VERSION, self._replica
            entry.chain_seq, entry.previous_hash = seq, link
            entry.hash = link = _hash_of(entry)
        kind: str
        kind, payload = "batch", batch.SerializeToString()
        if len(records) == 1:
            alone = batch.entries[0]
            kind, payload = alone.WhichOneof("body") or "entry", alone.SerializeToString()
        self._bus.publish(
            _subject(records[0].tenant, kind), payload, msg_id=f"{self._replica}:{seq}", durable=durable
        )
        self._seq, self._last_hash = seq, link


def read_entries(payload: bytes) -> list[audit_pb2.AuditEntry]:
    """The entries of one message of the stream."""
    batch = audit_pb2.AuditBatch.FromString(payload)
    return list(batch.entries) or [audit_pb2.AuditEntry.FromString(payload)]


def _together(held: Iterable[AuditRecord]) -> list[AuditRecord]:
    """The first entries that are of one tenant: a message must not pass one of another that comes before it."""
    found: list[AuditRecord] = []
    for record in held:
        if len(found) >= BATCH_MAX or (found and record.tenant != found[0].tenant):
            break
        found.append(record)
    return found


def _overloaded() -> Overloaded:
    return Overloaded("the audit can take no more: what is not audited is not decided", retry_after_ms=1_000)


@lru_cache(maxsize=1_024)
def _subject(tenant: str, kind: str) -> str:
    return audit_subject(tenant, kind)


def _cannot_wait(record: AuditRecord) -> bool:
    """What comes from a stream is acknowledged there when it was taken here; a change is made once."""
    return isinstance(record, ChangeRecord) or (
        isinstance(record, DecisionRecord) and record.source != "policy"
    )


def entry_hash(entry: audit_pb2.AuditEntry) -> bytes:
    """SHA-256 of the previous hash and the entry with its own hash left empty."""
    bare = audit_pb2.AuditEntry()
    bare.CopyFrom(entry)
    bare.hash = b""
    return _hash_of(bare)


def _hash_of(bare: audit_pb2.AuditEntry) -> bytes:
    return hashlib.sha256(bare.previous_hash + bare.SerializeToString(deterministic=True)).digest()


def chain_breaks(entries: list[audit_pb2.AuditEntry]) -> list[str]:
    """What is wrong with the chains of these entries, by replica; empty when every chain holds."""
    found: list[str] = []
    last: dict[str, tuple[int, bytes]] = {}
    for entry in sorted(entries, key=lambda e: (e.replica, e.chain_seq)):
        seq, previous = last.get(entry.replica, (0, b""))
        if entry.chain_seq == seq:
            continue  # delivered twice
        if entry.chain_seq != seq + 1:
            found.append(f"{entry.replica}: entries {seq + 1} to {entry.chain_seq - 1} are missing")
        elif entry.previous_hash != previous:
            found.append(f"{entry.replica}: entry {entry.chain_seq} does not follow entry {seq}")
        if entry.hash != entry_hash(entry):
            found.append(f"{entry.replica}: entry {entry.chain_seq} was changed")
        last[entry.replica] = (entry.chain_seq, entry.hash)
    return found


def _fill(entry: audit_pb2.AuditEntry, record: AuditRecord) -> None:
    entry.tenant, entry.actor = record.tenant, record.actor
    entry.at.seconds, entry.at.nanos = record.at_ms // 1000, record.at_ms % 1000 * 1_000_000
    match record:
        case DecisionRecord():
            _fill_decision(entry.decision, record)
        case ConsentRecord():
            entry.consent.consent_id = record.consent_id
            entry.consent.session_id = record.session_id
            entry.consent.reading = wire.READINGS_OUT[record.reading]
            entry.consent.evidence = record.evidence[:REASON_CHARS_MAX]
        case ChangeRecord():
            entry.change.kind = record.kind
            entry.change.pack = record.pack
            entry.change.from_digest = record.from_digest
            entry.change.to_digest = record.to_digest
            entry.change.reason = record.reason[:REASON_CHARS_MAX]


def _fill_decision(decision: audit_pb2.AuditedDecision, record: DecisionRecord) -> None:
    """Field by field: what is empty is not written, and nothing is copied."""
    decision.decision_id = record.decision_id
    decision.session_id = record.session_id
    decision.gate = wire.GATES_OUT[record.gate]
    decision.action_id = record.action_id
    decision.tool = record.tool
    decision.input_digest = record.input_digest
    decision.effect = wire.effect_out(record.effect)
    decision.rule = record.rule
    decision.layer = wire.LAYERS_OUT[record.layer] if record.layer else pb.LAYER_UNSPECIFIED
    decision.bundle_digest = record.bundle_digest
    decision.reason = record.reason[:REASON_CHARS_MAX]
    decision.source = record.source
    decision.needs_facts.extend(record.needs_facts)
    decision.consent_id = record.consent_id
