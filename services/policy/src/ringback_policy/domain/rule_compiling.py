"""Owns the compiling of single rules, facts and actions, and the findings about them."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from ringback_policy.domain.conditions import Condition, ConditionSyntaxError
from ringback_policy.domain.declared import Declared, undeclared
from ringback_policy.domain.environment import field_checks
from ringback_policy.domain.files import ActionEntry, ConsentEntry, FactEntry, OnErrorEntry, RuleEntry
from ringback_policy.domain.findings import Findings
from ringback_policy.domain.model import ANY_ACTION, ActionPolicy, ConsentRule, FactSpec, OnError, Rule
from ringback_policy.domain.probing import type_problem
from ringback_policy.domain.subjects import Obligations
from ringback_policy.domain.suggesting import expected_one_of, perhaps
from ringback_policy.domain.templates import Place, Template, TemplateError, parse_template
from ringback_policy.domain.verdicts import NONE, Verdict
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect
from ringback_policy.domain.yaml_lines import LinedDict, line_at

__all__ = ["EFFECTS", "SIDE_EFFECTS", "Source", "compile_action", "compile_facts", "compile_rule"]

EFFECTS = {effect.name.lower(): effect for effect in Effect}
SIDE_EFFECTS = {side_effect.name.lower(): side_effect for side_effect in SideEffect}

Path = tuple[str, ...]
_Error = Callable[[str], None]


class Source(msgspec.Struct, frozen=True):
    """Where something is compiled from, and where its findings go."""

    file: str
    documents: Mapping[str, LinedDict]
    findings: Findings
    declared: Declared

    @property
    def document(self) -> LinedDict:
        """The file's own lined document."""
        return self.documents[self.file]


def compile_rule(entry: RuleEntry, layer: Layer, line: int, source: Source) -> Rule | None:
    """The rule, or None with findings."""
    known = len(source.findings.errors)
    gate = Gate(entry.gate)
    actions = (entry.action,) if isinstance(entry.action, str) else tuple(entry.action)

    def error(message: str) -> None:
        source.findings.error(source.file, line, message, rule=entry.id)

    when = _condition(entry.when, error)
    say, states = _template(entry.say, "say", error), _template(entry.states, "states", error)
    paths = _paths(when, say, states)
    for problem in undeclared(paths, source.declared, gate=gate, actions=actions):
        error(problem)
    _check_rule(entry, gate, source, error)
    _look_at_actions(entry, line, source)
    if when is not None and len(source.findings.errors) == known:
        mistyped = type_problem(when, source.declared, gate=gate, actions=actions)
        if mistyped:
            error(mistyped)
    if len(source.findings.errors) > known:
        return None
    return Rule(
        verdict=_verdict(entry, layer, say, states),
        gate=gate,
        actions=actions,
        when=when,
        on_error=_on_error(entry),
        say=say if say and say.places else None,
        states=states if states and states.places else None,
        needs=tuple(dict.fromkeys([*entry.needs, *_facts_in(paths)])),
        line=line,
    )


def compile_facts(
    entries: Mapping[str, FactEntry], source: Source, tools: Mapping[str, SideEffect] | None
) -> dict[str, FactSpec]:
    """All facts; they may take arguments from each other, but not in a ring."""
    found = {name: _fact(name, entry, source, tools) for name, entry in entries.items()}
    checked: set[str] = set()
    for name in found:
        ring = _ring(name, found, (), checked)
        if ring:
            line = line_at(source.document, f"$.facts.{name}")
            source.findings.error(source.file, line, f"fact {name} needs itself: {' → '.join(ring)}")
    return found


def compile_action(name: str, entry: ActionEntry, source: Source) -> ActionPolicy:
    """What the bundle says of one action."""
    consent = _consent(name, entry.consent, source) if entry.consent else None
    effect = EFFECTS[entry.effect] if entry.effect else None
    return ActionPolicy(
        tool=name,
        side_effect=SIDE_EFFECTS[entry.side_effect] if entry.side_effect else None,
        by_class={one: _by_class(name, one, consent, effect or Effect.ALLOW) for one in SideEffect},
        consent=consent,
        scopes=tuple(entry.scopes),
        effect=effect,
        arguments=entry.arguments,
        checks=field_checks(entry.arguments),
    )


def _verdict(entry: RuleEntry, layer: Layer, say: Template | None, states: Template | None) -> Verdict:
    """What the rule says when it fires, but for sentences with places."""
    effect = EFFECTS[entry.effect]
    obligations = Obligations(
        restate=entry.restate,
        forbid_irreversible=entry.forbid_irreversible,
        words_max=entry.words_max,
        escalate=(entry.reason or entry.id) if effect is Effect.ESCALATE else "",
    )
    return Verdict(
        effect,
        entry.id,
        layer,
        entry.reason,
        say=say.source if say and not say.places else "",
        states=states.source if states and not states.places else "",
        obligations=NONE if obligations == NONE else obligations,
    )


def _by_class(tool: str, side_effect: SideEffect, consent: ConsentRule | None, least: Effect) -> Verdict:
    """What an action of this class asks for before any rule is asked."""
    asks = side_effect is SideEffect.IRREVERSIBLE or (side_effect is SideEffect.WRITE and consent is not None)
    effect = Effect.CONFIRM if asks else Effect.ALLOW
    reason = f"{tool} is {side_effect.name.lower()}"
    return Verdict(max(effect, least), "side-effect", Layer.ACTIONS, reason)


