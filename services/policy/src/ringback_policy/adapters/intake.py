"""What policy reads from the bus: fallback decisions in EVENTS; changes of others and failed gates in CONTROL."""

import logging

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2
from ringback_errors import NotFound
from ringback_events import ALL_CONTROL, ALL_EVENTS, Bus, Delivery, Subscription

from ringback_policy.domain.auditing import ChangeRecord, DecisionRecord
from ringback_policy.domain.vocabulary import Effect, Gate, Layer
from ringback_policy.usecases.publishing import OPERATOR_TENANT
from ringback_policy.usecases.recording import Recording
from ringback_policy.usecases.rolling_out import RollingOut

__all__ = ["AuditIntake"]

# Of any tenant and session.
DECIDED = f"{ALL_EVENTS.removesuffix('>')}*.*.action_decided"
SESSIONS_NAMED_MAX = 10
_log = logging.getLogger("ringback.policy.intake")


class AuditIntake:
    """Two durable consumers, shared by all replicas."""

    def __init__(self, bus: Bus, recording: Recording, rolling_out: RollingOut) -> None:
        self._bus = bus
        self._recording = recording
        self._rolling_out = rolling_out
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Begins to read; raises Unavailable while the bus is away."""
        for stream, durable, subject, handler in (
            ("EVENTS", "policy-decisions", DECIDED, self.on_event),
            ("CONTROL", "policy-changes", ALL_CONTROL, self.on_control),
        ):
            self._subscriptions.append(
                await self._bus.consume(stream, durable=durable, filter_subject=subject, handler=handler)
            )

    async def close(self) -> None:
        """Ends the consumers."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()

    async def on_event(self, delivery: Delivery) -> None:
        """Audits a decision that a session took while policy was away."""
        event = events_pb2.SessionEvent()
        if not _parsed(event, delivery) or event.WhichOneof("body") != "action_decided":
            return
        decided = event.action_decided
        if decided.source != events_pb2.DECISION_SOURCE_FALLBACK:
            return
        self._recording.record(f"decision:{decided.decision_id}", _fallback(event))

    async def on_control(self, delivery: Delivery) -> None:
        """Audits a change that another service made."""
        fact = events_pb2.ControlFact()
        if not _parsed(fact, delivery) or fact.producer == "policy":
            return
        kind = fact.WhichOneof("body")
        if kind == "gate_failed":
            await self._on_gate_failed(fact, delivery.stream_seq)
        if kind == "tool_disabled":
            change = fact.tool_disabled
            record = ChangeRecord(
                at_ms=_ms(fact.occurred_at),
                tenant=OPERATOR_TENANT,
                actor=change.actor or fact.producer,
                kind="tool_disabled" if change.disabled else "tool_enabled",
                reason=f"{change.tool}: {change.reason}",
            )
            self._recording.record(f"control:{delivery.stream_seq}", record)
        if kind == "caller_forgotten":
            self._recording.record(f"control:{delivery.stream_seq}", _forgotten(fact))
        if kind == "session_erased":
            self._recording.record(f"control:{delivery.stream_seq}", _erased(fact))

    async def _on_gate_failed(self, fact: events_pb2.ControlFact, seq: int) -> None:
        failed = fact.gate_failed
        try:
            await self._rolling_out.gate_failed(
                failed.bundle_digest,
                gate=failed.gate,
                reason=failed.reason,
                actor=failed.actor or fact.producer,
                seq=seq,
            )
        except NotFound:
            _log.warning("a gate failed for a bundle that is not stored: %s", failed.bundle_digest)


def _parsed(message: events_pb2.SessionEvent | events_pb2.ControlFact, delivery: Delivery) -> bool:
    try:
        message.ParseFromString(delivery.payload)
    except DecodeError:
        _log.error("a message on %s is not readable", delivery.subject)
        return False
    return True


def _erased(fact: events_pb2.ControlFact) -> ChangeRecord:
    done = fact.session_erased
    what = done.session_id or "client secrets of a caller"
    return ChangeRecord(
        at_ms=_ms(fact.occurred_at),
        tenant=done.tenant or OPERATOR_TENANT,
        actor=done.actor or fact.producer,
        kind="session_erased",
        reason=f"{fact.producer}: {done.removed} entries removed, {done.left} left; {what}",
    )


def _forgotten(fact: events_pb2.ControlFact) -> ChangeRecord:
    done = fact.caller_forgotten
    named = ", ".join(done.session_ids[:SESSIONS_NAMED_MAX])
    return ChangeRecord(
        at_ms=_ms(fact.occurred_at),
        tenant=done.tenant or OPERATOR_TENANT,
        actor=done.actor or fact.producer,
        kind="caller_forgotten",
        reason=f"{len(done.session_ids)} calls, {done.removed} entries removed, {done.left} left; {named}",
    )


def _fallback(event: events_pb2.SessionEvent) -> DecisionRecord:
    decided = event.action_decided
    gate, layer = decided.gate.lower(), decided.layer.lower()
    return DecisionRecord(
        at_ms=_ms(event.occurred_at),
        tenant=event.tenant,
        actor="session",
        decision_id=decided.decision_id,
        session_id=event.session_id,
        gate=Gate(gate) if gate in set(Gate) else Gate.ACTION,
        action_id=decided.action_id,
        tool=decided.tool,
        effect=Effect[decided.effect] if decided.effect in Effect.__members__ else Effect.DENY,
        rule=decided.rule,
        layer=Layer(layer) if layer in set(Layer) else None,
        bundle_digest=decided.bundle_digest,
        reason=decided.reason,
        source="fallback",
    )


def _ms(stamp: Timestamp) -> int:
    return int(stamp.seconds) * 1000 + int(stamp.nanos) // 1_000_000
