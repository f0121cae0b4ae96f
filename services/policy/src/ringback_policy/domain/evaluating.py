"""Owns the decision: a total function of bundle and request.

The strictest verdict wins; an action that nobody named is denied.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import digest

from ringback_policy.domain.conditions import ConditionError, Environment
from ringback_policy.domain.environment import (
    JSON_BYTES_MAX,
    RESULT_BYTES_MAX,
    misfit,
    subject_values,
    variables,
)
from ringback_policy.domain.facts import FactsAtHand, resolve
from ringback_policy.domain.model import ActionPolicy, Bundle, Rule, RuleSet
from ringback_policy.domain.readback import client_read_back, read_back
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
from ringback_policy.domain.verdicts import NONE, Verdict, from_error, obligations_of, stated, strictest
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect

__all__ = ["FACTS_MAX", "PROOF_TTL_MS", "TEXT_CHARS_MAX", "ask_rule", "decide"]

# A proof covers journal_wait_ms (10 s), an admission and a resume, and no more.
PROOF_TTL_MS = 30_000
TEXT_CHARS_MAX = 16 * 1024
FACTS_MAX = 16
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
    facts, _ = _apply(bundle, bundle.rules_for(request.gate, tool), request, subject, verdicts, (), renderer)
    return _answer(verdicts, facts)


def _check(request: Request) -> None:
    if not isinstance(request.subject, _SUBJECTS[request.gate]):
        raise InvalidInput(f"expected the subject of gate {request.gate.value}", field="subject")
    if len(request.facts) > FACTS_MAX:
        raise InvalidInput(f"expected at most {FACTS_MAX} facts", field="facts")
    match request.subject:
        case UtteranceSubject() | SpeechSubject():
            if len(request.subject.text) > TEXT_CHARS_MAX:
                raise InvalidInput(f"expected at most {TEXT_CHARS_MAX} characters", field="subject.text")
        case ResultSubject():
            if len(request.subject.result_json) > RESULT_BYTES_MAX:
                raise InvalidInput(f"expected at most {RESULT_BYTES_MAX} bytes", field="result.result_json")
        case ActionSubject():
            _check_action(request.subject)
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
    consent = _valid_consent(request, action)
    subject = subject_values(request, consented=consent is not None)
    wrong = misfit(subject["args"], policy.checks) if policy and policy.checks else ""
    if wrong:
        say = bundle.turn_rules.say_unavailable
        return _answer([Verdict(Effect.DENY, "arguments", Layer.ACTIONS, f"argument {wrong}", say)], NO_FACTS)
    verdicts = _base(bundle, request, action, policy, side_effect)
    extra = policy.consent.needs if policy and policy.consent else ()
    rules = bundle.rules_for(Gate.ACTION, action.tool)
    facts, values = _apply(bundle, rules, request, subject, verdicts, extra, renderer)
    decision = _answer(verdicts, facts)
    if decision.effect is Effect.CONFIRM:
        return _confirm(bundle, request, action, policy, decision, verdicts, consent, facts, values, renderer)
    if decision.effect is Effect.ALLOW and side_effect > SideEffect.READ and not action.client_tool:
        return _allowed(decision, request, consent)
    return decision


def _base(
    bundle: Bundle,
    request: Request,
    action: ActionSubject,
    policy: ActionPolicy | None,
    side_effect: SideEffect,
) -> list[Verdict]:
    """What holds before any rule is asked."""
    if action.client_tool:
        effects = {"allow": Effect.ALLOW, "confirm": Effect.CONFIRM, "deny": Effect.DENY}
        effect = effects[bundle.turn_rules.client_tools]
        return [
            Verdict(effect, "client-tools", Layer.INTERACTION, f"tools of the client: {effect.name.lower()}")
        ]
    if policy is None:
        say = bundle.turn_rules.say_unavailable if bundle.default_effect is Effect.DENY else ""
        return [
            Verdict(
                bundle.default_effect, "default", Layer.ACTIONS, "no action of this name is declared", say
            )
        ]
    missing = [scope for scope in policy.scopes if scope not in request.session.caller.scopes]
    if missing:
        reason = f"the caller lacks scope {missing[0]}"
        return [Verdict(Effect.DENY, "scopes", Layer.ACTIONS, reason, bundle.turn_rules.say_unavailable)]
    return [_by_class(policy, side_effect)]


def _by_class(policy: ActionPolicy, side_effect: SideEffect) -> Verdict:
    reason = f"{policy.tool} is {_CLASSES[side_effect]}"
    asks = side_effect is SideEffect.IRREVERSIBLE or (
        side_effect is SideEffect.WRITE and policy.consent is not None
    )
    effect = Effect.CONFIRM if asks else Effect.ALLOW
    return Verdict(max(effect, policy.effect or Effect.ALLOW), "side-effect", Layer.ACTIONS, reason)


def _apply(
    bundle: Bundle,
    rules: RuleSet,
    request: Request,
    subject: Mapping[str, Any],
    verdicts: list[Verdict],
    extra: tuple[str, ...],
    renderer: Renderer,
) -> tuple[FactsAtHand, Mapping[str, Any]]:
    """Adds the verdicts of all rules; facts are asked for only while they can still matter."""
    facts = NO_FACTS
    if rules.needs or extra:
        names = dict.fromkeys((*rules.needs, *extra)) if extra else rules.needs
        facts = resolve(names, bundle.facts, request, subject=subject)
    complete = not facts.needs
    values = facts.roots or variables(request, subject=subject, facts={})
    if not (rules.plain or rules.factual or extra):
        return facts, values
    # All are asked at once, which costs less than twice a part.
    together = rules.together if complete else rules.plain_together
    answers = None if facts.failed else together.answers(values)
    environment = together.environment(values) if answers is None else None
    plain = len(rules.plain)
    _hear(rules.plain, answers and answers[:plain], environment, values, facts, verdicts, renderer)
    effect = max([verdict.effect for verdict in verdicts])
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
                    verdicts.append(_fired(rule, values, renderer))
        return
    for rule in rules:
        verdict = ask_rule(rule, environment, facts.failure(rule.needs), renderer)
        if verdict is not None:
            verdicts.append(verdict)


def ask_rule(rule: Rule, environment: Environment, failure: str, renderer: Renderer) -> Verdict | None:
    """The rule's verdict, None when it does not fire."""
    if failure:
        return from_error(rule, rule.on_error, failure)
    try:
        if rule.when is not None and not rule.when.holds(environment):
            return None
    except ConditionError as error:
        return from_error(rule, rule.on_error, str(error))
    return _fired(rule, environment.values, renderer)


