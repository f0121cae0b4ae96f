"""Owns the conversion between protobuf messages and domain types; what a message lacks is said here."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import InvalidInput

from ringback_policy.domain.consent import ConsentAnswer
from ringback_policy.domain.findings import Finding
from ringback_policy.domain.model import Bundle, TurnRules
from ringback_policy.domain.subjects import (
    ACTIONS_SEEN_MAX,
    UNKNOWN,
    ActionSubject,
    ActionTotals,
    BoundValue,
    Caller,
    Consent,
    Decision,
    Fact,
    HandoffSubject,
    Obligations,
    PastAction,
    PastConsent,
    ReadBack,
    Request,
    ResultSubject,
    SessionView,
    Slot,
    SpeechSubject,
    Subject,
    UtteranceSubject,
)
from ringback_policy.domain.verdicts import NONE
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, Reading, SideEffect
from ringback_policy.ports import Proof
from ringback_policy.usecases.deciding import AskedConsent
from ringback_policy.usecases.publishing import BundleRow

__all__ = [
    "EFFECTS_OUT",
    "GATES_OUT",
    "LAYERS_OUT",
    "READINGS_OUT",
    "asked_consent",
    "bundle_info",
    "consent_response",
    "decide_request",
    "decide_response",
    "effect_out",
    "finding",
    "read_question",
    "session_rules",
    "side_effect",
]

REPEATED_MAX = 256

_GATES = {getattr(pb, f"GATE_{gate.name}"): gate for gate in Gate}
GATES_OUT = {gate: number for number, gate in _GATES.items()}
LAYERS_OUT = {layer: getattr(pb, f"LAYER_{layer.name}") for layer in Layer}
READINGS_OUT = {reading: getattr(pb, f"CONSENT_READING_{reading.name}") for reading in Reading}
EFFECTS_OUT: dict[Effect, pb.Effect.ValueType] = {
    effect: getattr(pb, f"EFFECT_{effect.name}") for effect in Effect
}
# What nobody classified counts as the worst.
_SIDE_EFFECTS: dict[pb.SideEffect.ValueType, SideEffect] = {
    pb.SIDE_EFFECT_READ: SideEffect.READ,
    pb.SIDE_EFFECT_WRITE: SideEffect.WRITE,
    pb.SIDE_EFFECT_IRREVERSIBLE: SideEffect.IRREVERSIBLE,
}
_CLASSES_OUT = {own: number for number, own in _SIDE_EFFECTS.items()}


def side_effect(number: pb.SideEffect.ValueType) -> SideEffect:
    """The class; one that is unknown or not stated counts as irreversible."""
    return _SIDE_EFFECTS.get(number, SideEffect.IRREVERSIBLE)


def decide_request(message: pb.DecideRequest) -> Request:
    """The request; raises InvalidInput naming what is missing."""
    gate = _GATES.get(message.gate)
    if gate is None:
        raise InvalidInput("expected INPUT, ACTION, RESULT, OUTPUT or HANDOFF", field="gate")
    decision_id, tenant, bundle_digest = message.decision_id, message.tenant, message.bundle_digest
    if not (decision_id and tenant and bundle_digest):
        missing = "bundle_digest" if decision_id and tenant else "tenant" if decision_id else "decision_id"
        raise InvalidInput("expected, but missing", field=missing)
    if not message.HasField("now"):
        raise InvalidInput("expected the session's clock", field="now")
    session = _view(message.session)
    if not session.session_id:
        raise InvalidInput("expected, but missing", field="session.session_id")
    if session.tenant not in ("", tenant):
        raise InvalidInput("expected the request's own tenant", field="session.tenant")
    return Request(
        decision_id=decision_id,
        gate=gate,
        tenant=tenant,
        bundle_digest=bundle_digest,
        session=session,
        subject=_subject(message),
        facts=tuple(map(_fact, message.facts)),
        now_ms=_ms(message.now),
    )


def read_question(question: bytes) -> Request:
    """A question that was kept as it travelled."""
    return decide_request(pb.DecideRequest.FromString(question))


def decide_response(request: Request, decision: Decision, proof: Proof | None) -> pb.DecideResponse:
    """The answer. Field by field, which costs half of what the constructor does."""
    response = pb.DecideResponse()
    response.decision_id = request.decision_id
    if decision.effect is not None:
        response.effect = EFFECTS_OUT[decision.effect]
    response.rule = decision.rule
    if decision.layer is not None:
        response.layer = LAYERS_OUT[decision.layer]
    response.bundle_digest = decision.bundle_digest or request.bundle_digest
    response.reason = decision.reason
    if decision.say:
        response.say = decision.say
    if decision.obligations is not NONE:
        response.obligations.extend(_obligations(decision.obligations))
    if decision.rule_errors:
        response.rule_error = True
    if decision.needs_slots:
        response.needs_slots = True
    response.done_already = decision.done_already
    for need in decision.needs_facts:
        response.needs_facts.add(
            name=need.name, tool=need.tool, arguments_json=need.arguments_json, ttl_ms=need.ttl_ms
        )
    if decision.read_back is not None:
        _read_back(decision.read_back, response.read_back)
    if proof is not None:
        response.proof.key_id = proof.key_id
        response.proof.mac = proof.mac
        response.proof.decision_id = proof.decision_id
        response.proof.consent_id = proof.consent_id
        response.proof.expires_at_ms = proof.expires_at_ms
    return response


def asked_consent(message: pb.ReadConsentRequest) -> AskedConsent:
    """The answer to a read-back; raises InvalidInput."""
    for name in ("tenant", "session_id", "consent_id", "bundle_digest"):
        if not getattr(message, name):
            raise InvalidInput("expected, but missing", field=name)
    return AskedConsent(
        tenant=message.tenant,
        session_id=message.session_id,
        consent_id=message.consent_id,
        bundle_digest=message.bundle_digest,
        read_back=message.read_back,
        utterance=message.utterance,
        confidence=message.confidence if message.HasField("confidence") else None,
        bound_values=tuple(BoundValue(v.name, v.value, v.kind) for v in message.bound_values[:REPEATED_MAX]),
        side_effect=side_effect(message.side_effect),
    )


def consent_response(consent_id: str, answer: ConsentAnswer) -> pb.ReadConsentResponse:
    """How it reads."""
    return pb.ReadConsentResponse(
        consent_id=consent_id,
        reading=READINGS_OUT[answer.reading],
        evidence=answer.evidence,
        corrections=[_bound(value) for value in answer.corrections],
    )


def session_rules(bundle: Bundle) -> pb.GetSessionRulesResponse:
    """What a session takes of its bundle at the start."""
    return pb.GetSessionRulesResponse(
        bundle_digest=bundle.digest,
        turn_rules=_turn_rules(bundle.turn_rules),
        fallbacks=[
            pb.ActionFallback(side_effect=_CLASSES_OUT[f.side_effect], effect=effect_out(f.effect), say=f.say)
            for f in bundle.fallbacks
        ],
        gate_fallbacks=[
            pb.GateFallback(
                gate=GATES_OUT[f.gate], effect=effect_out(f.effect), say=f.say, layer=LAYERS_OUT[f.layer]
            )
            for f in bundle.gate_fallbacks
        ],
        slot_readers=pb.SlotReaders(every=bundle.slot_readers.every, tools=sorted(bundle.slot_readers.tools)),
    )


def bundle_info(row: BundleRow) -> pb.BundleInfo:
    """One line of the list."""
    return pb.BundleInfo(
        pack=row.bundle.pack,
        bundle_digest=row.bundle.digest,
        active=row.active,
        layer_versions=dict(row.bundle.versions),
        layer_owners=dict(row.bundle.owners),
    )


def finding(found: Finding) -> pb.Finding:
    """One finding."""
    return pb.Finding(file=found.file, line=found.line, rule=found.rule, message=found.message)


def effect_out(effect: Effect | None) -> pb.Effect.ValueType:
    """The effect's number; unspecified while there is no decision."""
    return EFFECTS_OUT[effect] if effect is not None else pb.EFFECT_UNSPECIFIED


