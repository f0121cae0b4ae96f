"""Owns what the extractor knows of a session's slots: names, kinds and values, read from the pack's tool
schemas.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Literal

import msgspec

Kind = Literal[
    "category",
    "flag",
    "number",
    "money",
    "date",
    "time",
    "code",
    "phone",
    "email",
    "address",
    "name",
    "text",
]

SLOTS_IN_SCHEMA_MAX = 256
TOOLS_IN_SCHEMA_MAX = 128
WORDS_HELD_MAX = 2_048
"""Texts whose words are kept at hand: slot names and descriptions come again with every utterance."""
_VALUES_MAX = 64
_WORD = re.compile(r"[A-Za-z]+|\d+")
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_STOP_WORDS = (
    "a an and any are as at be been by can do for from has have id in is it its of on or that the "
    "their this to user was "
    "what when where which who will with you your whether if no not want need search find look like "
    "get show tell "
    "boolean flag indicating"
)
_STOP = frozenset(_STOP_WORDS.split())
_VERBS = frozenset({"search", "find", "look", "get", "show"})


class SlotSpec(msgspec.Struct, frozen=True, dict=True):
    """One slot that a tool takes. `values` holds the spelling to store for each phrase that names it."""

    name: str
    kind: Kind
    description: str = ""
    values: tuple[str, ...] = ()
    pattern: str = ""
    words: frozenset[str] = frozenset()
    needed: bool = False
    """Whether a tool that changes something cannot do without it: what an accepted offer must settle."""
    sought: bool = False
    """Whether a tool that only reads takes it: callers say such values, others come from what was found."""
    group: str = ""
    """Slots of different groups belong to different jobs; only those of the job at hand are read."""
    ttl_ms: int = 0
    remember: bool = False
    """Whether the value says what the caller prefers, beyond the call."""

    @cached_property
    def plain(self) -> str:
        """The name without the group or tool before it."""
        return re.split(r"[./]", self.name)[-1]

    @cached_property
    def own_words(self) -> frozenset[str]:
        """Words of the plain name."""
        return words_of(self.plain)


class ToolWords(msgspec.Struct, frozen=True):
    """A tool as a caller may ask for it: words of its name, and of its description."""

    name: str
    named: frozenset[str]
    described: frozenset[str]
    changes: bool = False
    group: str = ""
    own: frozenset[str] = frozenset()
    """What it is about by its description alone: words that describe no other tool and name no slot."""


class SlotGroup(msgspec.Struct, frozen=True):
    """The slots of one job, and the words that tell that the caller speaks of it."""

    name: str
    slots: tuple[SlotSpec, ...]
    own_words: frozenset[str]
    """What says that it is this group and no other."""
    shared_words: frozenset[str]
    slot_words: frozenset[str]
    """Words of its slots and of the values that they can take."""


class SlotSchema(msgspec.Struct, frozen=True, dict=True):
    """The slots of a pack, and the tools that take them."""

    slots: tuple[SlotSpec, ...] = ()
    names: frozenset[str] = frozenset()
    tools: tuple[ToolWords, ...] = ()
    result_ttls: dict[str, int] = {}
    """How long a tool's results hold, ms; a tool that is not named: for the whole call."""
    ttls: dict[str, int] = {}
    """How long a slot's value holds, ms."""
    remembered: frozenset[str] = frozenset()
    group_words: dict[str, frozenset[str]] = {}
    """Words that tell of which group the caller speaks."""

    @cached_property
    def groups(self) -> tuple[SlotGroup, ...]:
        """The groups, by name."""
        names = sorted({spec.group for spec in self.slots})
        return tuple(self._group(name, others=[one for one in names if one != name]) for name in names)

    def of_group(self, name: str) -> tuple[SlotSpec, ...]:
        """The slots of one group; all of them where there is one group only."""
        if len(self.groups) <= 1:
            return self.slots
        return next((group.slots for group in self.groups if group.name == name), ())

    def _group(self, name: str, *, others: Iterable[str]) -> SlotGroup:
        words = self.group_words.get(name, frozenset())
        elsewhere = {word for other in others for word in self.group_words.get(other, ())}
        slots = tuple(spec for spec in self.slots if spec.group == name)
        slot_words = (w for spec in slots for w in (*spec.words, *words_of(" ".join(spec.values))))
        return SlotGroup(name, slots, words - elsewhere, words & elsewhere, frozenset(slot_words))


