"""What policy is asked and answers: plain data of the core ↔ protobuf of policy's contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from ringback.policy.v1 import policy_pb2

from ringback_session.domain.effects import AskPolicy, ReadConsent
from ringback_session.domain.inputs import Decided, FactNeed, ReadBack
from ringback_session.domain.rules import ActionFallback, Effect, GateFallback, TurnRules
from ringback_session.domain.state import BoundValue
from ringback_session.ports import Pinned
from ringback_session.wire import SIDE_EFFECTS_IN, SIDE_EFFECTS_OUT, timestamp, word

__all__ = ["decide_request", "decided", "read_consent_request", "turn_rules"]

_EFFECT = {
    policy_pb2.EFFECT_ALLOW: Effect.ALLOW,
    policy_pb2.EFFECT_CONFIRM: Effect.CONFIRM,
    policy_pb2.EFFECT_ESCALATE: Effect.ESCALATE,
    policy_pb2.EFFECT_DENY: Effect.DENY,
}
# Policy always gives these; zero switches their rule off.
_OFF_AT_ZERO = frozenset(
    {
        "filler_after_ms",
        "silence_ms_max",
        "words_max",
        "idle_prompts_max",
        "output_tokens_max",
        "hold_prompt_after_ms",
        "person_wait_ms_max",
    }
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
    if question.gate == "output":
        request.speech.text, request.speech.final = subject["text"], subject["final"]
        return request
    if question.gate == "result":
        for name in ("action_id", "tool", "result_json"):
            setattr(request.result, name, subject[name])
        return request
    if question.gate == "input":
        request.utterance.text = subject["text"]
        if subject["confidence"] is not None:
            request.utterance.confidence = subject["confidence"]
        return request
    if question.gate == "handoff":
        request.handoff.CopyFrom(policy_pb2.HandoffSubject(**subject))
        return request
    action = request.action
    for name in ("action_id", "tool", "tool_version", "arguments_json", "arguments_digest", "client_tool"):
        setattr(action, name, subject[name])
    action.side_effect = SIDE_EFFECTS_OUT[subject["side_effect"]]
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
        side_effect=SIDE_EFFECTS_OUT[question.side_effect],
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
    decision = Decided(
        decision_id=answer.decision_id,
        effect=_EFFECT.get(answer.effect),
        rule=answer.rule,
        layer=word(policy_pb2.Layer, answer.layer),
        bundle_digest=answer.bundle_digest,
        reason=answer.reason,
        say=answer.say,
        needs_facts=tuple(
            FactNeed(name=need.name, tool=need.tool, arguments_json=need.arguments_json, ttl_ms=need.ttl_ms)
            for need in answer.needs_facts
        ),
        needs_slots=answer.needs_slots,
        done_already=answer.done_already,
        read_back=_read_back(answer.read_back) if answer.HasField("read_back") else None,
        proof=proof,
        wait_ms=wait_ms,
    )
    # Most come without any.
    return _obliged(decision, answer.obligations) if answer.obligations else decision


def turn_rules(answer: policy_pb2.GetSessionRulesResponse) -> TurnRules:
    """The bundle's rules. What it leaves at zero is off, or where that makes no sense keeps the core's default."""
    given = answer.turn_rules
    values: dict[str, Any] = {}
    for field in TurnRules.__struct_fields__:
        if field in ("fallbacks", "gate_fallbacks", "slot_readers") or not hasattr(given, field):
            continue
        value = getattr(given, field)
        if isinstance(value, bool | str | int | float):
            if value or isinstance(value, bool) or field in _OFF_AT_ZERO:
                values[field] = value
        elif len(value):
            values[field] = tuple(value)
    values["fallbacks"] = {
        SIDE_EFFECTS_IN[entry.side_effect]: ActionFallback(effect=_EFFECT[entry.effect], say=entry.say)
        for entry in answer.fallbacks
        if entry.side_effect in SIDE_EFFECTS_IN and entry.effect in _EFFECT
    }
    values["gate_fallbacks"] = {
        word(policy_pb2.Gate, entry.gate): GateFallback(
            effect=_EFFECT[entry.effect], say=entry.say, layer=word(policy_pb2.Layer, entry.layer)
        )
        for entry in answer.gate_fallbacks
        if entry.effect in _EFFECT
    }
    if answer.HasField("slot_readers") and not answer.slot_readers.every:
        values["slot_readers"] = tuple(answer.slot_readers.tools)
    return TurnRules(**values)


def _obliged(decision: Decided, duties: Sequence[policy_pb2.Obligation]) -> Decided:
    says = [duty.say for duty in duties if duty.WhichOneof("kind") == "say"]
    escalate = next((duty.escalate for duty in duties if duty.WhichOneof("kind") == "escalate"), "")
    return replace(
        decision,
        say=" ".join(filter(None, [*says, decision.say])),
        forbid_irreversible=any(duty.forbid_irreversible for duty in duties),
        escalate=escalate,
        redact=tuple((span.start, span.end) for duty in duties for span in duty.redact.spans),
        restate=any(duty.restate for duty in duties),
        words_max=min((duty.words_max for duty in duties if duty.words_max), default=0),
        hold_audio_ms=max(duty.hold_audio_ms for duty in duties),
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
        once_more=message.once_more,
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
    message = policy_pb2.SessionView(
        **plain,
        caller=policy_pb2.Caller(caller_id=view["caller_id"]),
        totals=[policy_pb2.ActionTotals(**total) for total in view["totals"]],
        slots=[policy_pb2.Slot(**slot) for slot in view["slots"]],
        slots_behind=view.get("slots_behind", False),
        slots_before=[policy_pb2.Slot(**slot) for slot in view.get("slots_before", ())],
        consents=[policy_pb2.PastConsent(**consent) for consent in view["consents"]],
    )
    # Up to 32, field by field in their place: half of what the constructor and a copy cost.
    for action in view["actions"]:
        past = message.actions.add()
        past.action_id, past.tool, past.status = action["action_id"], action["tool"], action["status"]
        past.age_ms, past.arguments_json = action["age_ms"], action["arguments_json"]
    return message