def _fired(rule: Rule, values: Mapping[str, Any], renderer: Renderer) -> Verdict:
    try:
        say = rule.say.render(values, renderer) if rule.say else ""
        states = rule.states.render(values, renderer) if rule.states else ""
    except TemplateError as error:
        return from_error(rule, rule.on_error, str(error))
    return Verdict(rule.effect, rule.rule_id, rule.layer, rule.reason, say, states, "", _obligations(rule))


def _obligations(rule: Rule) -> Obligations:
    escalate = (rule.reason or rule.rule_id) if rule.effect is Effect.ESCALATE else ""
    if not (rule.restate or rule.forbid_irreversible or rule.words_max or escalate):
        return NONE
    return Obligations(
        restate=rule.restate,
        forbid_irreversible=rule.forbid_irreversible,
        words_max=rule.words_max,
        escalate=escalate,
    )


def _answer(verdicts: list[Verdict], facts: FactsAtHand) -> Decision:
    errors = tuple([f"{verdict.rule}: {verdict.error}" for verdict in verdicts if verdict.error])
    if facts.needs:
        return Decision(None, reason="facts are needed", needs_facts=tuple(facts.needs), rule_errors=errors)
    deciding = strictest(verdicts)
    return Decision(
        deciding.effect,
        rule=deciding.rule,
        layer=deciding.layer,
        reason=deciding.reason,
        say=deciding.say,
        obligations=obligations_of(verdicts),
        rule_errors=errors,
    )


