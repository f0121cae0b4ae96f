"""Plain data of the core ↔ protobuf of the contracts. The one place where both are known."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.session.v1 import record_pb2
from ringback.tools.v1 import tools_pb2

from ringback_session.domain.effects import AskPolicy, Execute, Publish, ReadConsent
from ringback_session.domain.inputs import (
    ActionProgressed,
    ActionReconciled,
    ActionResult,
    Decided,
    FactNeed,
    ReadBack,
)
from ringback_session.domain.rules import ActionFallback, Effect, SideEffect, Tool, TurnRules
from ringback_session.domain.state import BoundValue
from ringback_session.ports import Pinned, Record

__all__ = [
    "decide_request",
    "decided",
    "event",
    "execute_request",
    "progress_or_result",
    "publish_of",
    "read_consent_request",
    "reconciled",
    "record_from",
    "record_message",
    "timestamp",
    "tool",
    "turn_rules",
    "word",
]

SCHEMA_VERSION = 1
_SIDE_EFFECT = {
    SideEffect.READ: policy_pb2.SIDE_EFFECT_READ,
    SideEffect.WRITE: policy_pb2.SIDE_EFFECT_WRITE,
    SideEffect.IRREVERSIBLE: policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}
_SIDE_EFFECT_BACK = {value: key for key, value in _SIDE_EFFECT.items()}
_EFFECT = {
    policy_pb2.EFFECT_ALLOW: Effect.ALLOW,
    policy_pb2.EFFECT_CONFIRM: Effect.CONFIRM,
    policy_pb2.EFFECT_ESCALATE: Effect.ESCALATE,
    policy_pb2.EFFECT_DENY: Effect.DENY,
}
_STATUS = {
    tools_pb2.STATUS_OK: "ok",
    tools_pb2.STATUS_ERROR: "failed",
    tools_pb2.STATUS_UNKNOWN_OUTCOME: "unknown",
}
# Fields of facts that are enums on the wire and words in the core.
_ENUMS = {
    ("agent_turn_ended", "kind"): ("SPEECH_KIND_", events_pb2.SpeechKind),
    ("action_requested", "side_effect"): ("SIDE_EFFECT_", events_pb2.SideEffect),
    ("action_finished", "side_effect"): ("SIDE_EFFECT_", events_pb2.SideEffect),
    ("action_finished", "status"): ("ACTION_STATUS_", events_pb2.ActionStatus),
    ("action_decided", "source"): ("DECISION_SOURCE_", events_pb2.DecisionSource),
    ("consent_answered", "reading"): ("CONSENT_READING_", events_pb2.ConsentReading),
}


def timestamp(unix_ms: int) -> Timestamp:
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def word(enum: Any, number: int) -> str:
    """The core's word for a value of an enum, without the enum's prefix; empty for none, or one of a later release."""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    if value is None or not number:
        return ""
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper()
    return str(value.name).removeprefix(f"{prefix}_").lower()


def event(fact: Publish, tenant: str, session_id: str) -> events_pb2.SessionEvent:
    """A fact as it goes on the EVENTS stream."""
    message = events_pb2.SessionEvent(
        schema_version=SCHEMA_VERSION,
        tenant=tenant,
        session_id=session_id,
        epoch=fact.epoch,
        seq=fact.seq,
        occurred_at=timestamp(fact.at_ms),
        turn_id=fact.turn_id,
        agent=fact.agent,
    )
    body = getattr(message, fact.kind)
    body.SetInParent()
    for name, value in fact.body.items():
        _set(body, fact.kind, name, value)
    return message


def publish_of(message: events_pb2.SessionEvent) -> Publish:
    """A fact of an outbox, so that a new owner can publish it again."""
    kind = message.WhichOneof("body") or ""
    body: dict[str, Any] = {"_raw": getattr(message, kind).SerializeToString()} if kind else {}
    return Publish(
        kind=kind,
        seq=message.seq,
        epoch=message.epoch,
        turn_id=message.turn_id,
        agent=message.agent,
        at_ms=message.occurred_at.ToMilliseconds(),
        body=body,
    )


def record_message(record: Record, now_ms: int) -> record_pb2.SessionRecord:
    return record_pb2.SessionRecord(
        schema_version=SCHEMA_VERSION,
        session_id=record.session_id,
        tenant=record.tenant,
        epoch=record.epoch,
        owner=record.owner,
        lease_until_ms=record.lease_until_ms,
        snapshot=record.snapshot,
        outbox=[event(fact, record.tenant, record.session_id) for fact in record.outbox],
        token_hashes=record.token_hashes,
        ended=record.ended,
        updated_at_ms=now_ms,
    )


def record_from(message: record_pb2.SessionRecord, revision: int) -> Record:
    return Record(
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        owner=message.owner,
        lease_until_ms=message.lease_until_ms,
        snapshot=message.snapshot,
        outbox=[publish_of(fact) for fact in message.outbox],
        token_hashes=list(message.token_hashes),
        ended=message.ended,
        revision=revision,
    )


def decide_request(question: AskPolicy, pinned: Pinned, now_ms: int) -> policy_pb2.DecideRequest:
    request = policy_pb2.DecideRequest(
        decision_id=question.decision_id,
        gate=policy_pb2.Gate.Value(f"GATE_{question.gate.upper()}"),
        tenant=pinned.tenant,
        bundle_digest=pinned.bundle_digest,
        session=_session_view(question.view),
        facts=[policy_pb2.Fact(**fact) for fact in question.facts],
        now=timestamp(now_ms),
    )
    subject = question.subject
    if question.gate == "input":
        request.utterance.text = subject["text"]
        if subject["confidence"] is not None:
            request.utterance.confidence = subject["confidence"]
        return request
    action = request.action
    for name in ("action_id", "tool", "tool_version", "arguments_json", "arguments_digest", "client_tool"):
        setattr(action, name, subject[name])
    action.side_effect = _SIDE_EFFECT[subject["side_effect"]]
    consent = subject["consent"]
    if consent is not None:
        action.consent.consent_id = consent["consent_id"]
        action.consent.arguments_digest = consent["arguments_digest"]
        action.consent.given_at.CopyFrom(timestamp(consent["given_at_ms"]))
        action.consent.expires_at.CopyFrom(timestamp(consent["expires_at_ms"]))
    return request


def read_consent_request(question: ReadConsent, pinned: Pinned) -> policy_pb2.ReadConsentRequest:
    return policy_pb2.ReadConsentRequest(
        tenant=pinned.tenant,
        session_id=pinned.session_id,
        consent_id=question.consent_id,
        bundle_digest=pinned.bundle_digest,
        read_back=question.read_back,
        utterance=question.utterance,
        confidence=question.confidence,
        bound_values=[
            policy_pb2.BoundValue(name=bound.name, value=bound.value, kind=bound.kind)
            for bound in question.bound_values
        ],
        side_effect=_SIDE_EFFECT[question.side_effect],
    )


def decided(answer: policy_pb2.DecideResponse, wait_ms: float) -> Decided:
    proof: dict[str, str | int] | None = None
    if answer.HasField("proof"):
        proof = {
            "key_id": answer.proof.key_id,
            "mac": answer.proof.mac.hex(),
            "decision_id": answer.proof.decision_id,
            "consent_id": answer.proof.consent_id,
            "expires_at_ms": answer.proof.expires_at_ms,
        }
    says = [duty.say for duty in answer.obligations if duty.WhichOneof("kind") == "say"]
    escalate = next(
        (duty.escalate for duty in answer.obligations if duty.WhichOneof("kind") == "escalate"), ""
    )
    return Decided(
        decision_id=answer.decision_id,
        effect=_EFFECT.get(answer.effect),
        rule=answer.rule,
        layer=word(policy_pb2.Layer, answer.layer),
        bundle_digest=answer.bundle_digest,
        reason=answer.reason,
        say=" ".join(filter(None, [*says, answer.say])),
        needs_facts=tuple(
            FactNeed(name=need.name, tool=need.tool, arguments_json=need.arguments_json, ttl_ms=need.ttl_ms)
            for need in answer.needs_facts
        ),
        read_back=_read_back(answer.read_back) if answer.HasField("read_back") else None,
        proof=proof,
        forbid_irreversible=any(duty.forbid_irreversible for duty in answer.obligations),
        escalate=escalate,
        wait_ms=wait_ms,
    )


def turn_rules(answer: policy_pb2.GetSessionRulesResponse) -> TurnRules:
    """The bundle's rules; what it leaves at zero keeps the core's default."""
    given = answer.turn_rules
    values: dict[str, Any] = {}
    for field in TurnRules.__struct_fields__:
        if field == "fallbacks" or not hasattr(given, field):
            continue
        value = getattr(given, field)
        if isinstance(value, bool | str | int | float):
            if value or isinstance(value, bool):
                values[field] = value
        elif len(value):
            values[field] = tuple(value)
    values["fallbacks"] = {
        _SIDE_EFFECT_BACK[entry.side_effect]: ActionFallback(effect=_EFFECT[entry.effect], say=entry.say)
        for entry in answer.fallbacks
        if entry.side_effect in _SIDE_EFFECT_BACK and entry.effect in _EFFECT
    }
    return TurnRules(**values)


def tool(message: tools_pb2.Tool) -> Tool:
    return Tool(
        name=message.name,
        version=message.version,
        description=message.description,
        parameters_json=message.parameters_json,
        # What does not say what it does is treated as the worst.
        side_effect=_SIDE_EFFECT_BACK.get(message.side_effect, SideEffect.IRREVERSIBLE),
        deadline_ms=message.deadline_ms or 10_000,
        slow_after_ms=message.slow_after_ms,
        dependency=message.dependency,
        internal=message.internal,
    )


def execute_request(action: Execute, pinned: Pinned) -> tools_pb2.ExecuteRequest:
    request = tools_pb2.ExecuteRequest(
        tenant=pinned.tenant,
        session_id=pinned.session_id,
        epoch=pinned.epoch,
        action_id=action.action_id,
        pack_digest=pinned.pack_digest,
        tool=action.tool,
        tool_version=action.version,
        arguments_json=action.arguments_json,
        scopes=pinned.scopes,
        priority=tools_pb2.PRIORITY_LIVE_CALL,
        attach_only=action.attach_only,
    )
    if action.proof is not None:
        request.proof.key_id = str(action.proof["key_id"])
        request.proof.mac = bytes.fromhex(str(action.proof["mac"]))
        request.proof.decision_id = str(action.proof["decision_id"])
        request.proof.consent_id = str(action.proof["consent_id"])
        request.proof.expires_at_ms = int(action.proof["expires_at_ms"])
    return request


def progress_or_result(
    action_id: str, message: tools_pb2.ExecuteResponse
) -> ActionProgressed | ActionResult | None:
    """None for a kind of progress that this version does not know."""
    kind = message.WhichOneof("event")
    match kind:
        case "started" | "slow":
            return ActionProgressed(action_id=action_id, stage=kind)
        case "attempting":
            return ActionProgressed(
                action_id=action_id,
                stage="attempt",
                attempt=message.attempting.attempt,
                message=message.attempting.after_error,
            )
        case "progress":
            return ActionProgressed(action_id=action_id, stage="progress", message=message.progress.message)
        case "result":
            return _result(action_id, message.result)
        case _:
            return None


def reconciled(message: events_pb2.LateFact) -> ActionReconciled | None:
    """None for a kind of late fact that is not the session's to fold, or that this version does not know."""
    if (kind := message.WhichOneof("body")) not in ("action_reconciled", "job_finished"):
        return None
    fact = getattr(message, kind)
    status = events_pb2.ActionStatus.Name(fact.status).removeprefix("ACTION_STATUS_").lower()
    return ActionReconciled(
        action_id=fact.action_id,
        status=status,
        data_json=fact.result_json,
        error_code=fact.error_code,
        message=fact.message,
    )


