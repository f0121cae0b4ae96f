"""Owns templates: `{arguments.x}`, `{body.x.y}`, `{result.x}`, `{status}`, `{action_id}` …, with a form for the ear.

A form follows a bar: `{result.amount|money}`. Forms: digits (one by one), date, money (with the `currency`
beside the value), words (underscores to spaces). A text that is one placeholder without a form keeps the
value's type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

__all__ = ["ABSENT", "FORMS", "fill", "lookup", "render", "say"]

ABSENT: Final = object()

_FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)(?:\|([a-z]+))?\}")
_CURRENCIES: Final = {"USD": ("dollar", "dollars", "cents"), "EUR": ("euro", "euros", "cents")}
Scope = Mapping[str, Any]


def lookup(scope: Any, path: str) -> Any:
    """The value at a dotted path (numbers index lists), or ABSENT."""
    value = scope
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ABSENT
    return value


def fill(template: Any, scope: Scope) -> Any:
    """The template with its placeholders filled; entries whose only value is absent are dropped."""
    if isinstance(template, Mapping):
        filled = {name: fill(item, scope) for name, item in template.items()}
        return {name: item for name, item in filled.items() if item is not ABSENT}
    if isinstance(template, list | tuple):
        return [item for item in (fill(part, scope) for part in template) if item is not ABSENT]
    if not isinstance(template, str):
        return template
    whole = _FIELD.fullmatch(template)
    if whole and not whole[2]:
        return lookup(scope, whole[1])
    try:
        return render(template, scope)
    except KeyError:
        return ABSENT


def render(template: str, scope: Scope, *, quote: Callable[[str], str] = str) -> str:
    """The template as text, each value through `quote`; raises KeyError for a value that is absent or no scalar."""
    return _FIELD.sub(lambda found: quote(_formed(found[1], found[2], scope)), template)


def say(template: str, scope: Scope) -> str | None:
    """The template as a sentence, or None if it cannot be filled: no braces are ever spoken."""
    try:
        return render(template, scope)
    except (KeyError, ValueError, InvalidOperation):
        return None


def _formed(path: str, form: str | None, scope: Scope) -> str:
    value = lookup(scope, path)
    if value is ABSENT or value is None or isinstance(value, Mapping | list):
        raise KeyError(path)
    if form is None:
        return _plain(value)
    beside = lookup(scope, path.rpartition(".")[0]) if "." in path else scope
    return FORMS[form](value, beside if isinstance(beside, Mapping) else {})


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _digits(value: Any, beside: Scope) -> str:
    return " ".join(str(value))


def _words(value: Any, beside: Scope) -> str:
    return str(value).replace("_", " ")


def _date(value: Any, beside: Scope) -> str:
    day = date.fromisoformat(str(value)[:10])
    return f"{day:%B} {day.day}"


def _money(value: Any, beside: Scope) -> str:
    amount = Decimal(str(value)).quantize(Decimal("0.01"))
    whole, cents = int(amount), int(abs(amount) * 100) % 100
    currency = str(beside.get("currency") or "")
    one, many, small = _CURRENCIES.get(currency, (currency, currency, "cents"))
    spoken = f"{whole} {one if whole == 1 else many}".strip()
    return f"{spoken} and {cents} {small}" if cents else spoken


FORMS: Final[Mapping[str, Callable[[Any, Scope], str]]] = {
    "digits": _digits,
    "words": _words,
    "date": _date,
    "money": _money,
}
