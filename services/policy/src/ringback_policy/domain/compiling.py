"""Owns the way from four files to a bundle: everything that can be known to be wrong is a finding, with its line."""

from collections.abc import Mapping
from typing import Any

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import canonical_json, digest

from ringback_policy.domain import fact_limits, guards
from ringback_policy.domain.declared import Declared
from ringback_policy.domain.facts import in_order
from ringback_policy.domain.files import (
    FILE_NAMES,
    ActionsFile,
    DomainFile,
    InteractionFile,
    LayerFile,
    RuleEntry,
    SafetyFile,
    read_file,
)
from ringback_policy.domain.findings import Finding, Findings
from ringback_policy.domain.model import (
    ANY_ACTION,
    ActionPolicy,
    Bundle,
    FactSpec,
    Fallback,
    PhraseRule,
    PromptTexts,
    Rule,
    RuleSet,
    TurnRules,
)
from ringback_policy.domain.phrases import PhraseError, PhraseSet
from ringback_policy.domain.redaction import Redactor
from ringback_policy.domain.rule_compiling import (
    EFFECTS,
    SIDE_EFFECTS,
    Source,
    compile_action,
    compile_facts,
    compile_rule,
)
from ringback_policy.domain.slot_readers import slot_readers
from ringback_policy.domain.suggesting import expected_one_of
from ringback_policy.domain.together import Together
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect
from ringback_policy.domain.yaml_lines import LinedDict, line_at

__all__ = ["Compiled", "compile_bundle"]

BUNDLE_BYTES_MAX = 512 * 1024
RULES_MAX = 5000
_LAYERS = {f"{layer.value}.yaml": layer for layer in Layer}
# Safety speaks first where two layers are equally strict.
_RULE_ORDER = ("safety.yaml", "actions.yaml", "domain.yaml", "interaction.yaml")


class Compiled(msgspec.Struct, frozen=True):
    """A usable bundle and what its author should look at."""

    bundle: Bundle
    warnings: tuple[Finding, ...]


class _Sources(msgspec.Struct, frozen=True):
    interaction: InteractionFile
    domain: DomainFile
    safety: SafetyFile
    actions: ActionsFile
    documents: Mapping[str, LinedDict]

    def by_file(self) -> dict[str, LayerFile]:
        files: tuple[LayerFile, ...] = (self.interaction, self.domain, self.safety, self.actions)
        return dict(zip(FILE_NAMES, files, strict=True))


def compile_bundle(
    files: Mapping[str, bytes], *, pack: str, tools: Mapping[str, SideEffect] | None = None
) -> Compiled:
    """Compiles the four files, against the pack's tools when known; raises BrokenBundleError with all findings."""
    findings = Findings()
    sources = _read(files, findings)
    declared = Declared(
        {name: fact.fields for name, fact in sources.domain.facts.items()},
        {name: action.arguments for name, action in sources.actions.actions.items()},
    )
    facts = compile_facts(
        sources.domain.facts, Source("domain.yaml", sources.documents, findings, declared), tools
    )
    actions = _actions(sources, declared, findings)
    rules = _rules(sources, declared, findings)
    phrase_sets = _phrase_sets(sources, findings)
    _check_tools(sources, actions, tools or {}, findings)
    bundle_digest = _digest(pack, sources.documents, findings)
    findings.raise_if_broken()
    speaks = guards.gates_with_rules(rules, sources.safety)
    guards.look_at(sources.interaction.turn_rules, sources.safety, sources.documents, findings)
    index = _index(rules, actions, facts)
    fact_limits.look_at(index, sources.documents, findings)
    findings.raise_if_broken()
    bundle = Bundle(
        digest=bundle_digest,
        pack=pack,
        versions={_LAYERS[name].value: file.version for name, file in sources.by_file().items()},
        owners={_LAYERS[name].value: file.owner for name, file in sources.by_file().items()},
        turn_rules=guards.turn_rules(_turn_rules(sources.interaction), speaks),
        prompt=_prompt(sources),
        facts=facts,
        actions=actions,
        default_effect=EFFECTS[sources.actions.default],
        fallbacks=_fallbacks(sources.actions),
        rules=rules,
        index=index,
        phrase_sets=phrase_sets,
        redactors={Gate(entry.gate): Redactor(entry.kinds) for entry in sources.safety.redact},
        gate_fallbacks=guards.fallbacks(sources.by_file()),
        slot_readers=slot_readers(rules, actions, facts),
    )
    return Compiled(bundle, tuple(findings.warnings))


