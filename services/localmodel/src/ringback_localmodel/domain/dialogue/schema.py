"""The tools a brain was given, read from their JSON schemas: names, parameters, what each wants to hear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ringback_localmodel.domain.dialogue.words import humanise, word_set, words_of

__all__ = ["Kind", "Parameter", "Tool", "read_tools"]

Kind = Literal["id", "choice", "number", "date", "time", "email", "yes_no", "narrative", "text"]

# Strings that name a thing rather than describe it.
_NAMING: Final = word_set("id ids number no code reference ref identifier key pin serial")
# Strings that a model writes itself from what the caller said; nobody is asked for them.
_NARRATED: Final = word_set(
    """
    summary reason note notes description details message comment comments question topic issue
    problem query request context
    """
)
_LABEL_WORDS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool. ``options`` are its enum values, in their own types."""

    name: str
    label: str
    kind: Kind
    required: bool
    many: bool = False
    options: tuple[Any, ...] = ()
    pattern: str | None = None
    whole: bool = False
    minimum: float | None = None
    maximum: float | None = None
    preset: Any = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: tuple[Parameter, ...]

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


def read_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The function tools among these; a schema this cannot read is a tool without parameters."""
    return tuple(_tool(tool) for tool in tools if tool.get("type") == "function")


def _tool(tool: Mapping[str, Any]) -> Tool:
    schema = tool.get("parameters") or {}
    properties = schema.get("properties")
    required = schema.get("required")
    needed = {one for one in required if isinstance(one, str)} if isinstance(required, list) else set()
    found = properties.items() if isinstance(properties, Mapping) else ()
    parameters = tuple(
        _parameter(name, _variant(leaf), required=name in needed)
        for name, leaf in found
        if isinstance(leaf, Mapping)
    )
    return Tool(str(tool["name"]), str(tool.get("description") or ""), parameters)


def _variant(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first alternative that is not null, with the outer description."""
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list):
            for option in options:
                if isinstance(option, Mapping) and option.get("type") != "null":
                    return {**option, **{k: v for k, v in schema.items() if k != key}}
    return schema


def _parameter(name: str, schema: Mapping[str, Any], *, required: bool) -> Parameter:
    many = _type(schema) == "array" and isinstance(schema.get("items"), Mapping)
    leaf: Mapping[str, Any] = schema["items"] if many else schema
    about = str(schema.get("description") or leaf.get("description") or "")
    options = leaf.get("enum")
    pattern = leaf.get("pattern")
    return Parameter(
        name=name,
        label=_label(name, schema, about),
        kind=_kind(name, leaf),
        required=required and "default" not in schema,
        many=many,
        options=tuple(option for option in options if option is not None)
        if isinstance(options, list)
        else (),
        pattern=pattern if isinstance(pattern, str) else None,
        whole=_type(leaf) == "integer",
        minimum=_bound(leaf, "minimum"),
        maximum=_bound(leaf, "maximum"),
        preset=schema.get("const"),
        about=about,
    )


def _kind(name: str, leaf: Mapping[str, Any]) -> Kind:
    if leaf.get("enum"):
        return "choice"
    simple: dict[str, Kind] = {"integer": "number", "number": "number", "boolean": "yes_no"}
    if _type(leaf) in simple:
        return simple[_type(leaf)]
    formats: dict[str, Kind] = {
        "date": "date",
        "date-time": "date",
        "time": "time",
        "email": "email",
        "uuid": "id",
    }
    if leaf.get("format") in formats:
        return formats[str(leaf["format"])]
    words = words_of(name)
    if leaf.get("pattern") or (words and words[-1] in _NAMING):
        return "id"
    return "narrative" if words and words[-1] in _NARRATED else "text"


def _label(name: str, schema: Mapping[str, Any], about: str) -> str:
    """What a person would call it: the title, a short description, else the name in words."""
    title = schema.get("title")
    if isinstance(title, str) and title.strip():
        return _without_article(title.strip())
    words = about.rstrip(".").split()
    if 0 < len(words) <= _LABEL_WORDS_MAX and words[0].lower() in ("the", "a", "an", "your"):
        return _without_article(" ".join(words))
    return humanise(name)


def _without_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    label = rest if first.lower() in ("the", "a", "an", "your") and rest else text
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    return kind if isinstance(kind, str) else ""


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    return float(value) if isinstance(value, int | float) else None
