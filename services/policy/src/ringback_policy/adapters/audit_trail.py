"""The audit on the bus: entries of this process form one hash chain, ordered and spooled by the bus."""

import asyncio
import hashlib
import logging
from collections import deque

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import Overloaded, RingbackError
from ringback_events import Bus, SpoolFull, audit_subject

from ringback_policy import wire
from ringback_policy.domain.auditing import AuditRecord, ChangeRecord, ConsentRecord, DecisionRecord

__all__ = ["AuditChain", "chain_breaks", "entry_hash"]

SCHEMA_VERSION = 1
REASON_CHARS_MAX = 500
HELD_MAX = 1_024
# Entries go to the bus together: one write to the socket and one wake-up for all of a few milliseconds.
BATCH_MS = 10
BATCH_MAX = 64
_log = logging.getLogger("ringback.policy.audit")


class AuditChain:
    """Appends entries. `replica` is unique to this run of the process: a restart begins a chain of its own.

    Entries are handed to the bus within `BATCH_MS` of their answers, in the order of the answers, so that nobody
    waits for them. When the bus can keep no more, those answered already wait here, `HELD_MAX` at most, and further
    ones are refused.
    """

    def __init__(self, bus: Bus, *, replica: str) -> None:
        self._bus = bus
        self._replica = replica
        self._seq = 0
        self._last_hash = b""
        self._held: deque[AuditRecord] = deque()
        self._full = False
        self._timer: asyncio.TimerHandle | None = None

    def append(self, record: AuditRecord) -> None:
        """Takes an entry; raises Overloaded when the bus keeps no more and too many wait."""
        if self._full or len(self._held) >= HELD_MAX:
            self.deliver()
        if self._full:
            raise Overloaded(
                "the audit can take no more: what is not audited is not decided", retry_after_ms=1_000
            )
        # Refused here and not later: the tenant is part of the subject.
        audit_subject(record.tenant, "decision")
        self._held.append(record)
        if len(self._held) >= BATCH_MAX or _cannot_wait(record):
            self.deliver()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_MS / 1000, self.deliver)

    def deliver(self) -> None:
        """Hands everything that waits to the bus."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._held:
            try:
                self._publish(self._held[0])
            except SpoolFull:
                if not self._full:
                    _log.error("the audit cannot take more: its spool is full")
                self._full = True
                return
            except RingbackError as error:
                # An entry that the bus will never take must not stop those behind it.
                _log.error("an audit entry was refused: %s", error)
            self._held.popleft()
        self._full = False

    def _publish(self, record: AuditRecord) -> None:
        entry = _entry(record)
        entry.schema_version = SCHEMA_VERSION
        entry.replica = self._replica
        entry.chain_seq = self._seq + 1
        entry.previous_hash = self._last_hash
        entry.hash = entry_hash(entry)
        subject = audit_subject(record.tenant, entry.WhichOneof("body") or "entry")
        self._bus.publish(subject, entry.SerializeToString(), msg_id=f"{entry.replica}:{entry.chain_seq}")
        self._seq, self._last_hash = entry.chain_seq, entry.hash


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
    return hashlib.sha256(entry.previous_hash + bare.SerializeToString(deterministic=True)).digest()


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


def _entry(record: AuditRecord) -> audit_pb2.AuditEntry:
    at = Timestamp(seconds=record.at_ms // 1000, nanos=record.at_ms % 1000 * 1_000_000)
    entry = audit_pb2.AuditEntry(tenant=record.tenant, actor=record.actor, at=at)
    match record:
        case DecisionRecord():
            entry.decision.CopyFrom(_decision(record))
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
    return entry


def _decision(record: DecisionRecord) -> audit_pb2.AuditedDecision:
    return audit_pb2.AuditedDecision(
        decision_id=record.decision_id,
        session_id=record.session_id,
        gate=wire.GATES_OUT[record.gate],
        action_id=record.action_id,
        tool=record.tool,
        input_digest=record.input_digest,
        effect=wire.effect_out(record.effect),
        rule=record.rule,
        layer=wire.LAYERS_OUT[record.layer] if record.layer else pb.LAYER_UNSPECIFIED,
        bundle_digest=record.bundle_digest,
        reason=record.reason[:REASON_CHARS_MAX],
        source=record.source,
        needs_facts=list(record.needs_facts),
        consent_id=record.consent_id,
    )
