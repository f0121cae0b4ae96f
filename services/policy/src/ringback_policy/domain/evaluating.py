"""Owns the decision: a total function of bundle and request.

The strictest verdict wins; an action that nobody named is denied.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import digest

from ringback_policy.domain.conditions import Environment
from ringback_policy.domain.environment import (
    JSON_BYTES_MAX,
    RESULT_BYTES_MAX,
    Variables,
    misfit,
    subject_values,
)
from ringback_policy.domain.facts import FACTS_MAX, FactsAtHand, resolve
from ringback_policy.domain.model import ActionPolicy, Bundle, ConsentRule, FactSpec, Rule, RuleSet
from ringback_policy.domain.readback import client_read_back, once_more, read_back
from ringback_policy.domain.speaking import ask_rule, fired
from ringback_policy.domain.speech_gates import at_speech_gate
from ringback_policy.domain.subjects import (
    ActionSubject,
    Consent,
    Decision,
    HandoffSubject,
    Obligations,
    ReadBack,
    Request,
    ResultSubject,
    SpeechSubject,
    UtteranceSubject,
)
from ringback_policy.domain.templates import Renderer, TemplateError
from ringback_policy.domain.verdicts import NONE, Verdict, obligations_of, stated, strictest
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect

__all__ = ["PROOF_TTL_MS", "TEXT_CHARS_MAX", "decide"]

# A proof covers journal_wait_ms (10 s), an admission and a resume, and no more.
PROOF_TTL_MS = 30_000
TEXT_CHARS_MAX = 16 * 1024
# The session's clock and the one that stamped a consent are the same; a second covers rounding.
CLOCK_SLACK_MS = 1_000

_SUBJECTS: dict[Gate, type] = {
    Gate.INPUT: UtteranceSubject,
    Gate.ACTION: ActionSubject,
    Gate.RESULT: ResultSubject,
    Gate.OUTPUT: SpeechSubject,
    Gate.HANDOFF: HandoffSubject,
}


def decide(bundle: Bundle, request: Request, *, renderer: Renderer) -> Decision:
    """One decision; raises InvalidInput when the request itself is malformed, and nothing else."""
    _check(request)
    if isinstance(request.subject, ActionSubject):
        return _decide_action(bundle, request, request.subject, renderer)
    subject = subject_values(request)
    verdicts = [Verdict(Effect.ALLOW, "default", Layer.INTERACTION, "no rule speaks against it")]
    verdicts += at_speech_gate(bundle, request)
    tool = request.subject.tool if isinstance(request.subject, ResultSubject) else "*"
    rules = bundle.rules_for(request.gate, tool)
    facts, _ = _apply(rules, rules.facts, request, subject, verdicts, renderer)
    return _wanting(verdicts, facts) if facts.needs else _answer(strictest(verdicts), verdicts)


def _check(request: Request) -> None:
    if not isinstance(request.subject, _SUBJECTS[request.gate]):
        raise InvalidInput(f"expected the subject of gate {request.gate.value}", field="subject")
    if len(request.facts) > FACTS_MAX:
        raise InvalidInput(f"expected at most {FACTS_MAX} facts", field="facts")
    match request.subject:
        case ActionSubject():
            _check_action(request.subject)
        case UtteranceSubject() | SpeechSubject():
            if len(request.subject.text) > TEXT_CHARS_MAX:
                raise InvalidInput(f"expected at most {TEXT_CHARS_MAX} characters", field="subject.text")
        case ResultSubject():
            if len(request.subject.result_json) > RESULT_BYTES_MAX:
                raise InvalidInput(f"expected at most {RESULT_BYTES_MAX} bytes", field="result.result_json")
        case _:
            pass


def _check_action(action: ActionSubject) -> None:
    if not action.tool:
        raise InvalidInput("expected the name of a tool", field="action.tool")
    if len(action.arguments_json) > JSON_BYTES_MAX:
        raise InvalidInput(f"expected at most {JSON_BYTES_MAX} bytes", field="action.arguments_json")
    if action.arguments_digest != digest(action.arguments_json):
        raise InvalidInput("expected the SHA-256 of arguments_json", field="action.arguments_digest")


def _decide_action(bundle: Bundle, request: Request, action: ActionSubject, renderer: Renderer) -> Decision:
    policy = bundle.actions.get(action.tool) if not action.client_tool else None
    side_effect = max(action.side_effect, (policy and policy.side_effect) or SideEffect.READ)
    repeats = side_effect > SideEffect.READ and request.session.done_like(action)
    consent = _valid_consent(request, action, action.consent, own=repeats) if action.consent else None
    subject = subject_values(request, consented=consent is not None)
    wrong = misfit(subject["args"], policy.checks) if policy and policy.checks else ""
    if wrong:
        refused = _refused(bundle, "arguments", f"argument {wrong}")
        return _answer(refused, [refused])
    verdicts = [_base(bundle, request, action, policy, side_effect)]
    if repeats:
        verdicts.insert(0, REPEATED)
    rules = bundle.rules_for(Gate.ACTION, action.tool)
    specs = rules.facts_read_back if policy else rules.facts
    facts, values = _apply(rules, specs, request, subject, verdicts, renderer)
    if facts.needs:
        return _wanting(verdicts, facts)
    deciding = strictest(verdicts)
    if deciding.effect is Effect.CONFIRM:
        if repeats and not (action.client_tool or (policy and policy.consent)):
            return _done_already(verdicts)
        if consent is not None:
            return _consented(deciding, verdicts, request, action, consent)
        asked = _confirm(bundle, request, action, policy, deciding, verdicts, facts, values, renderer)
        return _once_more(bundle, asked) if repeats else asked
    decision = _answer(deciding, verdicts)
    if deciding.effect is Effect.ALLOW and side_effect > SideEffect.READ and not action.client_tool:
        return _allowed(decision, request, consent)
    return decision


def _base(
    bundle: Bundle,
    request: Request,
    action: ActionSubject,
    policy: ActionPolicy | None,
    side_effect: SideEffect,
) -> Verdict:
    """What holds before any rule is asked."""
    if policy is None:
        return _undeclared(bundle, action)
    if policy.scopes:
        missing = [scope for scope in policy.scopes if scope not in request.session.caller.scopes]
        if missing:
            return _refused(bundle, "scopes", f"the caller lacks scope {missing[0]}")
    return policy.by_class[side_effect]


def _undeclared(bundle: Bundle, action: ActionSubject) -> Verdict:
    if action.client_tool:
        effects = {"allow": Effect.ALLOW, "confirm": Effect.CONFIRM, "deny": Effect.DENY}
        effect = effects[bundle.turn_rules.client_tools]
        return Verdict(
            effect, "client-tools", Layer.INTERACTION, f"tools of the client: {effect.name.lower()}"
        )
    say = bundle.turn_rules.say_unavailable if bundle.default_effect is Effect.DENY else ""
    reason = "no action of this name is declared"
    return Verdict(bundle.default_effect, "default", Layer.ACTIONS, reason, say)


def _refused(bundle: Bundle, rule: str, reason: str) -> Verdict:
    return Verdict(Effect.DENY, rule, Layer.ACTIONS, reason, bundle.turn_rules.say_unavailable)


def _apply(
    rules: RuleSet,
    specs: tuple[FactSpec, ...],
    request: Request,
    subject: Mapping[str, Any],
    verdicts: list[Verdict],
    renderer: Renderer,
) -> tuple[FactsAtHand, Mapping[str, Any]]:
    """Adds the verdicts of all rules; facts are asked for only while they can still matter."""
    facts = resolve(specs, request, subject=subject) if specs else NO_FACTS
    values = facts.roots if specs else Variables(request, subject=subject, facts={})
    if not (rules.plain or specs):
        return facts, values
    complete = not facts.needs
    # All are asked at once, which costs less than twice a part.
    together = rules.together if complete else rules.plain_together
    answers = None if facts.failed else together.answers(values)
    environment = together.environment(values) if answers is None else None
    plain = len(rules.plain)
    _hear(rules.plain, answers and answers[:plain], environment, values, facts, verdicts, renderer)
    effect = max(map(_EFFECT, verdicts))
    if effect is Effect.DENY or (not rules.factual and effect is not Effect.CONFIRM):
        return NO_FACTS, values
    if complete:
        _hear(rules.factual, answers and answers[plain:], environment, values, facts, verdicts, renderer)
    return facts, values


def _hear(
    rules: tuple[Rule, ...],
    answers: list[bool] | None,
    environment: Environment | None,
    values: Mapping[str, Any],
    facts: FactsAtHand,
    verdicts: list[Verdict],
    renderer: Renderer,
) -> None:
    """Adds what each rule says; without answers each is asked by itself."""
    if environment is None:
        if answers:
            for rule, answer in zip(rules, answers, strict=True):
                if answer:
                    verdicts.append(fired(rule, values, renderer))
        return
    for rule in rules:
        verdict = ask_rule(rule, environment, facts.failure(rule.needs), renderer)
        if verdict is not None:
            verdicts.append(verdict)


def _wanting(verdicts: list[Verdict], facts: FactsAtHand) -> Decision:
    """No decision yet."""
    needs = tuple(facts.needs)
    return Decision(None, reason="facts are needed", needs_facts=needs, rule_errors=_errors(verdicts))


def _answer(deciding: Verdict, verdicts: list[Verdict], read_back: ReadBack | None = None) -> Decision:
    # Those that say more than their effect: mostly none.
    more = [verdict for verdict in verdicts if verdict.error or verdict.obligations is not NONE]
    return Decision(
        deciding.effect,
        rule=deciding.rule,
        layer=deciding.layer,
        reason=deciding.reason,
        say=deciding.say,
        obligations=obligations_of(more) if more else NONE,
        read_back=read_back,
        rule_errors=_errors(more) if more else (),
    )


def _errors(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple([f"{verdict.rule}: {verdict.error}" for verdict in verdicts if verdict.error])


def _consented(
    deciding: Verdict, verdicts: list[Verdict], request: Request, action: ActionSubject, consent: Consent
) -> Decision:
    """A consent that is valid turns CONFIRM into ALLOW."""
    reason = f"{deciding.reason}; the caller consented".lstrip("; ")
    decision = _replace(_answer(deciding, verdicts), effect=Effect.ALLOW, reason=reason, say="")
    return decision if action.client_tool else _allowed(decision, request, consent)


def _confirm(
    bundle: Bundle,
    request: Request,
    action: ActionSubject,
    policy: ActionPolicy | None,
    deciding: Verdict,
    verdicts: list[Verdict],
    facts: FactsAtHand,
    values: Mapping[str, Any],
    renderer: Renderer,
) -> Decision:
    """What must be said for a yes; an action that cannot be read back is denied."""
    rule = policy.consent if policy else None
    try:
        if rule is None:
            made = _unruled(bundle, action)
        else:
            if facts.failed:
                _check_had(facts, rule)
            made = read_back(
                rule,
                values,
                states=stated(verdicts),
                digest=action.arguments_digest,
                renderer=renderer,
                clarify_max=bundle.turn_rules.clarify_max,
            )
    except TemplateError as error:
        decision = _answer(deciding, verdicts)
        return _replace(
            decision,
            effect=Effect.DENY,
            rule="no-read-back",
            layer=Layer.ACTIONS,
            reason=f"what needs a yes cannot be read back: {error}",
            say=bundle.turn_rules.say_unavailable,
            rule_errors=(*decision.rule_errors, f"no-read-back: {error}"),
        )
    if request.session.irreversible_forbidden:
        verdicts = [*verdicts, RESTATED]
    return _answer(deciding, verdicts, made)


def _once_more(bundle: Bundle, asked: Decision) -> Decision:
    """Asked for in words that say so."""
    if asked.read_back is None:
        return asked
    return _replace(asked, read_back=once_more(asked.read_back, bundle.turn_rules.say_once_more))


def _done_already(verdicts: list[Verdict]) -> Decision:
    """There are no words to ask for it once more."""
    decision = _answer(REPEATED, verdicts)
    reason = f"{REPEATED.reason}, and the bundle has no read-back for it"
    return _replace(decision, effect=Effect.DENY, reason=reason, done_already=True)


def _check_had(facts: FactsAtHand, rule: ConsentRule) -> None:
    unreadable = facts.failure(rule.needs)
    if unreadable:
        raise TemplateError(unreadable)


def _unruled(bundle: Bundle, action: ActionSubject) -> ReadBack:
    """The read-back of what the bundle has none for."""
    if action.client_tool:
        return client_read_back(action, clarify_max=bundle.turn_rules.clarify_max)
    raise TemplateError("the bundle has no read-back for it")


def _allowed(decision: Decision, request: Request, consent: Consent | None) -> Decision:
    """ALLOW of a write or irreversible action: a proof that ends with the consent, if not before."""
    until = request.now_ms + PROOF_TTL_MS
    if consent is not None:
        until = min(until, consent.expires_at_ms)
    return _replace(decision, proof_until_ms=until, consent_id=consent.consent_id if consent else "")


def _valid_consent(request: Request, action: ActionSubject, consent: Consent, *, own: bool) -> Consent | None:
    """The consent that came along, if it is for exactly these arguments, was given, and holds in this turn.

    `own`: the view must show it as this action's; the one that it repeats had the same arguments.
    """
    if not consent.consent_id or request.session.irreversible_forbidden:
        return None
    if consent.arguments_digest != action.arguments_digest:
        return None
    if not consent.given_at_ms <= request.now_ms + CLOCK_SLACK_MS or request.now_ms >= consent.expires_at_ms:
        return None
    shown = False
    for past in request.session.consents:
        if past.consent_id == consent.consent_id:
            if not _bears_out(past.reading, past.action_id, action.action_id):
                return None
            shown = shown or past.action_id == action.action_id
    return consent if shown or not own else None


def _bears_out(reading: str, past_action: str, action: str) -> bool:
    return reading == "yes" and past_action in ("", action)


def _replace(decision: Decision, **changes: Any) -> Decision:
    return msgspec.structs.replace(decision, **changes)


REPEATED = Verdict(Effect.CONFIRM, "once-more", Layer.ACTIONS, "it was done already in this call")
RESTATED = Verdict(Effect.ALLOW, "", Layer.INTERACTION, obligations=Obligations(restate=True))
NO_FACTS = FactsAtHand({}, [], {}, {})
_EFFECT = attrgetter("effect")
