"""Owns what phrases and personal data mean at the gates where text passes: input, result and output."""

from ringback_policy.domain.model import Bundle, PhraseRule
from ringback_policy.domain.phrases import PhraseSet
from ringback_policy.domain.subjects import (
    Obligations,
    Request,
    ResultSubject,
    Span,
    SpeechSubject,
    UtteranceSubject,
)
from ringback_policy.domain.verdicts import Verdict
from ringback_policy.domain.vocabulary import Effect, Layer

__all__ = ["at_speech_gate"]

SPANS_MAX = 64


def at_speech_gate(bundle: Bundle, request: Request) -> list[Verdict]:
    """Verdicts of phrases, redaction and recognition confidence for the text at this gate."""
    text = _text(request)
    if text is None:
        return []
    found = _phrases(bundle, request, text)
    redactor = bundle.redactors.get(request.gate)
    spans = redactor.spans(text)[:SPANS_MAX] if redactor else []
    if spans:
        redact = Obligations(redact=tuple(Span(start, end) for start, end in spans))
        reason = "personal data is redacted"
        found.append(Verdict(Effect.ALLOW, "personal-data", Layer.SAFETY, reason, obligations=redact))
    if isinstance(request.subject, UtteranceSubject):
        found += _low_confidence(bundle, request.subject)
    return found


def _text(request: Request) -> str | None:
    match request.subject:
        case UtteranceSubject() | SpeechSubject():
            return request.subject.text
        case ResultSubject():
            return request.subject.result_json
        case _:
            return None


def _phrases(bundle: Bundle, request: Request, text: str) -> list[Verdict]:
    phrase_set, rules = bundle.phrase_sets.get(request.gate, (None, ()))
    if phrase_set is None:
        return []
    return [_verdict(rules[tag], phrase_set, text, tag) for tag in sorted(phrase_set.match(text))]


def _verdict(rule: PhraseRule, phrase_set: PhraseSet, text: str, tag: int) -> Verdict:
    spans = phrase_set.spans(text, tag=tag)[:SPANS_MAX] if rule.redact else []
    escalate = rule.escalate or (rule.reason or rule.rule_id if rule.effect is Effect.ESCALATE else "")
    obligations = Obligations(
        redact=tuple(Span(start, end) for start, end in spans),
        forbid_irreversible=rule.forbid_irreversible,
        escalate=escalate,
    )
    return Verdict(rule.effect, rule.rule_id, Layer.SAFETY, rule.reason, rule.say, obligations=obligations)


def _low_confidence(bundle: Bundle, utterance: UtteranceSubject) -> list[Verdict]:
    confidence = utterance.confidence
    # A comparison that NaN cannot pass: what is no number is low.
    if confidence is None or confidence >= bundle.turn_rules.confidence_min:
        return []
    obligations = Obligations(restate=True, forbid_irreversible=True)
    reason = "what was said was not recognised well enough"
    return [Verdict(Effect.ALLOW, "low-confidence", Layer.INTERACTION, reason, obligations=obligations)]
