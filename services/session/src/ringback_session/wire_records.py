"""A session's record ↔ its protobuf."""

from __future__ import annotations

from base64 import b64decode, b64encode

from ringback.session.v1 import record_pb2

from ringback_session import wire
from ringback_session.ports import Record
from ringback_session.ports_upkeep import Present

__all__ = ["present", "record_from", "record_message", "summarized", "summary_of"]


def record_message(record: Record, now_ms: int) -> record_pb2.SessionRecord:
    return record_pb2.SessionRecord(
        schema_version=wire.SCHEMA_VERSION,
        session_id=record.session_id,
        tenant=record.tenant,
        epoch=record.epoch,
        owner=record.owner,
        snapshot=record.snapshot,
        outbox=[wire.event(fact, record.tenant, record.session_id) for fact in record.outbox],
        token_hashes=record.token_hashes,
        ended=record.ended,
        updated_at_ms=now_ms,
        owner_address=record.owner_address,
    )


def record_from(message: record_pb2.SessionRecord, revision: int) -> Record:
    return Record(
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        owner=message.owner,
        snapshot=message.snapshot,
        outbox=[wire.publish_of(fact) for fact in message.outbox],
        token_hashes=list(message.token_hashes),
        ended=message.ended,
        revision=revision,
        owner_address=message.owner_address,
    )


def present(message: record_pb2.SessionRecord, revision: int, *, heard_ms: int) -> Present:
    return Present(
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        owner=message.owner,
        owner_address=message.owner_address,
        revision=revision,
        heard_ms=heard_ms,
        lease_id=message.lease_id,
        lease_until_ms=message.lease_until_ms,
    )


def summary_of(message: record_pb2.SessionRecord) -> str:
    """Who holds the session, as text: the record without the conversation, its facts and its tokens."""
    held = record_pb2.SessionRecord(
        schema_version=message.schema_version,
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        owner=message.owner,
        lease_until_ms=message.lease_until_ms,
        ended=message.ended,
        owner_address=message.owner_address,
        lease_id=message.lease_id,
    )
    return b64encode(held.SerializeToString(deterministic=True)).decode()


def summarized(summary: str) -> record_pb2.SessionRecord:
    """Raises ValueError for what is no summary."""
    return record_pb2.SessionRecord.FromString(b64decode(summary))