def _read(files: Mapping[str, bytes], findings: Findings) -> _Sources:
    if sum(len(content) for content in files.values()) > BUNDLE_BYTES_MAX:
        findings.error("bundle", 0, f"expected at most {BUNDLE_BYTES_MAX} bytes in all files")
        findings.raise_if_broken()
    for name in files:
        if name not in FILE_NAMES and not name.startswith("tests/"):
            findings.error(name, 0, f"unknown file; {expected_one_of(name, FILE_NAMES)}")
    read: dict[str, Any] = {}
    documents: dict[str, LinedDict] = {}
    for name in FILE_NAMES:
        if name not in files:
            findings.error(name, 0, "expected, but missing")
            continue
        found = read_file(name, files[name], findings)
        if found is not None:
            read[name.removesuffix(".yaml")], documents[name] = found
    findings.raise_if_broken()
    return _Sources(**read, documents=documents)


def _digest(pack: str, documents: Mapping[str, LinedDict], findings: Findings) -> str:
    """Of the content, not of its layout: a comment does not make another bundle."""
    content = {}
    for name in FILE_NAMES:
        try:
            content[name] = canonical_json(msgspec.to_builtins(documents[name]))
        except InvalidInput as error:
            findings.error(name, 0, str(error))
    return digest(canonical_json({"pack": pack, "files": content}))


def _turn_rules(interaction: InteractionFile) -> TurnRules:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in interaction.turn_rules.__struct_fields__
        if (value := getattr(interaction.turn_rules, name)) is not msgspec.UNSET
    }
    return TurnRules(**given)


def _prompt(sources: _Sources) -> PromptTexts:
    entry = sources.interaction.prompt
    return PromptTexts(
        introduction=entry.introduction,
        tone=entry.tone,
        brevity=entry.brevity,
        guidance=tuple(entry.guidance),
        domain=tuple(sources.domain.prompt),
        safety=tuple(sources.safety.prompt),
    )


def _actions(sources: _Sources, declared: Declared, findings: Findings) -> dict[str, ActionPolicy]:
    source = Source("actions.yaml", sources.documents, findings, declared)
    return {name: compile_action(name, entry, source) for name, entry in sources.actions.actions.items()}


def _rules(sources: _Sources, declared: Declared, findings: Findings) -> tuple[Rule, ...]:
    found: list[Rule] = []
    seen: dict[str, str] = {}
    for name in _RULE_ORDER:
        source = Source(name, sources.documents, findings, declared)
        for line, entry in _entries(name, sources):
            if entry.id in seen:
                findings.error(name, line, f"this id stands already in {seen[entry.id]}", rule=entry.id)
            seen[entry.id] = f"{name}:{line}"
            rule = compile_rule(entry, _LAYERS[name], line, source)
            if rule is not None:
                found.append(rule)
    if len(found) > RULES_MAX:
        findings.error("bundle", 0, f"expected at most {RULES_MAX} rules, got {len(found)}")
    return tuple(found)


def _entries(name: str, sources: _Sources) -> list[tuple[int, RuleEntry]]:
    """The rules of a file with their lines; conditions of actions are rules at the action gate."""
    document = sources.documents[name]
    rules = sources.by_file()[name].rules
    found = [(line_at(document, f"$.rules[{at}]"), entry) for at, entry in enumerate(rules)]
    if name == "actions.yaml":
        for action, entry in sources.actions.actions.items():
            for at, condition in enumerate(entry.conditions):
                line = line_at(document, f"$.actions.{action}.conditions[{at}]")
                fields = {key: getattr(condition, key) for key in condition.__struct_fields__}
                found.append((line, RuleEntry(gate="action", action=action, **fields)))
    return found


def _index(
    rules: tuple[Rule, ...], actions: Mapping[str, ActionPolicy], facts: Mapping[str, FactSpec]
) -> dict[tuple[Gate, str], RuleSet]:
    """Per gate and action the rules that can fire there, so that a decision is flat in the size of the bundle."""
    names = {ANY_ACTION, *actions} | {name for rule in rules for name in rule.actions}
    own: dict[tuple[Gate, str], list[tuple[int, Rule]]] = {}
    for position, rule in enumerate(rules):
        for name in rule.actions:
            own.setdefault((rule.gate, name), []).append((position, rule))
    found = {}
    for gate in Gate:
        common = own.get((gate, ANY_ACTION), [])
        for name in names:
            specific = own.get((gate, name), []) if name != ANY_ACTION else []
            ordered = [rule for _, rule in sorted([*common, *specific], key=lambda item: item[0])]
            consent = actions[name].consent if gate is Gate.ACTION and name in actions else None
            read_back = consent.needs if consent else ()
            if ordered or read_back:
                found[gate, name] = _rule_set(ordered, read_back, facts)
    return found


