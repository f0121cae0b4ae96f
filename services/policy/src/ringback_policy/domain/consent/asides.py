"""Owns what is said beside an answer and changes nothing of it: asides, and values that are only asked after."""

import re

from ringback_policy.domain.consent.clauses import Clause
from ringback_policy.domain.consent.patterns import (
    ANNOUNCE_PATTERN,
    ASKED_COUNT,
    ASKED_WHICH,
    ASKED_YEAR,
    COMMENT_PATTERN,
)
from ringback_policy.domain.consent.values import SaidValues
from ringback_policy.domain.consent.words import ACTION_VERBS, KIND_WORDS, NEUTRAL_WORDS, UNDOING_VERBS

__all__ = ["aside", "without_asked"]

_YEAR = re.compile(r"\b(?:19|20)[0-9]{2}\b")


def aside(clause: Clause, said: SaidValues) -> bool:
    """ "While you book it", which takes for granted that it is done; or how others will like it."""
    words = clause.words
    if words[:2] == ("while", "you"):
        return all(_granted(word, said) for word in words[2:])
    if clause.asked:
        return False
    return any(pattern.fullmatch(clause.text) for pattern in (COMMENT_PATTERN, ANNOUNCE_PATTERN))


def without_asked(folded: str, questions: list[str], said: SaidValues) -> str:
    """The utterance without the values that its questions only ask after: "does the bus have one transfer"."""
    for text in questions:
        counted = [m.group() for m in ASKED_COUNT.finditer(text) if not said.has(m.group(1) or m.group(2))]
        which = [m.group() for m in ASKED_WHICH.finditer(text)]
        years = [] if _YEAR.search(said.text) else [m.group() for m in ASKED_YEAR.finditer(text)]
        for found in (*counted, *which, *years):
            folded = folded.replace(found, " ", 1)
    return folded


def _granted(word: str, said: SaidValues) -> bool:
    if word in UNDOING_VERBS:
        return said.has(word)
    return said.has(word) or word in NEUTRAL_WORDS | ACTION_VERBS | KIND_WORDS
