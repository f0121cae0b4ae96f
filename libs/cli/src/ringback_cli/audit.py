"""Owns the reading of the audit stream: a line per entry, and whether the hash chains hold.

The check stands apart from the service that writes: who reads the audit need not trust its writer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ringback.policy.v1 import audit_pb2, policy_pb2
from ringback_events import ALL_AUDIT

from ringback_cli.stored import stored_payloads

__all__ = ["Audit", "chain_breaks", "entry_line", "read_audit", "read_entries", "stored_entries"]


@dataclass(frozen=True)
class Audit:
    """All entries as (kind, line), how many chains they form, and where one is broken."""

    lines: tuple[tuple[str, str], ...]
    chains: int
    breaks: tuple[str, ...]


async def read_audit(nats_url: str) -> Audit:
    """The whole stream as it is now."""
    entries = await stored_entries(nats_url)
    lines = tuple((entry.WhichOneof("body") or "", entry_line(entry)) for entry in entries)
    return Audit(lines, len({entry.replica for entry in entries}), tuple(chain_breaks(entries)))


async def stored_entries(nats_url: str) -> list[audit_pb2.AuditEntry]:
    """All entries of the stream as it is now, in its order."""
    payloads = await stored_payloads(
        nats_url, lambda bus, on_message: bus.ephemeral(ALL_AUDIT, on_message, start="all")
    )
    return [entry for payload in payloads for entry in read_entries(payload)]


def read_entries(payload: bytes) -> list[audit_pb2.AuditEntry]:
    """The entries of one message of the stream: several, or one alone."""
    batch = audit_pb2.AuditBatch.FromString(payload)
    return list(batch.entries) or [audit_pb2.AuditEntry.FromString(payload)]


def chain_breaks(entries: Sequence[audit_pb2.AuditEntry]) -> list[str]:
    """What is wrong with each replica's chain; a delivery that came twice is none."""
    found: list[str] = []
    last: dict[str, audit_pb2.AuditEntry] = {}
    for entry in sorted(entries, key=lambda one: (one.replica, one.chain_seq)):
        before = last.get(entry.replica)
        seq, link = (before.chain_seq, before.hash) if before else (0, b"")
        if entry.hash != _hash(entry):
            found.append(f"{entry.replica}: entry {entry.chain_seq} was changed")
        if before is not None and entry.chain_seq == seq:
            if entry.hash != before.hash:
                found.append(f"{entry.replica}: there are two entries {seq}")
            continue
        if entry.chain_seq != seq + 1:
            found.append(f"{entry.replica}: entries {seq + 1} to {entry.chain_seq - 1} are missing")
        elif entry.previous_hash != link:
            found.append(f"{entry.replica}: entry {entry.chain_seq} does not follow entry {seq}")
        last[entry.replica] = entry
    return found


def entry_line(entry: audit_pb2.AuditEntry) -> str:
    """One entry, for people."""
    at = entry.at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    match entry.WhichOneof("body"):
        case "decision":
            own = entry.decision
            effect = policy_pb2.Effect.Name(own.effect).removeprefix("EFFECT_").lower()
            what = f"{own.decision_id} {own.session_id} {own.tool} {effect} {own.rule} ({own.source}): {own.reason}"
        case "consent":
            reading = policy_pb2.ConsentReading.Name(entry.consent.reading).removeprefix("CONSENT_READING_")
            what = f"{entry.consent.consent_id} {entry.consent.session_id} read {reading.lower()}"
        case _:
            change = entry.change
            digests = [digest[:15] or "none" for digest in (change.from_digest, change.to_digest)]
            moved = " → ".join(digests) if change.from_digest or change.to_digest else ""
            named = " ".join(part for part in (change.kind, change.pack, moved) if part)
            what = f"{named}: {change.reason}" if change.reason else named
    return f"{at} {entry.WhichOneof('body') or 'entry':<9}{entry.tenant:<12}{entry.actor:<10} {what}"


def _hash(entry: audit_pb2.AuditEntry) -> bytes:
    """SHA-256 over the previous hash and the entry with its own left empty, as audit.proto says."""
    bare = audit_pb2.AuditEntry()
    bare.CopyFrom(entry)
    bare.hash = b""
    return hashlib.sha256(entry.previous_hash + bare.SerializeToString(deterministic=True)).digest()
