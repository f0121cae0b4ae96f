"""Owns sentence templates: text with `{path|kind}` places, rendered for the ear.

`{facts.reservation.amount|money:facts.reservation.currency}` takes its currency from a second path.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ringback_policy.domain.vocabulary import BOUND_KINDS

__all__ = ["Place", "Renderer", "Template", "TemplateError", "lookup", "parse_template"]

TEMPLATE_CHARS_MAX = 1000
_PLACE = re.compile(r"\{([^{}]*)\}")
_INNER = re.compile(r"([a-z_][\w.]*)(?:\|([a-z]+)(?::([a-z_][\w.]*))?)?", re.IGNORECASE)

# (value, kind, currency) → how it is said
Renderer = Callable[[str, str, str], str]


class TemplateError(ValueError):
    """A template that is not accepted, or a value that it lacks."""


class Place(msgspec.Struct, frozen=True):
    """One place of a template."""

    path: tuple[str, ...]
    kind: str
    currency: tuple[str, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """Text and places in order; `paths` are all variables that it reads."""

    source: str
    parts: tuple[str | Place, ...]
    places: tuple[Place, ...]
    paths: frozenset[tuple[str, ...]]

    def render(self, values: Mapping[str, Any], renderer: Renderer) -> str:
        """The sentence; raises TemplateError when a value is missing or is not a plain one."""
        said = []
        for part in self.parts:
            if isinstance(part, Place):
                currency = lookup(values, part.currency) if part.currency else ""
                part = renderer(lookup(values, part.path), part.kind, currency)
            said.append(part)
        return "".join(said)


def parse_template(source: str) -> Template:
    """Reads a template; raises TemplateError."""
    if not 0 < len(source) <= TEMPLATE_CHARS_MAX:
        raise TemplateError(f"expected 1 to {TEMPLATE_CHARS_MAX} characters")
    parts: list[str | Place] = []
    end = 0
    for match in _PLACE.finditer(source):
        parts.append(_text(source[end : match.start()]))
        parts.append(_place(match.group(1)))
        end = match.end()
    parts.append(_text(source[end:]))
    places = tuple(part for part in parts if isinstance(part, Place))
    paths = {place.path for place in places} | {place.currency for place in places if place.currency}
    return Template(source, tuple(part for part in parts if part != ""), places, frozenset(paths))


def lookup(values: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The plain value at a path as text; raises TemplateError."""
    found: Any = values
    try:
        for name in path:
            found = found[name]
    except (LookupError, TypeError):
        raise TemplateError(f"no value for {'.'.join(path)}") from None
    if type(found) is str:
        return found
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise TemplateError(f"expected text or a number at {'.'.join(path)}")
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e15:
        return str(int(found))
    return str(found)


def _text(text: str) -> str:
    if "{" in text or "}" in text:
        raise TemplateError("expected every { to be closed by }")
    return text


def _place(inner: str) -> Place:
    match = _INNER.fullmatch(inner.strip())
    if match is None:
        raise TemplateError(f"expected {{path}} or {{path|kind}}, got {{{inner}}}")
    path, kind, currency = match.groups()
    if (kind or "text") not in BOUND_KINDS:
        raise TemplateError(f"expected a kind of {', '.join(BOUND_KINDS)}, got {kind!r}")
    if currency and kind != "money":
        raise TemplateError("only money takes a second path, its currency")
    return Place(tuple(path.split(".")), kind or "text", tuple(currency.split(".")) if currency else ())
