"""Owns the comparison of values: which numbers, dates and times of an answer the read-back does not hold."""

import itertools
import re
from functools import lru_cache

import msgspec
from ringback_spoken.units import Unit, units_of

from ringback_policy.domain.consent.words import AFFIRM_WORDS, NEUTRAL_WORDS, TIME_WORDS

__all__ = ["SaidValues", "new_values", "said_values"]

_NUMBER_WORD = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|first|second|third|fourth|fifth"
    "|sixth|seventh|eighth|ninth|tenth|half|quarter|once|twice|double|couple|dozen|single|pair"
)
_HAS_VALUE = re.compile(rf"[0-9]|\b(?:{_NUMBER_WORD})\b")
_PER_NIGHT = re.compile(r"\b(?:per|each|every|a) night\b")
_IN_MAY = re.compile(r"\b(?:in|for|by|until|till|next|of|this) may\b")
_DIRECTED = re.compile(r"\b(from|to) ((?:(?!from\b|to\b)[a-z0-9']+ ?){1,4})")
_SAME = (("from", "from"), ("to", "to"))
_OPPOSITE = (("from", "to"), ("to", "from"))
_SUFFIX_CHARS_MIN = 3
STEM_CHARS_MIN = 3
_NO_ENDS = NEUTRAL_WORDS | AFFIRM_WORDS
# Both ends may be one of these.
_EVERYWHERE = frozenset({"account", "airport", "station", "city"})
_ENDINGS = ("ations", "ation", "ings", "ing", "ed", "es", "s", "e")


class SaidValues(msgspec.Struct, frozen=True):
    """The words of a read-back; its numbers are read only when an answer has any."""

    text: str
    words: frozenset[str]
    stems: frozenset[str] = frozenset()

    def has(self, word: str) -> bool:
        """Whether the word was said, in this or a kindred form: cancel, cancelling, cancellation."""
        return word in self.words or stem(word) in self.stems


class _Numbers(msgspec.Struct, frozen=True):
    forms: frozenset[str]
    pairs: frozenset[tuple[str, str]]


@lru_cache(maxsize=512)
def said_values(text: str) -> SaidValues:
    """What a read-back says; kept, since one is answered several times."""
    words = _plain_words(text)
    return SaidValues(text, words, frozenset(stem(word) for word in words))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The word without its common endings; enough to tell kindred forms, not to be read."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= STEM_CHARS_MIN:
            word = word[: -len(ending)]
            break
    if len(word) > STEM_CHARS_MIN and word[-1] == word[-2]:
        word = word[:-1]
    return word


@lru_cache(maxsize=512)
def _numbers(text: str) -> _Numbers:
    """Kept, since one read-back is answered several times."""
    units = units_of(text)
    forms: set[str] = set()
    for unit in units:
        forms |= _forms(unit)
    return _Numbers(frozenset(forms), frozenset(_pairs(units)))


def new_values(utterance: str, read_back: SaidValues) -> list[str]:
    """Values that the utterance says and the read-back does not: numbers, dates, times, days."""
    words = _plain_words(utterance)
    found = sorted(word for word in words & TIME_WORDS if word not in read_back.words)
    if "night" in found and _PER_NIGHT.search(utterance):
        found.remove("night")
    if _IN_MAY.search(utterance) and "may" not in read_back.words:
        found.append("may")
    found += _redirected(utterance, read_back.text)
    if not _HAS_VALUE.search(utterance):
        return found
    said = _numbers(read_back.text)
    units = units_of(utterance)
    found += [unit.value for unit in units if unit.kind != "word" and not _is_held(unit, said.forms)]
    return found + _re_paired(units, said)


def _redirected(utterance: str, read_back: str) -> list[str]:
    """Ends that were swapped: "to my savings" where the read-back goes from savings to checking."""
    said = _directed(utterance)
    if not said:
        return []
    held = _directed(read_back.lower())
    own, other = ({end: held.get(to, frozenset()) for end, to in ends} for ends in (_SAME, _OPPOSITE))
    found = []
    for end, words in said.items():
        telling = words - own[end] - _EVERYWHERE
        if telling and telling <= other[end]:
            found.append(f"{end} {' '.join(sorted(telling))}")
    return found


def _directed(text: str) -> dict[str, frozenset[str]]:
    """The words that follow "from" and "to", without those that name nothing."""
    found: dict[str, set[str]] = {}
    for end, words in _DIRECTED.findall(text):
        found.setdefault(end, set()).update(stem(word) for word in words.split() if word not in _NO_ENDS)
    return {end: frozenset(words) for end, words in found.items()}


def _plain_words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", text.lower()))


def _is_held(unit: Unit, numbers: frozenset[str]) -> bool:
    if _forms(unit) & numbers:
        return True
    tail = unit.value if unit.kind == "run" else ""
    return len(tail) >= _SUFFIX_CHARS_MIN and any(number.endswith(tail) for number in numbers)


def _forms(unit: Unit) -> set[str]:
    """The forms under which the same value may be said again."""
    value = unit.value.lower()
    match unit.kind:
        case "money":
            amount = value.lstrip("$€£")
            return {value, amount, amount.removesuffix(".00")}
        case "date":
            day = value.split()[-1]
            return {value, f"day {day}"}
        case "time":
            hour, _, minute = value.partition(":")
            plain = str(int(hour) % 12 or 12)
            return {value, f"{plain}:{minute}", *({plain} if minute == "00" else set())}
        case "ordinal":
            return {value, f"day {value.rstrip('stndrh')}"}
        case "run" | "decimal" | "percent":
            return {value, value.lstrip("0") or "0"}
        case _:
            return set()


def _pairs(units: tuple[Unit, ...]) -> list[tuple[str, str]]:
    """Numbers with the noun that follows: (2, people)."""
    return [
        (unit.value, after.value)
        for unit, after in itertools.pairwise(units)
        if unit.kind == "run" and unit.value.isdigit() and after.kind == "word" and len(after.value) > 3
    ]


def _re_paired(units: tuple[Unit, ...], said: _Numbers) -> list[str]:
    """A number that the read-back holds, but for something else: "two people" where it said seven."""
    held = {(number, stem(noun)) for number, noun in said.pairs}
    nouns = {noun for _, noun in held}
    return [
        f"{number} {noun}"
        for number, noun in _pairs(units)
        if stem(noun) in nouns and (number, stem(noun)) not in held
    ]
