"""Owns the values that a schema lists, as callers say them, and the little words that tell which slot is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ringback_memory.domain.extraction.values import Value
from ringback_memory.domain.schema import SlotSpec, stem, words_of

_PHRASE = 1.4
_PART_OF_PHRASE = 1.1
_LONGER = 0.005
"""What each character of a phrase adds: of two that overlap, the longer one is meant."""
_PATTERNS_HELD_MAX = 1_024
_BEFORE_CHARS = 28
_WORD = re.compile(r"[a-z][a-z'-]*")
_DENIED = re.compile(r"\b(?:no|not|n't|without|instead of|other than|rather than)\s+(?:\w+\s+)?$")
_NONE = re.compile(r"\b(?:no|without|don'?t (?:need|want)(?: any)?|any)\s+((?:\w+\s+)?\w+)")
_WORD_CHARS_LEAST = 4


def rank_phrases(
    specs: Sequence[SlotSpec], text: str, asked: Sequence[str], *, floor: float
) -> list[tuple[float, SlotSpec, Value]]:
    """Which listed values the text holds: (score, slot, value); a phrase said in full scores above `floor`."""
    folded = text.casefold()
    ranked = []
    for spec in specs:
        if spec.kind != "category" or _counts(spec):
            continue
        for base, value in (
            *_said_whole(spec, folded),
            *_said_in_part(spec, folded, asked),
            *_said_none(spec, folded),
        ):
            near = _WORD.findall(folded[max(0, value.start - _BEFORE_CHARS) : value.start])[-3:]
            own = 0.3 * len(spec.own_words & {stem(word) for word in _WORD.findall(folded)})
            score = max(floor, base) + asked_points(spec, asked) + cue_points(spec, near) + own
            ranked.append((score + _LONGER * (value.end - value.start), spec, value))
    return ranked


def asked_points(spec: SlotSpec, asked: Sequence[str]) -> float:
    return 2.0 - 0.3 * min(3, asked.index(spec.name)) if spec.name in asked else 0.0


def cue_points(spec: SlotSpec, near: Sequence[str]) -> float:
    about = " ".join(spec.description.split()[:4])
    head = spec.plain.split("_of_")[0]
    named = words_of(head) | frozenset(stem(word) for word in head.split("_")) | words_of(about)
    points = 0.0
    for distance, token in enumerate(reversed(near)):
        slots = _CALLED_FOR.get(token)
        if slots is None:
            continue
        hit = bool(slots & named)
        if token not in _LOOSE:
            return points + ((0.9 if hit else -0.2) if distance == 0 else (0.5 if hit else 0.0))
        points += (0.5 if hit else 0.0) if distance == 0 else 0.0
    return points


def is_category(specs: Sequence[SlotSpec], text: str) -> bool:
    """Whether the text is a listed value of one of the slots."""
    folded = text.casefold().removesuffix("s")
    return any(folded in _listed(spec.values) for spec in specs if spec.values)


@lru_cache(maxsize=_PATTERNS_HELD_MAX)
def _listed(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(value.replace("_", " ").casefold().removesuffix("s") for value in values)


def _counts(spec: SlotSpec) -> bool:
    return all(value.isdigit() for value in spec.values)


def _said_whole(spec: SlotSpec, folded: str) -> Iterator[tuple[float, Value]]:
    for value in spec.values:
        phrase = value.replace("_", " ").casefold()
        if phrase.isdigit() or phrase == "none":
            continue
        for match in _phrase(phrase).finditer(folded):
            if not _DENIED.search(folded[max(0, match.start() - _BEFORE_CHARS) : match.start()]):
                yield _PHRASE, Value("category", value, match.start(), match.end())
                break


def _said_in_part(spec: SlotSpec, folded: str, asked: Sequence[str]) -> Iterator[tuple[float, Value]]:
    """A word that tells one value from the others, with another word of it or of the slot: "the kitchen device"."""
    by_value = {value: words_of(value) for value in spec.values}
    words = list(_WORD.finditer(folded))
    spoken = {stem(match[0]) for match in words}
    for value, parts in by_value.items():
        others = {word for other, its in by_value.items() if other != value for word in its}
        telling = {word for word in parts - others if len(word) >= _WORD_CHARS_LEAST}
        if len(parts) < 2 or not telling & spoken:
            continue
        context = (parts | spec.own_words) - telling
        if not context & spoken:
            continue
        match = next(one for one in words if stem(one[0]) in telling)
        yield _PART_OF_PHRASE, Value("category", value, match.start(), match.end())


def _said_none(spec: SlotSpec, folded: str) -> Iterator[tuple[float, Value]]:
    """ "no subtitles" where one of the values is None."""
    value = next((one for one in spec.values if one.casefold() == "none"), None)
    if value is None:
        return
    for match in _NONE.finditer(folded):
        if spec.own_words & words_of(match[1]):
            yield _PHRASE, Value("category", value, match.start(), match.end())


@lru_cache(maxsize=_PATTERNS_HELD_MAX)
def _phrase(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(phrase)}(?:s|ly)?\b")


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


_LOOSE = frozenset({"on", "at", "for", "with"})
"""Little words that stand before most things."""
_CUES = tuple(
    (frozenset(before.split()), _stems(named))
    for before, named in (
        (
            "from leaving departing",
            "from origin depart departure leave pickup source start outbound originate",
        ),
        (
            "to toward towards into visit reach",
            "to destination arrival arrive going dropoff end flying recipient",
        ),
        ("until till return returning back through", "return dropoff end until back inbound checkout"),
        ("in near around", "city location area town destination place where region"),
        ("by artist singer band", "artist by director author perform"),
        ("director directed directs", "director direct"),
        ("starring actor actress stars acted", "starring actor star cast"),
        ("album", "album"),
        ("called named titled movie film song event", "name title song movie event"),
        ("with", "therapist doctor actor starring artist stylist dentist"),
        ("at", "place location station time restaurant"),
        ("for", "name event people seat passenger number date"),
        ("on", "date device day"),
    )
)
_CALLED_FOR = {token: slots for cues, slots in reversed(_CUES) for token in cues}