EMPTY_SCHEMA = SlotSchema()


class ToolOutline(msgspec.Struct, frozen=True):
    """As much of a tool as the extractor reads: `parameters` is its JSON Schema; `changes`: it is no mere read."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    changes: bool = False
    result_ttl_ms: int = 0


def schema_of(
    specs: Iterable[SlotSpec],
    *,
    group_words: Mapping[str, frozenset[str]] | None = None,
    tools: Iterable[ToolWords] = (),
    result_ttls: Mapping[str, int] | None = None,
) -> SlotSchema:
    """A schema of these slots, the first of each name, and these tools."""
    by_name: dict[str, SlotSpec] = {}
    for spec in specs:
        if len(by_name) < SLOTS_IN_SCHEMA_MAX:
            by_name.setdefault(spec.name, spec)
    return SlotSchema(
        slots=tuple(by_name.values()),
        names=frozenset(by_name),
        tools=_with_own_words(tuple(tools)[:TOOLS_IN_SCHEMA_MAX], by_name.values()),
        result_ttls=dict(result_ttls or {}),
        ttls={name: spec.ttl_ms for name, spec in by_name.items() if spec.ttl_ms},
        remembered=frozenset(name for name, spec in by_name.items() if spec.remember),
        group_words=dict(group_words or {}),
    )


def _with_own_words(tools: tuple[ToolWords, ...], slots: Iterable[SlotSpec]) -> tuple[ToolWords, ...]:
    named = frozenset(word for spec in slots for word in spec.own_words)
    common = Counter(word for tool in tools for word in tool.named | tool.described)
    return tuple(
        msgspec.structs.replace(
            tool, own=frozenset(w for w in tool.described - tool.named - named if common[w] == 1)
        )
        for tool in tools
    )


def tool_words(name: str, description: str, *, changes: bool, group: str = "") -> ToolWords:
    """What a caller who asks for the tool may say."""
    return ToolWords(name, all_words(name), all_words(description), changes, group)


def schema_of_tools(tools: Iterable[ToolOutline]) -> SlotSchema:
    """The slots that the tools' arguments make; arguments of one name are one slot."""
    specs: dict[str, SlotSpec] = {}
    outlines = tuple(tools)
    for tool in outlines:
        properties = tool.parameters.get("properties")
        if not isinstance(properties, Mapping):
            continue
        required = tool.parameters.get("required")
        needed = frozenset(required) if tool.changes and isinstance(required, list) else frozenset()
        for name, schema in properties.items():
            spec = spec_of_property(
                str(name), schema if isinstance(schema, Mapping) else {}, needed=name in needed
            )
            known = specs.get(spec.name)
            sought = not tool.changes or (known is not None and known.sought)
            kept = spec if known is None or (spec.needed and not known.needed) else known
            specs[spec.name] = msgspec.structs.replace(kept, sought=sought)
    return schema_of(
        specs.values(),
        tools=(tool_words(tool.name, tool.description, changes=tool.changes) for tool in outlines),
        result_ttls={tool.name: tool.result_ttl_ms for tool in outlines if tool.result_ttl_ms > 0},
    )


