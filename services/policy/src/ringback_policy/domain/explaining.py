"""Owns the account of a decision: what each rule that could speak said, and why."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ringback_policy.domain.conditions import Environment
from ringback_policy.domain.environment import Variables, misfit, subject_values
from ringback_policy.domain.evaluating import decide
from ringback_policy.domain.facts import in_order, resolve
from ringback_policy.domain.model import ANY_ACTION, Bundle, Rule
from ringback_policy.domain.speaking import ask_rule
from ringback_policy.domain.speech_gates import at_speech_gate
from ringback_policy.domain.subjects import ActionSubject, Decision, Request, ResultSubject
from ringback_policy.domain.templates import Renderer

__all__ = ["Explanation", "Said", "Step", "explain"]


class Said(StrEnum):
    """What became of a rule."""

    FIRED = "fired"
    SILENT = "silent"
    ERROR = "error"
    WAITS = "waits for facts"


class Step(msgspec.Struct, frozen=True):
    """One rule; `detail` is its condition, or what went wrong."""

    rule: str
    layer: str
    said: Said
    effect: str
    detail: str


class Explanation(msgspec.Struct, frozen=True):
    """The decision and the rules behind it, in the order in which they are asked."""

    decision: Decision
    steps: tuple[Step, ...]


def explain(bundle: Bundle, request: Request, *, renderer: Renderer) -> Explanation:
    """Decides, and asks each rule by itself; raises InvalidInput as `decide` does."""
    decision = decide(bundle, request, renderer=renderer)
    tool = request.subject.tool if isinstance(request.subject, ActionSubject | ResultSubject) else ANY_ACTION
    rules = bundle.rules_for(request.gate, tool)
    steps = [
        Step(v.rule, v.layer.value, Said.FIRED, v.effect.name.lower(), v.reason)
        for v in at_speech_gate(bundle, request)
    ]
    steps += [_step(rule, bundle, request, renderer) for rule in (*rules.plain, *rules.factual)]
    return Explanation(decision, tuple(steps))


def _subject(bundle: Bundle, request: Request) -> Mapping[str, Any]:
    """The variables of the subject, as a decision has them."""
    subject = subject_values(request)
    if isinstance(request.subject, ActionSubject) and not request.subject.client_tool:
        policy = bundle.actions.get(request.subject.tool)
        misfit(subject["args"], policy.checks if policy else ())
    return subject


def _step(rule: Rule, bundle: Bundle, request: Request, renderer: Renderer) -> Step:
    subject = _subject(bundle, request)
    facts = resolve(in_order(rule.needs, bundle.facts), request, subject=subject)
    source = rule.when.source if rule.when else "always"
    effect = rule.effect.name.lower()
    if facts.needs:
        return Step(
            rule.rule_id, rule.layer.value, Said.WAITS, effect, ", ".join(n.name for n in facts.needs)
        )
    values = Variables(request, subject=subject, facts=facts.values)
    verdict = ask_rule(rule, Environment(values), facts.failure(rule.needs), renderer)
    if verdict is None:
        return Step(rule.rule_id, rule.layer.value, Said.SILENT, effect, source)
    if verdict.error:
        detail = f"{verdict.error}; its fallback is {verdict.effect.name.lower()}"
        return Step(rule.rule_id, rule.layer.value, Said.ERROR, verdict.effect.name.lower(), detail)
    return Step(rule.rule_id, rule.layer.value, Said.FIRED, effect, source)
