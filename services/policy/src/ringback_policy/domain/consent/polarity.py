"""Owns negation: which "no" of an answer only repeats one of the read-back, and which said thing is turned round by it.

A read-back that says "without insurance" is repeated by "no insurance" and contradicted by "with insurance". Only a
negation before the same thing is a repetition: the "no" of "no problem, please confirm" excuses none.
"""

import itertools
import re
from functools import lru_cache

import msgspec

from ringback_policy.domain.consent.patterns import HEDGE_PATTERN
from ringback_policy.domain.consent.values import SaidValues, stem
from ringback_policy.domain.consent.words import AFFIRM_WORDS, NEGATIVE_WORDS, NEUTRAL_WORDS

__all__ = ["hedged", "turned_round", "without_restated"]

_NEGATORS = frozenset({"no", "not", "without", "none", "never", "non"})
_SENTENCE = re.compile(r"[^.?!;:,\n]+")
_WORD = re.compile(r"[a-z0-9'\-]+")
# "No trip protection": both words name what there is none of.
_NEGATED_WORDS_MAX = 2
# A hedge and the word beside it.
_QUOTED_WORDS_MIN = 2
# "Never mind" names nothing.
_SAID_OFF = frozenset({"mind"})


class _Negated(msgspec.Struct, frozen=True):
    """Stems of what the read-back denies, of those what it never affirms, and its own pairs with a negative word."""

    denied: frozenset[str]
    only_denied: frozenset[str]
    pairs: frozenset[tuple[str, str]]


def without_restated(text: str, said: SaidValues) -> str:
    """The text without the negations that the read-back makes of the same thing."""
    words = text.split()
    if not set(words) & NEGATIVE_WORDS:
        return text
    held = _negated(said.text)
    return " ".join(word for at, word in enumerate(words) if not _restates(words, at, held))


def turned_round(text: str, said: SaidValues) -> bool:
    """Whether it affirms what the read-back denies: "with insurance" after "without insurance"."""
    held = _negated(said.text)
    if not held.only_denied:
        return False
    words = text.split()
    denied = _denied(words)
    return any(stem(word) in held.only_denied and word not in denied for word in words)


def hedged(text: str, said: SaidValues) -> bool:
    """Whether it holds a hedge that is no part of what was read back: a title may have one."""
    found = (
        text[: match.end()].split()[-2:] + text[match.end() :].split()[:1]
        for match in HEDGE_PATTERN.finditer(text)
    )
    held = said.text.lower()
    return any(
        len(words) < _QUOTED_WORDS_MIN or not (" ".join(words[-2:]) in held or " ".join(words[:2]) in held)
        for words in found
    )


def _restates(words: list[str], at: int, held: _Negated) -> bool:
    word = words[at]
    if word in _NEGATORS:
        thing = next(iter(_things(words, at)), "")
        return bool(thing) and stem(thing) in held.denied
    return word in NEGATIVE_WORDS and any(
        pair in held.pairs
        for pair in zip(words[max(at - 1, 0) : at + 1], words[at : at + 2], strict=False)
        if word in pair
    )


@lru_cache(maxsize=512)
def _negated(read_back: str) -> _Negated:
    denied: set[str] = set()
    said: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for sentence in _SENTENCE.findall(read_back.lower().replace("n't", " not")):
        words = _WORD.findall(sentence)
        own = _denied(words)
        denied |= own
        said |= {word for word in words if word not in own}
        pairs |= {
            pair
            for pair in itertools.pairwise(words)
            if set(pair) & NEGATIVE_WORDS and not set(pair) & (_NEGATORS | NEUTRAL_WORDS)
        }
    stems = frozenset(stem(word) for word in denied)
    return _Negated(stems, stems - {stem(word) for word in said}, frozenset(pairs))


def _denied(words: list[str]) -> set[str]:
    """What follows a negation: its first words that name something."""
    found: set[str] = set()
    for at, word in enumerate(words):
        if word not in _NEGATORS:
            continue
        found.update(other for other in _things(words, at) if other not in AFFIRM_WORDS | _SAID_OFF)
    return found


def _things(words: list[str], at: int) -> list[str]:
    """What the negation at this place is of: "not" may have a wish between, "no" only an article."""
    between = _ARTICLES | _WISHES if words[at] in {"not", "never"} else _ARTICLES
    rest = itertools.dropwhile(lambda word: word in between, words[at + 1 :])
    return list(itertools.takewhile(lambda word: word not in NEUTRAL_WORDS, rest))[:_NEGATED_WORDS_MAX]


_ARTICLES = frozenset({"any", "the", "a", "an", "of"})
_WISHES = frozenset({"want", "need", "like", "have", "to", "be", "with", "really", "include", "including"})