def spec_of_property(name: str, schema: Mapping[str, Any], *, needed: bool = False) -> SlotSpec:
    """The slot of one argument's JSON Schema."""
    description = str(schema.get("description", ""))
    values = schema.get("enum")
    texts = tuple(v for v in values if isinstance(v, str))[:_VALUES_MAX] if isinstance(values, list) else ()
    pattern = str(schema.get("pattern", "")) if schema.get("type", "string") == "string" else ""
    return SlotSpec(
        name=name,
        kind="category" if texts else _kind(name, description, schema, pattern),
        description=description,
        values=texts,
        pattern=pattern,
        words=words_of(f"{name} {description}"),
        needed=needed,
        ttl_ms=_ttl_ms(schema),
        remember=schema.get("x-remember") is True,
    )


def _ttl_ms(schema: Mapping[str, Any]) -> int:
    ttl_ms = schema.get("x-ttl-ms", 0)
    return ttl_ms if isinstance(ttl_ms, int) and ttl_ms > 0 else 0


@lru_cache(maxsize=WORDS_HELD_MAX)
def words_of(text: str) -> frozenset[str]:
    """The words of a name or description that carry meaning, singular and in lower case."""
    return frozenset(stem(word) for word in _words(text) if word not in _STOP)


@lru_cache(maxsize=WORDS_HELD_MAX)
def all_words(text: str) -> frozenset[str]:
    """As `words_of`, with the verbs that a tool's name may consist of."""
    return frozenset(stem(word) for word in _words(text) if word not in _STOP or word in _VERBS)


def _words(text: str) -> list[str]:
    words: list[str] = []
    for found in _WORD.findall(text):
        if found[1:].islower() or len(found) == 1:
            words.append(found.lower())
        else:
            words += [part.lower() for part in _INNER_CAPITAL.split(found)]
    return words


@lru_cache(maxsize=4 * WORDS_HELD_MAX)
def stem(word: str) -> str:
    """`word` without the endings that do not change what it names."""
    if len(word) > 4 and word.endswith("ie"):
        return word[:-2] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")) and not word.endswith("uses"):
        return word[:-2]
    for ending, least in (("ies", 4), ("ing", 5), ("ed", 4), ("es", 5), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least - 1 and not word.endswith(("ss", "us")):
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _kind(name: str, description: str, schema: Mapping[str, Any], pattern: str) -> Kind:
    json_type = schema.get("type")
    if json_type == "boolean":
        return "flag"
    if json_type in ("integer", "number"):
        return "money" if _names(name, description, _MONEY) else "number"
    form = str(schema.get("format", ""))
    by_format: dict[str, Kind] = {"date": "date", "time": "time", "email": "email", "date-time": "date"}
    if form in by_format:
        return by_format[form]
    return "code" if pattern else kind_by_words(name, description)


def kind_by_words(name: str, description: str) -> Kind:
    """What kind of value a slot holds, judged by its name first and its description second."""
    for words, kind in _BY_WORDS:
        if words & words_of(name):
            return kind
    if _COUNTS.match(description):
        return "number"
    for words, kind in _BY_WORDS:
        if words & words_of(description):
            return kind
    return "text"


def _names(name: str, description: str, words: frozenset[str]) -> bool:
    return bool(words & (words_of(name) | words_of(description)))


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


_COUNTS = re.compile(r"(?:the )?(?:number|length|amount|count) of (?!money)", re.I)
_MONEY = _stems("price fare amount cost fee balance rent charge dollar budget")
_BY_WORDS: tuple[tuple[frozenset[str], Kind], ...] = (
    (_stems("email"), "email"),
    (_stems("phone telephone mobile"), "phone"),
    (_stems("number count quantity length duration"), "number"),
    (_stems("date day birthday"), "date"),
    (_stems("time hour"), "time"),
    (_stems("code reference confirmation pin zip"), "code"),
    (_MONEY, "money"),
    (_stems("size rating seat people passenger ticket guest traveler"), "number"),
    (
        _stems(
            "name city location place address area street airport station title origin destination "
            "artist album director "
            "actor airline restaurant song movie event"
        ),
        "name",
    ),
)