def _ms(stamp: Timestamp) -> int:
    return stamp.seconds * 1000 + stamp.nanos // 1_000_000


def _subject(message: pb.DecideRequest) -> Subject:
    match message.WhichOneof("subject"):
        case "action":
            return _action(message.action)
        case "utterance":
            utterance = message.utterance
            confidence = utterance.confidence if utterance.HasField("confidence") else None
            return UtteranceSubject(utterance.text, confidence, utterance.language)
        case "speech":
            return SpeechSubject(message.speech.text, message.speech.final)
        case "result":
            result = message.result
            return ResultSubject(result.action_id, result.tool, result.result_json)
        case "handoff":
            handoff = message.handoff
            return HandoffSubject(handoff.from_agent, handoff.to_agent, handoff.reason, handoff.depth)
        case _:
            raise InvalidInput("expected what is to be decided", field="subject")


def _action(action: pb.ActionSubject) -> ActionSubject:
    consent = None
    if action.HasField("consent"):
        given = action.consent
        consent = Consent(
            given.consent_id, given.arguments_digest, _ms(given.given_at), _ms(given.expires_at)
        )
    return ActionSubject(
        action_id=action.action_id,
        tool=action.tool,
        tool_version=action.tool_version,
        arguments_json=action.arguments_json,
        arguments_digest=action.arguments_digest,
        side_effect=side_effect(action.side_effect),
        consent=consent,
        client_tool=action.client_tool,
    )


