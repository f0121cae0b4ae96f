"""Owns naming: which words of a clause name something that was not read back, and which only name its kind."""

import re

from ringback_policy.domain.consent.remarks import adverb
from ringback_policy.domain.consent.values import SaidValues
from ringback_policy.domain.consent.words import (
    AFFIRM_WORDS,
    CHANGE_VERBS,
    KIND_FAMILIES,
    KIND_WORDS,
    NEUTRAL_WORDS,
    VALUE_WORDS,
)

__all__ = ["by_its_kind", "foreign_words", "only_its_kind", "wants"]


def foreign_words(words: list[str], said: SaidValues) -> list[str]:
    """Those that name something and were not said; values are judged by all of their spoken forms, not here."""
    return [word for word in words if not said.has(word) and not _adds_nothing(word) and not _counts(word)]


def by_its_kind(text: str, said: SaidValues) -> list[str]:
    """Its words without those that name the thing itself by its kind: "that time is fine", "start the film"."""
    return _NAMED_THING.sub(lambda match: _unless_rival(match.group(), said), text).split()


def only_its_kind(word: str, words: list[str], said: SaidValues) -> bool:
    """ "A ticket for it at the cinema", which says again what was read back; "two rooms" counts something else."""
    if not any(said.has(other) and not _adds_nothing(other) for other in words):
        return False
    at = words.index(word)
    if word not in KIND_WORDS or (at and _counts(words[at - 1])):
        return False
    return _unless_rival(word, said) == " "


def wants(text: str, said: SaidValues) -> bool:
    """Whether it wants something that was not read back."""
    words = text.split()
    if not any(word in CHANGE_VERBS for word in words):
        return False
    return any(
        not said.has(word) and word not in NEUTRAL_WORDS and word not in AFFIRM_WORDS and not _counts(word)
        for word in words
    )


def _adds_nothing(word: str) -> bool:
    return word in _PLAIN or adverb(word)


def _unless_rival(thing: str, said: SaidValues) -> str:
    """Nothing for a thing that can stand for what was read back; the words themselves for one of another kind."""
    own = next((family for family in KIND_FAMILIES if family & set(thing.split())), None)
    rival = own is not None and not own & said.words and any(family & said.words for family in KIND_FAMILIES)
    return thing if rival else " "


def _counts(word: str) -> bool:
    """Whether it belongs to a value, which is judged by all of its spoken forms and not as a word."""
    return word in VALUE_WORDS or any(char.isdigit() for char in word)


_PLAIN = NEUTRAL_WORDS | AFFIRM_WORDS
_NAMED_THING = re.compile(
    rf"\b(?:that|this|the|these|those|my|our|your) (?:{'|'.join(sorted(KIND_WORDS))})\b"
    r"|\b(?:agree|fine|good|okay|happy|cool|satisfied|pleased) (?:with|to) (?:this|that|your|these|those) "
    r"(?!other|same|new)[a-z]+$"
    r"|^(?:(?:please|you|can|may|yes|now|just|so|then) )*(?:proceed|continue) [a-z]+$"
    r"|\b(?:that|this) (?!other|same|new)[a-z]+(?= (?:is|was|works|work|suits|fits|sounds|looks|seems|will|would)\b)"
)