def _result(action_id: str, result: tools_pb2.Result) -> ActionResult:
    return ActionResult(
        action_id=action_id,
        status=_STATUS.get(result.status, "unknown"),
        data_json=result.data_json,
        error_code=word(tools_pb2.ErrorCode, result.error_code),
        message=result.message,
        retryable=result.retryable,
        attempts=result.attempts,
        already_done=result.already_done,
        fallback=result.fallback.kind or "none",
        fallback_message=result.fallback.message,
        open_breakers=tuple(result.open_breakers),
    )


def _read_back(message: policy_pb2.ReadBack) -> ReadBack:
    return ReadBack(
        text=message.text,
        must_contain=tuple(
            BoundValue(name=bound.name, value=bound.value, kind=_kind(bound.kind))
            for bound in message.must_contain
        ),
        arguments_digest=message.arguments_digest,
        expires_after_ms=message.expires_after_ms or 30_000,
        clarify_max=message.clarify_max,
    )


def _kind(kind: str) -> Any:
    return kind if kind in ("id", "money", "date", "time", "phone", "number") else "text"


def _session_view(view: dict[str, Any]) -> policy_pb2.SessionView:
    plain = {
        name: view[name]
        for name in (
            "session_id",
            "tenant",
            "pack",
            "agent",
            "turn",
            "epoch",
            "as_of_seq",
            "elapsed_ms",
            "open_breakers",
            "irreversible_forbidden",
        )
    }
    return policy_pb2.SessionView(
        **plain,
        caller=policy_pb2.Caller(caller_id=view["caller_id"]),
        actions=[policy_pb2.PastAction(**action) for action in view["actions"]],
        totals=[policy_pb2.ActionTotals(**total) for total in view["totals"]],
        slots=[policy_pb2.Slot(**slot) for slot in view["slots"]],
        consents=[policy_pb2.PastConsent(**consent) for consent in view["consents"]],
    )


def _set(body: Any, kind: str, name: str, value: Any) -> None:
    if name == "_raw":
        body.ParseFromString(value)
    elif value is None:
        pass
    elif name == "expires_at_ms":
        body.expires_at.CopyFrom(timestamp(value))
    elif (kind, name) in _ENUMS:
        prefix, enum = _ENUMS[kind, name]
        setattr(body, name, enum.Value(f"{prefix}{str(value).upper()}"))
    elif isinstance(value, list):
        getattr(body, name).extend(value)
    else:
        setattr(body, name, value)