class _View(SessionView):
    """Reads each member of the message when it is asked for: most members of most views nobody reads."""

    __slots__ = ("_message",)

    def __init__(self, message: pb.SessionView) -> None:
        self._message = message
        self.session_id, self.tenant = message.session_id, message.tenant

    def done_like(self, action: ActionSubject) -> bool:
        """As the domain's, over the message itself: every change asks it, and most have nothing like it."""
        return any(
            past.tool == action.tool
            and past.status == "ok"
            and past.arguments_json == action.arguments_json
            and past.action_id != action.action_id
            for past in self._message.actions[-ACTIONS_SEEN_MAX:]
        )

    def __getattr__(self, name: str) -> Any:
        value = _MEMBERS[name](self._message)
        setattr(self, name, value)
        return value


def _view(view: pb.SessionView) -> SessionView:
    """The view; raises InvalidInput for a list that is longer than any session's."""
    for name, items in (("totals", view.totals), ("slots", view.slots), ("consents", view.consents)):
        if len(items) > REPEATED_MAX:
            raise InvalidInput(f"expected at most {REPEATED_MAX} entries", field=f"session.{name}")
    return _View(view)


def _caller(caller: pb.Caller) -> Caller:
    return Caller(caller.caller_id, caller.auth_level, tuple(caller.scopes))


def _past(action: pb.PastAction) -> PastAction:
    return PastAction(action.action_id, action.tool, action.status, action.age_ms, action.arguments_json)


def _total(total: pb.ActionTotals) -> ActionTotals:
    return ActionTotals(total.tool, total.requested, total.succeeded, total.failed, dict(total.sums))


def _slot(slot: pb.Slot) -> Slot:
    return Slot(slot.name, slot.value_json, slot.as_of_seq, slot.age_ms, slot.confidence)


def _past_consent(consent: pb.PastConsent) -> PastConsent:
    return PastConsent(consent.consent_id, consent.action_id, consent.reading)


def _slots(view: pb.SessionView) -> tuple[Slot, ...]:
    return tuple(map(_slot, view.slots_before if view.slots_behind else view.slots))


_MEMBERS: dict[str, Callable[[pb.SessionView], Any]] = {
    **{name: attrgetter(name) for name in SessionView.__slots__},
    "caller": lambda view: _caller(view.caller) if view.HasField("caller") else UNKNOWN,
    "actions": lambda view: tuple(map(_past, view.actions[-ACTIONS_SEEN_MAX:])),
    "totals": lambda view: tuple(map(_total, view.totals)),
    "slots": _slots,
    "consents": lambda view: tuple(map(_past_consent, view.consents)),
    "open_breakers": lambda view: tuple(view.open_breakers),
}


def _fact(fact: pb.Fact) -> Fact:
    return Fact(fact.name, fact.tool, fact.arguments_json, fact.value_json, fact.age_ms, fact.unavailable)


def _obligations(found: Obligations) -> list[pb.Obligation]:
    out = []
    if found.say:
        out.append(pb.Obligation(say=found.say))
    if found.restate:
        out.append(pb.Obligation(restate=True))
    if found.redact:
        spans = [pb.Span(start=span.start, end=span.end) for span in found.redact]
        out.append(pb.Obligation(redact=pb.RedactSpans(spans=spans)))
    if found.hold_audio_ms:
        out.append(pb.Obligation(hold_audio_ms=found.hold_audio_ms))
    if found.words_max:
        out.append(pb.Obligation(words_max=found.words_max))
    if found.forbid_irreversible:
        out.append(pb.Obligation(forbid_irreversible=True))
    if found.escalate:
        out.append(pb.Obligation(escalate=found.escalate))
    return out


def _read_back(made: ReadBack, out: pb.ReadBack) -> None:
    out.text = made.text
    out.arguments_digest = made.arguments_digest
    out.expires_after_ms = made.expires_after_ms
    out.clarify_max = made.clarify_max
    out.states = made.states
    out.once_more = made.once_more
    for value in made.must_contain:
        bound = out.must_contain.add()
        bound.name, bound.value, bound.kind = value.name, value.value, value.kind


def _bound(value: BoundValue) -> pb.BoundValue:
    return pb.BoundValue(name=value.name, value=value.value, kind=value.kind)


def _turn_rules(rules: TurnRules) -> pb.TurnRules:
    return pb.TurnRules(**{name: getattr(rules, name) for name in rules.__struct_fields__})