def _check_rule(entry: RuleEntry, gate: Gate, source: Source, error: _Error) -> None:
    if entry.when is not None and entry.on_error is None:
        error("on_error: expected, because the condition can fail: one of allow, confirm, escalate, deny")
    if gate is not Gate.ACTION and entry.effect == "confirm":
        error("effect: confirm is for gate action only; expected allow, escalate or deny")
    if gate not in (Gate.ACTION, Gate.RESULT) and entry.action != "*":
        error("action: only rules at gates action and result have one")
    if entry.states and entry.effect != "confirm":
        error("states: only a rule with effect confirm has a read-back to add to")
    for name in entry.needs:
        if name not in source.declared.facts:
            error(f"needs: unknown fact {name!r}; {expected_one_of(name, source.declared.facts)}")


def _look_at_actions(entry: RuleEntry, line: int, source: Source) -> None:
    """A rule about an action that has almost the name of a declared one would never be asked about that one."""
    for name in (entry.action,) if isinstance(entry.action, str) else entry.action:
        near = perhaps(name, source.declared.arguments)
        if name != ANY_ACTION and name not in source.declared.arguments and near:
            source.findings.warn(
                source.file, line, f"action: actions.yaml declares no {name!r}{near}", rule=entry.id
            )


def _on_error(entry: RuleEntry) -> OnError:
    match entry.on_error:
        case OnErrorEntry(effect=effect, say=say):
            return OnError(EFFECTS[effect], say)
        case str(effect):
            return OnError(EFFECTS[effect])
        case _:
            return OnError(Effect.DENY)


def _fact(name: str, entry: FactEntry, source: Source, tools: Mapping[str, SideEffect] | None) -> FactSpec:
    line = line_at(source.document, f"$.facts.{name}")

    def error(message: str) -> None:
        source.findings.error(source.file, line, f"fact {name}: {message}")

    if tools and tools.get(entry.tool) is None:
        error(f"tool: the pack declares no tool {entry.tool!r}; {expected_one_of(entry.tool, tools)}")
    elif tools and tools[entry.tool] is not SideEffect.READ:
        error(f"tool: expected a read-only tool, {entry.tool} is {tools[entry.tool].name.lower()}")
    arguments = {}
    for argument, expression in entry.arguments.items():
        condition = _condition(expression, error)
        if condition is None:
            continue
        for problem in undeclared(condition.paths, source.declared, gate=Gate.ACTION, actions=()):
            error(f"{argument}: {problem}")
        arguments[argument] = condition
    needs = tuple(dict.fromkeys(fact for c in arguments.values() for fact in _facts_in(c.paths)))
    return FactSpec(
        name, entry.tool, arguments, entry.ttl_ms, entry.fields, needs, field_checks(entry.fields)
    )


def _ring(
    name: str, facts: Mapping[str, FactSpec], above: tuple[str, ...], checked: set[str]
) -> tuple[str, ...]:
    """The ring that this fact leads into; those that lead into none are `checked`, and not walked again."""
    if name in above:
        return (*above, name)
    if name in facts and name not in checked:
        for other in facts[name].needs:
            ring = _ring(other, facts, (*above, name), checked)
            if ring:
                return ring
        checked.add(name)
    return ()


def _consent(name: str, entry: ConsentEntry, source: Source) -> ConsentRule | None:
    line = line_at(source.document, f"$.actions.{name}.consent")

    def error(message: str) -> None:
        source.findings.error(source.file, line, f"{name}: consent: {message}")

    template = _template(entry.template, "template", error)
    if template is None:
        return None
    for problem in undeclared(template.paths, source.declared, gate=Gate.ACTION, actions=(name,)):
        error(f"template: {problem}")
    bound = _bound(template, entry, error)
    return ConsentRule(
        template=template,
        must_contain=bound,
        expires_after_ms=entry.expires_after_ms,
        clarify_max=-1 if entry.clarify_max is None else entry.clarify_max,
        needs=tuple(_facts_in(template.paths)),
    )


def _bound(template: Template, entry: ConsentEntry, error: _Error) -> tuple[Place, ...]:
    """The bound places in the order in which the template speaks them."""
    places = {place.path: place for place in template.places}
    wanted = {}
    for item in entry.must_contain:
        path = tuple(item.value.split("."))
        place = places.get(path)
        if place is None:
            error(f"must_contain: {item.value} is not in the template, so it could never be heard")
        elif place.kind != item.kind:
            error(f"must_contain: {item.value} is {item.kind} here and {place.kind} in the template")
        else:
            wanted[path] = place
    return tuple(place for path, place in places.items() if path in wanted)


def _condition(source: str | None, error: _Error) -> Condition | None:
    if source is None:
        return None
    try:
        return Condition(source)
    except ConditionSyntaxError as problem:
        error(f"when: {problem}")
        return None


def _template(source: str, key: str, error: _Error) -> Template | None:
    if not source:
        return None
    try:
        return parse_template(" ".join(source.split()))
    except TemplateError as problem:
        error(f"{key}: {problem}")
        return None


def _paths(when: Condition | None, *templates: Template | None) -> frozenset[Path]:
    found = set(when.paths) if when else set()
    for template in templates:
        found |= template.paths if template else set()
    return frozenset(found)


def _facts_in(paths: Iterable[Path]) -> list[str]:
    return sorted({path[1] for path in paths if path[0] == "facts" and len(path) > 1})
