"""JSON that a conversation carries: its leaves with their paths, and their values in words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ringback_localmodel.domain.dialogue.questions import listed
from ringback_localmodel.domain.dialogue.words import humanise, word_set, words_of

__all__ = ["Leaf", "as_json", "embedded_json", "in_words", "leaves", "stated"]

LEAVES_MAX: Final = 400
LISTED_MAX: Final = 5
_MONEY: Final = word_set("price amount total cost fee fare refund balance subtotal tax charge paid")
_SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£"}
_JSON_STARTS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value and the keys that lead to it; ``siblings`` is the object that it is in."""

    path: tuple[str, ...]
    value: Any
    siblings: Mapping[str, Any]

    @property
    def label(self) -> str:
        return humanise(self.path[-1]) if self.path else "answer"


def as_json(text: str) -> Any:
    """The JSON value that a text is, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def embedded_json(text: str) -> list[Any]:
    """The JSON objects and lists that stand somewhere in a text, in order."""
    decoder, found, at = json.JSONDecoder(), [], 0
    for _ in range(_JSON_STARTS_MAX):
        starts = [place for mark in "{[" if (place := text.find(mark, at)) >= 0]
        if not starts:
            break
        at = min(starts)
        try:
            value, at = decoder.raw_decode(text, at)
            found.append(value)
        except (ValueError, RecursionError):
            at += 1
    return found


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[Leaf]:
    """Every value of a JSON tree that can be said in one breath, at most 400."""
    return [leaf for leaf, _ in zip(_walk(value, path, {}), range(LEAVES_MAX), strict=False)]


def in_words(leaf: Leaf) -> str:
    """A value as a person would say it; the speech form of numbers and dates comes later."""
    value = leaf.value
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "not known"
        case int() | float():
            return _amount(leaf, value)
        case list():
            parts = [in_words(Leaf(leaf.path, part, leaf.siblings)) for part in value[:LISTED_MAX]]
            more = [f"{len(value) - LISTED_MAX} more"] if len(value) > LISTED_MAX else []
            return listed(parts + more) or "none"
        case dict():
            parts = [
                f"{humanise(key)} {in_words(Leaf((key,), part, value))}"
                for key, part in list(value.items())[:LISTED_MAX]
                if key != "currency"
            ]
            return ", ".join(parts) or "none"
        case _:
            text = str(value).strip()
            return text.replace("_", " ") if "_" in text and " " not in text else text


def stated(leaf: Leaf) -> str:
    """A value and its name as one sentence."""
    label, value = leaf.label, leaf.value
    plural = label.endswith("s") and not label.endswith(("ss", "us", "is"))
    if isinstance(value, bool):
        return f"It is {'' if value else 'not '}{label}."
    if plural and isinstance(value, int):
        return f"There {'is' if value == 1 else 'are'} {value} {label}."
    return f"The {label} {'are' if plural else 'is'} {in_words(leaf)}."


def _walk(value: Any, path: tuple[str, ...], siblings: Mapping[str, Any]) -> Iterator[Leaf]:
    if isinstance(value, dict):
        if path:
            yield Leaf(path, value, siblings)
        for key, part in value.items():
            yield from _walk(part, (*path, str(key)), value)
    elif isinstance(value, list):
        yield Leaf(path, value, siblings)
        for part in value[:LISTED_MAX]:
            if isinstance(part, dict):
                yield from _walk(part, path, siblings)
    else:
        yield Leaf(path, value, siblings)


def _amount(leaf: Leaf, value: int | float) -> str:
    currency = str(leaf.siblings.get("currency", "")).upper()
    if leaf.path and currency and _MONEY & set(words_of(leaf.path[-1])):
        sign = _SIGNS.get(currency)
        return f"{sign}{value:.2f}" if sign else f"{value:.2f} {currency}"
    return str(int(value)) if value == int(value) else str(value)
