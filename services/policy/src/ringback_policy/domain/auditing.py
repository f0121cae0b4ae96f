"""Owns what an audit entry says, before it has a place in a chain."""

import msgspec

from ringback_policy.domain.vocabulary import Effect, Gate, Layer, Reading

__all__ = ["AuditRecord", "ChangeRecord", "ConsentRecord", "DecisionRecord"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What all entries have; `actor` is policy for decisions, a person or service for changes."""

    at_ms: int
    tenant: str
    actor: str = "policy"


class DecisionRecord(Record, frozen=True, kw_only=True):
    """A decision; values are not stored, only the digest of what was asked."""

    decision_id: str
    session_id: str
    gate: Gate
    action_id: str = ""
    tool: str = ""
    input_digest: str = ""
    effect: Effect | None = None
    rule: str = ""
    layer: Layer | None = None
    bundle_digest: str = ""
    reason: str = ""
    source: str = "policy"
    needs_facts: tuple[str, ...] = ()
    consent_id: str = ""
    # It allows a write or an irreversible action: the entry must outlive the process before anybody is told.
    binding: bool = False


class ConsentRecord(Record, frozen=True, kw_only=True):
    """How an answer was read."""

    consent_id: str
    session_id: str
    reading: Reading
    evidence: str


class ChangeRecord(Record, frozen=True, kw_only=True):
    """A change of the control plane."""

    kind: str
    pack: str = ""
    from_digest: str = ""
    to_digest: str = ""
    reason: str = ""


AuditRecord = DecisionRecord | ConsentRecord | ChangeRecord
