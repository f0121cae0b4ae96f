"""Owns the form of the four bundle files: which keys there are, their types and limits, before anything is compiled."""

import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ringback_policy.domain.findings import Findings
from ringback_policy.domain.suggesting import expected_one_of
from ringback_policy.domain.yaml_lines import LinedDict, YamlError, line_at, read_yaml

__all__ = [
    "FILE_NAMES",
    "ActionEntry",
    "ActionsFile",
    "AwayEntry",
    "DomainFile",
    "FactEntry",
    "InteractionFile",
    "LayerFile",
    "PhraseEntry",
    "RuleEntry",
    "SafetyFile",
    "read_file",
]

FILE_NAMES = ("interaction.yaml", "domain.yaml", "safety.yaml", "actions.yaml")

_STEP = re.compile(r"\.[^.\[\]]+|\[[^\]]*\]")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
RuleId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Words = Annotated[str, Meta(max_length=2000)]
# Never empty: it must be heard, like a value.
OnceMoreWords = Annotated[str, Meta(pattern=r"\w", max_length=200)]
EffectWord = Literal["allow", "confirm", "escalate", "deny"]
GateWord = Literal["input", "action", "result", "output", "handoff"]
SideEffectWord = Literal["read", "write", "irreversible"]
KindWord = Literal["id", "money", "date", "time", "phone", "number", "text"]
TypeWord = Literal["string", "number", "integer", "boolean", "list", "object"]
AwayWord = Literal["allow", "escalate", "deny"]
WordsGate = Literal["input", "result", "output", "handoff"]
Ms = Annotated[int, Meta(ge=0, le=86_400_000)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of a bundle file; keys that it does not know are refused."""


class OnErrorEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """What a rule means when it cannot be evaluated, with words for the caller."""

    effect: EffectWord
    say: Words = ""


class RuleEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """One rule as its author writes it."""

    id: RuleId
    gate: GateWord
    effect: EffectWord
    action: str | list[str] = "*"
    when: str | None = None
    on_error: EffectWord | OnErrorEntry | None = None
    say: Words = ""
    states: Words = ""
    reason: Words = ""
    needs: list[Name] = []
    restate: bool = False
    forbid_irreversible: bool = False
    words_max: Annotated[int, Meta(ge=0, le=10_000)] = 0


class ConditionEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """A rule that stands with its action."""

    id: RuleId
    effect: EffectWord
    when: str | None = None
    on_error: EffectWord | OnErrorEntry | None = None
    say: Words = ""
    states: Words = ""
    reason: Words = ""
    needs: list[Name] = []


class FactEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """A fact as its author writes it; `fields` are the types of the result that conditions rely on."""

    tool: Name
    arguments: dict[Name, str] = {}
    ttl_ms: Ms = 0
    fields: dict[Name, TypeWord] = {}


class MustContainEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """A value that must be heard."""

    value: str
    kind: KindWord


class ConsentEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """How an action is read back."""

    template: Words
    must_contain: Annotated[list[MustContainEntry], Meta(min_length=1, max_length=8)]
    expires_after_ms: Annotated[int, Meta(ge=1000, le=600_000)] = 30_000
    clarify_max: Annotated[int, Meta(ge=0, le=10)] | None = None


class ActionEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """What the bundle says of one action."""

    side_effect: SideEffectWord | None = None
    effect: EffectWord | None = None
    arguments: dict[Name, TypeWord] = {}
    scopes: list[str] = []
    consent: ConsentEntry | None = None
    conditions: list[ConditionEntry] = []


class FallbackEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """What to do with a class of actions when policy is away."""

    effect: EffectWord
    say: Words = ""


class AwayEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """What holds at a gate while policy is away or late, with words for the caller."""

    effect: AwayWord
    say: Words = ""


class PhraseEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """Phrases that decide at a gate."""

    id: RuleId
    gate: GateWord
    phrases: Annotated[list[str], Meta(min_length=1, max_length=500)]
    effect: EffectWord
    unless: Annotated[list[str], Meta(max_length=200)] = []
    say: Words = ""
    reason: Words = ""
    escalate: Words = ""
    redact: bool = False
    forbid_irreversible: bool = False


class RedactEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """Kinds of personal data that a gate redacts."""

    gate: GateWord
    kinds: list[Literal["card", "email", "phone"]]


class PromptEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """What the interaction layer adds to an agent's prompt."""

    introduction: Words = ""
    tone: Words = ""
    brevity: Words = ""
    guidance: list[Words] = []


class TurnRulesEntry(Entry, frozen=True, forbid_unknown_fields=True):
    """The core's parameters; what is left out has its stated default."""

    filler_after_ms: Ms | msgspec.UnsetType = msgspec.UNSET
    model_slow_after_ms: Ms | msgspec.UnsetType = msgspec.UNSET
    fillers: list[Words] | msgspec.UnsetType = msgspec.UNSET
    silence_ms_max: Ms | msgspec.UnsetType = msgspec.UNSET
    progress_texts: list[Words] | msgspec.UnsetType = msgspec.UNSET
    words_max: Annotated[int, Meta(ge=0, le=10_000)] | msgspec.UnsetType = msgspec.UNSET
    output_tokens_max: Annotated[int, Meta(ge=0, le=100_000)] | msgspec.UnsetType = msgspec.UNSET
    clarify_max: Annotated[int, Meta(ge=0, le=10)] | msgspec.UnsetType = msgspec.UNSET
    confidence_min: Annotated[float, Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET
    client_tools: Literal["allow", "confirm", "deny"] | msgspec.UnsetType = msgspec.UNSET
    input_gate: Literal["off", "parallel", "blocking"] | msgspec.UnsetType = msgspec.UNSET
    output_gate: Literal["off", "parallel", "blocking"] | msgspec.UnsetType = msgspec.UNSET
    hold_audio_ms: Ms | msgspec.UnsetType = msgspec.UNSET
    client_instructions: bool | msgspec.UnsetType = msgspec.UNSET
    consent_without_confidence: Literal["unclear", "repeat_value"] | msgspec.UnsetType = msgspec.UNSET
    decision_timeout_ms: Annotated[int, Meta(ge=5, le=60_000)] | msgspec.UnsetType = msgspec.UNSET
    say_person: Words | msgspec.UnsetType = msgspec.UNSET
    say_unavailable: Words | msgspec.UnsetType = msgspec.UNSET
    say_bridge: Words | msgspec.UnsetType = msgspec.UNSET
    say_consent_expired: Words | msgspec.UnsetType = msgspec.UNSET
    say_once_more: OnceMoreWords | msgspec.UnsetType = msgspec.UNSET
    backchannel_window_ms: Annotated[int, Meta(ge=0, le=300)] | msgspec.UnsetType = msgspec.UNSET
    backchannel_ms_max: Annotated[int, Meta(ge=100, le=2_000)] | msgspec.UnsetType = msgspec.UNSET
    backchannel_level_min: Annotated[float, Meta(ge=-90, le=0)] | msgspec.UnsetType = msgspec.UNSET
    backchannel_words: list[Words] | msgspec.UnsetType = msgspec.UNSET
    interruption_words: list[Words] | msgspec.UnsetType = msgspec.UNSET
    backchannel_confidence_min: Annotated[float, Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET
    backchannel_unsure: Literal["wait", "yield"] | msgspec.UnsetType = msgspec.UNSET
    resume_within_ms: Annotated[int, Meta(ge=0, le=10_000)] | msgspec.UnsetType = msgspec.UNSET
    idle_ms: Ms | msgspec.UnsetType = msgspec.UNSET
    idle_prompts: Annotated[list[Words], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    idle_prompts_max: Annotated[int, Meta(ge=0, le=10)] | msgspec.UnsetType = msgspec.UNSET
    say_goodbye: Words | msgspec.UnsetType = msgspec.UNSET
    hold_prompt_after_ms: Annotated[int, Meta(ge=0, le=600_000)] | msgspec.UnsetType = msgspec.UNSET
    hold_prompts: Annotated[list[Words], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    person_wait_ms_max: Annotated[int, Meta(ge=0, le=3_600_000)] | msgspec.UnsetType = msgspec.UNSET
    person_late: Literal["callback", "agent"] | msgspec.UnsetType = msgspec.UNSET
    say_callback: Words | msgspec.UnsetType = msgspec.UNSET
    say_nobody_free: Words | msgspec.UnsetType = msgspec.UNSET
    questions_max: Annotated[int, Meta(ge=0, le=10)] | msgspec.UnsetType = msgspec.UNSET
    questions_over: Literal["count", "ask_again"] | msgspec.UnsetType = msgspec.UNSET


class LayerFile(Entry, frozen=True, forbid_unknown_fields=True):
    """What all four files have."""

    version: Annotated[str, Meta(min_length=1, max_length=64)]
    owner: Annotated[str, Meta(min_length=1, max_length=128)]
    rules: Annotated[list[RuleEntry], Meta(max_length=5000)] = []
    away: dict[WordsGate, AwayEntry | AwayWord] = {}


class InteractionFile(LayerFile, frozen=True, forbid_unknown_fields=True):
    """interaction.yaml: tone, brevity, pacing, turn rules."""

    turn_rules: TurnRulesEntry = TurnRulesEntry()
    prompt: PromptEntry = PromptEntry()


class DomainFile(LayerFile, frozen=True, forbid_unknown_fields=True):
    """domain.yaml: facts and the rules of the business."""

    prompt: list[Words] = []
    facts: Annotated[dict[Name, FactEntry], msgspec.Meta(max_length=256)] = {}


class SafetyFile(LayerFile, frozen=True, forbid_unknown_fields=True):
    """safety.yaml: phrases and redaction."""

    prompt: list[Words] = []
    phrases: Annotated[list[PhraseEntry], Meta(max_length=500)] = []
    redact: list[RedactEntry] = []


class ActionsFile(LayerFile, frozen=True, forbid_unknown_fields=True):
    """actions.yaml: consent, scopes and conditions per action."""

    default: EffectWord = "deny"
    actions: dict[Name, ActionEntry] = {}
    fallbacks: dict[SideEffectWord, FallbackEntry] = {}


FORMS: dict[str, type[LayerFile]] = {
    "interaction.yaml": InteractionFile,
    "domain.yaml": DomainFile,
    "safety.yaml": SafetyFile,
    "actions.yaml": ActionsFile,
}


def read_file(name: str, content: bytes, findings: Findings) -> tuple[Any, LinedDict] | None:
    """The file in its form and its lined document; None, with findings, when it has not that form."""
    try:
        document = read_yaml(content)
    except YamlError as problem:
        findings.error(name, problem.line, str(problem))
        return None
    try:
        return msgspec.convert(document, FORMS[name], str_keys=True), document
    except msgspec.ValidationError as error:
        _explain(name, document, str(error), findings)
        return None


def _explain(name: str, document: LinedDict, text: str, findings: Findings) -> None:
    message, _, path = text.partition(" - at `")
    path = path.rstrip("`")
    key = message.split("`")[1] if "unknown field" in message else ""
    where = path.removeprefix("$").lstrip(".")
    line = line_at(document, path, key=key)
    place = f"{where}: " if where else ""
    said = f"{place}{message[0].lower()}{message[1:]}{_hint(FORMS[name], path, message, key)}"
    findings.error(name, line, said, rule=_rule_id(document, path))


def _hint(form: Any, path: str, message: str, key: str) -> str:
    """What could stand there instead of an unknown key or word; empty where nothing can be told."""
    for step in _STEP.findall(path):
        form = _inside(form, step)
    if key:
        known = tuple(name for one in _alternatives(form) if _is_form(one) for name in one.__struct_fields__)
        return f"; {expected_one_of(key, known)}" if known else ""
    words = tuple(word for one in _alternatives(form) if get_origin(one) is Literal for word in get_args(one))
    if words and "enum value" in message:
        return f"; {expected_one_of(message.split(chr(39))[1], words)}"
    return "; put it in quotes" if message in _UNQUOTED else ""


# What YAML reads as something else than text: 1.10 would be 1.1, and no would be false.
_UNQUOTED = {f"Expected `str`, got `{kind}`" for kind in ("int", "float", "bool")}


def _inside(form: Any, step: str) -> Any:
    """The type of a member or an element; None where it is not known."""
    for one in _alternatives(form):
        if _is_form(one):
            return get_type_hints(one).get(step.lstrip("."))
        if get_args(one) and get_origin(one) is not Literal:
            return get_args(one)[-1]
    return None


def _is_form(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, msgspec.Struct)


def _alternatives(form: Any) -> tuple[Any, ...]:
    return get_args(form) if get_origin(form) in (Union, UnionType) else (form,)


def _rule_id(document: LinedDict, path: str) -> str:
    """The id of the rule or phrase list that a path stands in, when it has one."""
    for family in ("rules", "phrases"):
        prefix = f"$.{family}["
        if path.startswith(prefix):
            index = int(path[len(prefix) :].partition("]")[0])
            entry = document[family][index]
            return str(entry.get("id", "")) if isinstance(entry, dict) else ""
    return ""
