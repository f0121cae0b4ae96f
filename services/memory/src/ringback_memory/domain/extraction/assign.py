"""Owns the question which slot a value is for: what was asked, the words around it, and what little words mean."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import lru_cache
from typing import Any

import msgspec
from ringback_spoken import read_id

from ringback_memory.domain.extraction.phrases import asked_points, cue_points, is_category, rank_phrases
from ringback_memory.domain.extraction.values import Value, find_kinds, find_names, find_values, number_of
from ringback_memory.domain.schema import SlotSpec, stem, words_of

_BEFORE_CHARS = 28
_CODES_HELD_MAX = 256
_HITS_HELD_MAX = 2_048
_AFTER_CHARS = 24
_COMPOUND_CHARS = 3
_TOKEN = re.compile(r"[a-z']+")
_SENTENCE_END = re.compile(r"[.!?]")
_CLAUSE_END = re.compile(r"[.!?,]")


class Found(msgspec.Struct, frozen=True, gc=False):
    """One value heard for one slot."""

    name: str
    value: Any
    confidence: float


def assign(
    specs: Sequence[SlotSpec],
    text: str,
    *,
    asked: Sequence[str],
    floor: float = 1.0,
    offers: str = "",
    filled: Set[str] | None = None,
) -> list[Found]:
    """The slots that `text` fills; `asked` are the names of those that were asked for, likeliest first.

    `offers`: what the agent had just said, where the caller speaks; `filled`: the slots that are filled already, where
    the agent does.
    """
    folded = offers.casefold()
    values = find_values(text)
    names = [one for one in _names(text) if not is_category(specs, one.text)]
    kinds = [one for one in find_kinds(text) if not is_category(specs, one.text)]
    found = {one.name: one for one in _codes(specs, text, asked)}
    used: list[tuple[int, int]] = []
    ranked = _ranked(specs, [*values, *names, *kinds], text, asked)
    ranked += rank_phrases(specs, text, asked, floor=floor)
    for score, spec, value in sorted(ranked, key=lambda one: _order(*one, offers=folded, filled=filled)):
        taken = any(value.start < end and start < value.end for start, end in used)
        if score < floor or spec.name in found or taken:
            continue
        found[spec.name] = Found(spec.name, _stored(spec, value), min(0.95, 0.55 + 0.1 * score))
        used.append((value.start, value.end))
    return list(found.values())


def _order(
    score: float, spec: SlotSpec, value: Value, *, offers: str, filled: Set[str] | None
) -> tuple[float, int, str]:
    """Of two slots that a value fits, callers mean the one to search by; what is offered settles the other."""
    if filled is None:
        likelier = spec.sought != (value.text.casefold() in offers)
    else:
        likelier = spec.sought and spec.name not in filled if spec.sought else spec.needed
    return -score - _LIKELIER * likelier, value.start, spec.name


@lru_cache(maxsize=_CODES_HELD_MAX)
def names_in(text: str) -> tuple[str, ...]:
    """The names that `text` mentions, in order."""
    return tuple(one.text for one in _names(text))


@lru_cache(maxsize=_CODES_HELD_MAX)
def _names(text: str) -> tuple[Value, ...]:
    return tuple(find_names(text, taken=find_values(text)))


def is_numeric(spec: SlotSpec) -> bool:
    """Whether the slot takes a number, also one out of a list."""
    return spec.kind == "number" or (spec.kind == "category" and all(v.isdigit() for v in spec.values))


def _codes(specs: Sequence[SlotSpec], text: str, asked: Sequence[str]) -> list[Found]:
    """Values that name themselves by their pattern; one code fills one slot, that asked for or else the first."""
    best: dict[Any, Found] = {}
    for spec in specs:
        value = _code_in(text, spec.pattern) if spec.kind == "code" and spec.pattern else None
        if value is not None and (value not in best or spec.name in asked):
            best[value] = Found(spec.name, value, 0.9 if spec.name in asked else 0.8)
    return list(best.values())


@lru_cache(maxsize=_CODES_HELD_MAX)
def _code_in(text: str, pattern: str) -> str | None:
    return read_id(text, pattern=pattern)


def _ranked(
    specs: Sequence[SlotSpec], values: Sequence[Value], text: str, asked: Sequence[str]
) -> list[tuple[float, SlotSpec, Value]]:
    pairs = []
    folded = text.casefold()
    for value in values:
        near, following = _around(folded, value)
        for spec in specs:
            score = _fit(spec, value)
            if score > 0:
                score += asked_points(spec, asked) + _near_points(spec, value, near, following)
                pairs.append((score, spec, value))
    return pairs


def _around(folded: str, value: Value) -> tuple[list[str], list[str]]:
    """The last words before a value and the first behind it, in its own sentence."""
    before = _SENTENCE_END.split(folded[max(0, value.start - _BEFORE_CHARS) : value.start])[-1]
    after = _CLAUSE_END.split(folded[value.end : value.end + _AFTER_CHARS])[0]
    return [t for t in _TOKEN.findall(before) if t not in _ARTICLES][-3:], _TOKEN.findall(after)[:2]


def _fit(spec: SlotSpec, value: Value) -> float:
    if value.kind == "number":
        if spec.kind == "category" and is_numeric(spec):
            return 0.6 if value.text in spec.values else 0.0
        return 0.5 if spec.kind == "number" else 0.3 if spec.kind == "money" else 0.0
    if value.kind == "address":
        return _address_fit(spec)
    if spec.kind == value.kind == "date" and value.text.casefold() == "today":
        return 0.6
    if spec.kind == value.kind:
        return 1.0 if value.kind in ("date", "time", "email", "phone", "money") else 0.5
    if value.kind in ("name", "text"):
        return 0.3 if spec.kind in ("text", "name") else 0.0
    return 0.0


def _address_fit(spec: SlotSpec) -> float:
    if spec.kind not in ("name", "text") or spec.words & _TOWNS or not spec.words & _WHERE:
        return 0.0
    return 0.8 if "address" in spec.own_words else 0.3


def _near_points(spec: SlotSpec, value: Value, near: Sequence[str], following: Sequence[str]) -> float:
    own = spec.own_words
    if is_numeric(spec) or value.kind == "number":
        return _unit_points(spec, own, [*following, *near[-2:]])
    if value.kind == "text":
        return 1.2 if spec.words & _KINDS else -1.0
    if value.kind == "name" and following[:1] and following[0] in _THINGS:
        # "a Country song": what stands before the thing says of which kind it is, not what it is called.
        return 1.2 if spec.words & _KINDS else -1.0
    points = 0.0
    if _hit(own - _HEADS, near[-2:]) or (value.kind != "name" and _hit(own, following)):
        points += 1.0
    elif value.kind != "name" and _hit(spec.words, [*near, *following]):
        points += 0.5
    return points + cue_points(spec, near) + _place_points(own, value, in_town=bool(spec.words & _TOWNS))


def _place_points(own: frozenset[str], value: Value, *, in_town: bool) -> float:
    """A city is not called a station or an airport, nor a town a hotel."""
    if value.kind != "name" or not own & _PLACES:
        return 0.0
    last = value.text.split()[-1].casefold()
    if in_town:
        return -0.6 if last in _FACILITIES or not _LODGINGS.isdisjoint(value.text.casefold().split()) else 0.2
    return -0.6 if last in _LODGINGS else 0.0


def _unit_points(spec: SlotSpec, own: frozenset[str], near: Sequence[str]) -> float:
    counted = _COUNTED.search(spec.description)
    units = (own | (words_of(counted[1]) if counted else frozenset())) - {"number", "of"}
    units |= PEOPLE if units & PEOPLE else frozenset()
    units |= _NIGHTS if (units | spec.words) & _NIGHTS else frozenset()
    for_people = bool(units & PEOPLE) and (near[-1:] == ["for"] or near[:2] == ["of", "us"])
    return 1.0 if for_people or _hit(units, near) else 0.0


def _hit(words: frozenset[str], tokens: Sequence[str]) -> bool:
    """Whether a token is one of the words, or begins with one ("bedrooms" with "bed")."""
    return bool(words and tokens) and _holds(words, tuple(tokens))


@lru_cache(maxsize=_HITS_HELD_MAX)
def _holds(words: frozenset[str], tokens: tuple[str, ...]) -> bool:
    stems = {stem(token) for token in tokens}
    return bool(words & stems) or any(
        token.startswith(word) and len(token) - len(word) >= _COMPOUND_CHARS
        for word in words
        if len(word) > 2
        for token in stems
    )


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


def _stored(spec: SlotSpec, value: Value) -> str:
    return number_of(value.text) if is_numeric(spec) else value.text


_COUNTED = re.compile(r"number of ([\w ]+?)(?: (?:to|for|in|of|the|at|from)\b|$)", re.I)
_LIKELIER = 0.35
_TOWNS = _stems("city town")
_WHERE = _stems("address location place destination where street")
PEOPLE = _stems("people person passenger travel traveler rider guest seat ticket adult")
_NIGHTS = _stems("day night stay")
_KINDS = _stems("genre category subcategory type cuisine food style sport kind")
_HEADS = _stems("name title")
_ARTICLES = frozenset({"the", "a", "an"})
_FACILITIES = frozenset(
    {"station", "airport", "terminal", "center", "village", "stadium", "hotel", "street", "hall"}
)
_LODGINGS = frozenset({"hotel", "inn", "suites", "hostel", "resort", "apartments"})
_PLACES = _stems("city location area destination town")
_THINGS = frozenset(
    {
        "song",
        "songs",
        "movie",
        "movies",
        "film",
        "films",
        "restaurant",
        "restaurants",
        "music",
        "food",
        "event",
        "events",
    }
)