def _rule_set(rules: list[Rule], read_back: tuple[str, ...], facts: Mapping[str, FactSpec]) -> RuleSet:
    plain = tuple(rule for rule in rules if not rule.needs)
    factual = tuple(rule for rule in rules if rule.needs)
    needs = [name for rule in factual for name in rule.needs]
    return RuleSet(
        plain,
        factual,
        in_order(needs, facts),
        in_order([*needs, *read_back], facts),
        Together([rule.when for rule in plain]),
        Together([rule.when for rule in (*plain, *factual)]),
    )


def _phrase_sets(
    sources: _Sources, findings: Findings
) -> dict[Gate, tuple[PhraseSet, tuple[PhraseRule, ...]]]:
    document = sources.documents["safety.yaml"]
    found = {}
    for gate in Gate:
        rules: list[PhraseRule] = []
        phrases: list[tuple[int, str]] = []
        unless: list[tuple[int, str]] = []
        for at, entry in enumerate(sources.safety.phrases):
            if entry.gate != gate.value:
                continue
            line = line_at(document, f"$.phrases[{at}]")
            _check_phrases(
                document, at, entry.id, {"phrases": entry.phrases, "unless": entry.unless}, findings
            )
            tag = len(rules)
            phrases += [(tag, phrase) for phrase in entry.phrases]
            unless += [(tag, phrase) for phrase in entry.unless]
            rules.append(
                PhraseRule(
                    rule_id=entry.id,
                    gate=gate,
                    effect=EFFECTS[entry.effect],
                    say=entry.say,
                    reason=entry.reason,
                    escalate=entry.escalate,
                    redact=entry.redact,
                    forbid_irreversible=entry.forbid_irreversible,
                    line=line,
                )
            )
        if rules and not findings.errors:
            found[gate] = (PhraseSet(phrases, unless=unless), tuple(rules))
    return found


def _check_phrases(
    document: LinedDict, at: int, rule: str, families: Mapping[str, list[str]], findings: Findings
) -> None:
    for family, phrases in families.items():
        for index, phrase in enumerate(phrases):
            try:
                PhraseSet([(0, phrase)])
            except PhraseError as error:
                line = line_at(document, f"$.phrases[{at}].{family}[{index}]")
                findings.error("safety.yaml", line, f"{family}: {error}", rule=rule)


def _fallbacks(actions: ActionsFile) -> tuple[Fallback, ...]:
    """Per class of side effect; what is left out has the defaults that never let a side effect run undecided."""
    defaults = {
        SideEffect.READ: Effect.ALLOW,
        SideEffect.WRITE: Effect.DENY,
        SideEffect.IRREVERSIBLE: Effect.DENY,
    }
    found = []
    for word, side_effect in SIDE_EFFECTS.items():
        entry = actions.fallbacks.get(word)  # type: ignore[call-overload]
        effect = EFFECTS[entry.effect] if entry else defaults[side_effect]
        found.append(Fallback(side_effect, effect, entry.say if entry else ""))
    return tuple(found)


def _check_tools(
    sources: _Sources,
    actions: Mapping[str, ActionPolicy],
    tools: Mapping[str, SideEffect],
    findings: Findings,
) -> None:
    document = sources.documents["actions.yaml"]
    for word in ("write", "irreversible"):
        entry = sources.actions.fallbacks.get(word)
        if entry is not None and entry.effect == "allow":
            line = line_at(document, f"$.fallbacks.{word}")
            findings.error("actions.yaml", line, f"fallbacks.{word}: expected deny or escalate, got allow")
    for name, action in actions.items():
        line = line_at(document, f"$.actions.{name}")
        declared = tools.get(name)
        if tools and declared is None:
            findings.warn("actions.yaml", line, f"{name}: the pack declares no tool of this name")
        if declared and action.side_effect and action.side_effect < declared:
            expected = f"expected {declared.name.lower()} or stricter, as the pack declares"
            findings.error("actions.yaml", line, f"{name}: side_effect: {expected}")
        effective = max(declared or SideEffect.READ, action.side_effect or SideEffect.READ)
        if (
            effective is SideEffect.IRREVERSIBLE
            and sources.actions.actions[name].consent is None
            and action.effect is not Effect.DENY
        ):
            findings.error("actions.yaml", line, f"{name}: consent: expected, because it is irreversible")
    for name in sorted(set(tools) - set(actions)):
        effect = sources.actions.default
        findings.warn("actions.yaml", 0, f"{name}: named by no action, so the default holds ({effect})")