def _confirm(
    bundle: Bundle,
    request: Request,
    action: ActionSubject,
    policy: ActionPolicy | None,
    decision: Decision,
    verdicts: list[Verdict],
    consent: Consent | None,
    facts: FactsAtHand,
    values: Mapping[str, Any],
    renderer: Renderer,
) -> Decision:
    """A consent that is valid turns CONFIRM into ALLOW; otherwise the read-back is made, or the action is denied."""
    if consent is not None:
        reason = f"{decision.reason}; the caller consented".lstrip("; ")
        decision = _replace(decision, effect=Effect.ALLOW, reason=reason, say="")
        return decision if action.client_tool else _allowed(decision, request, consent)
    unreadable = facts.failure(policy.consent.needs) if policy and policy.consent else ""
    try:
        if unreadable:
            raise TemplateError(unreadable)
        made = _read_back(bundle, action, policy, verdicts, values, renderer)
    except TemplateError as error:
        return _replace(
            decision,
            effect=Effect.DENY,
            rule="no-read-back",
            layer=Layer.ACTIONS,
            reason=f"what needs a yes cannot be read back: {error}",
            say=bundle.turn_rules.say_unavailable,
            rule_errors=(*decision.rule_errors, f"no-read-back: {error}"),
        )
    obligations = decision.obligations
    if request.session.irreversible_forbidden:
        obligations = obligations_of(
            [*verdicts, Verdict(Effect.ALLOW, "", Layer.INTERACTION, obligations=RESTATE)]
        )
    return _replace(decision, read_back=made, obligations=obligations)


def _read_back(
    bundle: Bundle,
    action: ActionSubject,
    policy: ActionPolicy | None,
    verdicts: list[Verdict],
    values: Mapping[str, Any],
    renderer: Renderer,
) -> ReadBack:
    if policy is None or policy.consent is None:
        if action.client_tool:
            return client_read_back(action, clarify_max=bundle.turn_rules.clarify_max)
        raise TemplateError("the bundle has no read-back for it")
    return read_back(
        policy.consent,
        values,
        states=stated(verdicts),
        digest=action.arguments_digest,
        renderer=renderer,
        clarify_max=bundle.turn_rules.clarify_max,
    )


def _allowed(decision: Decision, request: Request, consent: Consent | None) -> Decision:
    """ALLOW of a write or irreversible action: a proof that ends with the consent, if not before."""
    until = request.now_ms + PROOF_TTL_MS
    if consent is not None:
        until = min(until, consent.expires_at_ms)
    return _replace(decision, proof_until_ms=until, consent_id=consent.consent_id if consent else "")


def _valid_consent(request: Request, action: ActionSubject) -> Consent | None:
    """The consent that came along, if it is for exactly these arguments, was given, and holds in this turn."""
    consent = action.consent
    if consent is None or not consent.consent_id or request.session.irreversible_forbidden:
        return None
    if consent.arguments_digest != action.arguments_digest:
        return None
    if not consent.given_at_ms <= request.now_ms + CLOCK_SLACK_MS or request.now_ms >= consent.expires_at_ms:
        return None
    for past in request.session.consents:
        if past.consent_id == consent.consent_id and not _bears_out(
            past.reading, past.action_id, action.action_id
        ):
            return None
    return consent


def _bears_out(reading: str, past_action: str, action: str) -> bool:
    return reading == "yes" and past_action in ("", action)


def _replace(decision: Decision, **changes: Any) -> Decision:
    return msgspec.structs.replace(decision, **changes)


RESTATE = Obligations(restate=True)
NO_FACTS = FactsAtHand({}, [], {})
_CLASSES = {side_effect: side_effect.name.lower() for side_effect in SideEffect}
