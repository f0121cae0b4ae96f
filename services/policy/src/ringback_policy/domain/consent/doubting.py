"""Owns doubts: which question beside a yes does more than ask to be told.

It puts in question what was read back, or asks for something else or something more.
"""

import re

from ringback_policy.domain.consent.asking import asks_for_its_like, asks_for_more
from ringback_policy.domain.consent.clauses import Clause
from ringback_policy.domain.consent.patterns import (
    ALTERNATIVE_PATTERN,
    ASKED_COUNT,
    ASKED_INFO,
    DOUBT_PATTERN,
)
from ringback_policy.domain.consent.polarity import turned_round
from ringback_policy.domain.consent.values import SaidValues
from ringback_policy.domain.consent.words import (
    AMENITIES,
    ASKED_KINDS,
    KIND_FAMILIES,
    KIND_WORDS,
    NEGATIVE_WORDS,
    NEUTRAL_WORDS,
    PREPOSITIONS,
    TOLD_NOUNS,
    TOLD_OF,
    TRAVELLING_VERBS,
    WH_LEADS,
)

__all__ = ["doubts"]


def doubts(clause: Clause, text: str, said: SaidValues) -> bool:
    """Whether it does more than ask to be told; one with a negation in it is not harmless."""
    doubted = ASKED_INFO.sub(" ", text) if _told(clause, said) else text
    # "Does it have one stop" stops nothing.
    words = set(_NOT_VERY.sub(" ", ASKED_COUNT.sub(" ", clause.text)).split())
    # "What a relief stop" asks nothing.
    led = clause.words[0] in WH_LEADS and not {*clause.words[1:2]} & {"a", "an"}
    wondered = led or _WONDERED.match(clause.text)
    harmless = _ASKED_VERBS if wondered else {"know", "without"}
    if words & NEGATIVE_WORDS - harmless or DOUBT_PATTERN.search(doubted):
        return True
    if ALTERNATIVE_PATTERN.search(_without_then(clause)) or asks_for_more(clause, said):
        return True
    if turned_round(clause.text, said) or asks_for_its_like(clause.text, said):
        return True
    # "Yes, but which card does it go to?" asks about what was read back.
    return clause.contrast and "also" not in clause.words and _asks_about_said(clause.words, said)


def _asks_about_said(words: tuple[str, ...], said: SaidValues) -> bool:
    """Whether it puts a thing of the read-back in question; "is the ticket refundable" only names its kind."""
    # "Is the flight from Hull" asks whether it is as it was read back.
    doubts = not set(words) & WH_LEADS and bool(set(words) & PREPOSITIONS)
    return any(
        len(word) > 3
        and said.has(word)
        and word not in NEUTRAL_WORDS
        and (doubts or word not in _SPOKEN_OF or bool(_WHICH & set(words[max(at - 1, 0) : at])))
        for at, word in enumerate(words)
    )


def _told(clause: Clause, said: SaidValues) -> bool:
    """Whether all it names is what one may be told: "the price range", "their location and contact number"."""
    words = set(clause.words) - NEUTRAL_WORDS - {"what", "how", "any"}
    if clause.words[-1] in _HOW_IT_IS:
        # "What about the parking situation", "how about music there".
        return not any(said.has(word) or word in KIND_WORDS for word in words)
    if words & AMENITIES and words <= AMENITIES | TOLD_OF | TOLD_NOUNS:
        return not any(said.has(word) for word in words)
    if not words & TOLD_NOUNS or any(said.has(word) for word in words.difference(*KIND_FAMILIES)):
        return False
    return words <= TOLD_NOUNS | TOLD_OF | KIND_WORDS | {"location"}


def _without_then(clause: Clause) -> str:
    """A question without the time it speaks of: "how long until it arrives", "what is left after that"."""
    if not set(clause.words) & WH_LEADS:
        return clause.text
    return _TIME_ASKED.sub(" ", clause.text)


# "Is it not too far", unlike "is it not right".
_NOT_VERY = re.compile(r"\bnot (?:too|very|so|that|overly|terribly) (?!right|correct|good|sure)[a-z]+")
_SPOKEN_OF = (
    KIND_WORDS - ASKED_KINDS
    | TRAVELLING_VERBS
    | {"leaving", "departing", "traveling", "station", "apartment"}
)
_WHICH = frozenset({"which", "what", "whose"})
# "When did it drop", "where does it stop": what is asked after is not refused.
_ASKED_VERBS = frozenset({"know", "without", "drop", "stop"})
_HOW_IT_IS = frozenset(
    {"there", "situation", "aspect", "policy", "side", "facilities", "amenities", "services"}
)
# "May I know at how many stops the flight will stop".
_WONDERED = re.compile(
    r"(?:may|can|could) i (?:know|ask) (?:at |for |in |to )?(?:how|what|which|when|where)\b"
)
_TIME_ASKED = re.compile(
    r"\bhow (?:long|soon|much (?:time|longer)|many \w+)(?: \w+){0,3} (?:until|till|before) "
    r"(?:it|they|he|she|i|we|(?:the|my|our) \w+)\b"
    r"|\bafter (?:that|this|it)$|\b(?:once|after) (?:i|we) (?:arrive|land|get (?:in|there)|(?:am|are) there)$"
)
