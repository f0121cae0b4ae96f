"""Owns what one rule says: nothing, its verdict when it fires, or its declared fallback when it cannot be asked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback_policy.domain.conditions import ConditionError, Environment
from ringback_policy.domain.model import Rule
from ringback_policy.domain.subjects import Obligations
from ringback_policy.domain.templates import Renderer, TemplateError
from ringback_policy.domain.verdicts import NONE, Verdict
from ringback_policy.domain.vocabulary import Effect

__all__ = ["ask_rule", "fired"]


def ask_rule(rule: Rule, environment: Environment, failure: str, renderer: Renderer) -> Verdict | None:
    """The rule's verdict, None when it does not fire; `failure` says why a fact that it needs cannot be had."""
    if failure:
        return _from_error(rule, failure)
    try:
        if rule.when is not None and not rule.when.holds(environment):
            return None
    except ConditionError as error:
        return _from_error(rule, str(error))
    return fired(rule, environment.values, renderer)


def fired(rule: Rule, values: Mapping[str, Any], renderer: Renderer) -> Verdict:
    """What the rule says when it fires."""
    if rule.say is None and rule.states is None:
        return rule.verdict
    try:
        say = rule.say.render(values, renderer) if rule.say else rule.verdict.say
        states = rule.states.render(values, renderer) if rule.states else rule.verdict.states
    except TemplateError as error:
        return _from_error(rule, str(error))
    return msgspec.structs.replace(rule.verdict, say=say, states=states)


def _from_error(rule: Rule, error: str) -> Verdict:
    fallback = rule.on_error
    obligations = Obligations(escalate=rule.rule_id) if fallback.effect is Effect.ESCALATE else NONE
    reason = f"{rule.reason or rule.rule_id}: not evaluated, fallback taken: {error}"
    return Verdict(
        fallback.effect, rule.rule_id, rule.layer, reason, fallback.say, error=error, obligations=obligations
    )
