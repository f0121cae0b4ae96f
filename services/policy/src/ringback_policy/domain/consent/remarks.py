"""Owns remarks: what is said of the thing or of who read it back, beside a yes, and takes nothing of it back.

A remark is known by its form (a closed frame about "that", "it" or "you"), not by its words: what fills the frame may
be any word that neither finds fault nor names something else that could be meant.
"""

import re
from collections.abc import Iterable

from ringback_policy.domain.consent.clauses import Clause
from ringback_policy.domain.consent.patterns import (
    CHANGE_PATTERN,
    CONDITION_PATTERN,
    HEDGE_PATTERN,
    HOLD_PATTERN,
    STOP_PATTERN,
)
from ringback_policy.domain.consent.spelling import without_one
from ringback_policy.domain.consent.values import SaidValues
from ringback_policy.domain.consent.words import (
    AFFIRM_WORDS,
    CHANGE_VERBS,
    DONE_VERBS,
    FAULT_WORDS,
    KIND_WORDS,
    NEGATIVE_WORDS,
    NEUTRAL_WORDS,
    NO_ADVERBS,
    REQUEST_VERBS,
    TIME_WORDS,
    VALUE_WORDS,
)

__all__ = ["adverb", "hoped", "remark", "telling"]


def remark(clause: Clause, said: SaidValues) -> bool:
    """Whether it is a remark beside an answer: "that sounds mint", "you are a lifesaver"."""
    if clause.asked or clause.contrast:
        return False
    text = clause.text
    if any(pattern.search(text) for pattern in _PATTERNS):
        return False
    if _said_of_oneself(clause.words, said):
        return True
    frame = next((match for pattern in _FRAMES if (match := pattern.fullmatch(text)) is not None), None)
    if frame is None:
        return False
    return not any(telling(word) for word in frame.group("filled").split())


def hoped(clause: Clause) -> bool:
    """ "I think they will love it", "I believe that is perfect": how it is liked, and no doubt whether to do it."""
    if clause.asked or clause.contrast:
        return False
    return _LIKED.fullmatch(clause.text) is not None or _praised(clause.text)


def _praised(text: str) -> bool:
    """ "I think that is cool": a whole sentence of praise after the thinking, unlike "I think so"."""
    match = _THOUGHT.fullmatch(text)
    if match is None:
        return False
    words = match.group("what").split()
    return bool(set(words) & AFFIRM_WORDS) and all(word in AFFIRM_WORDS | NEUTRAL_WORDS for word in words)


def _said_of_oneself(words: tuple[str, ...], said: SaidValues) -> bool:
    """ "I dig that", "that rocks": one unknown word, and it is the verb of who speaks or of "that".

    After an article or a preposition it could name another thing; after "that is" another value.
    """
    foreign = [at for at, word in enumerate(words) if not _plain(word, said)]
    if len(foreign) != 1 or telling(words[foreign[0]]):
        return False
    before = [word for word in words[: foreign[0]] if word not in _LEADS and not adverb(word)]
    if not before or before[0] not in _SPEAKERS | _THINGS or not set(before[1:]) <= _AUXILIARIES:
        return False
    if before[0] in _SPEAKERS:
        verb, after = words[foreign[0]], set(words[foreign[0] + 1 :])
        return before[0] == "you" or (
            bool(_OBJECTS & after) and not verb.endswith("ed") and verb not in DONE_VERBS
        )
    return not set(before[1:]) & _COPULAS


def _plain(word: str, said: SaidValues) -> bool:
    return said.has(word) or word in NEUTRAL_WORDS or word in AFFIRM_WORDS or adverb(word)


def adverb(word: str) -> bool:
    """Whether it only says how: "insanely good", not "hardly", "early" or "daily"."""
    if len(word) <= _ADVERB_CHARS_MIN or not word.endswith("ly"):
        return False
    return not any(form in _NEAR_NO_ADVERB for form in (word, *without_one(word)))


def telling(word: str) -> bool:
    """Whether it finds fault, belongs to a value or a kind of thing, or may be a refusal spelt badly."""
    if word in _NO_REMARK or any(char.isdigit() for char in word):
        return True
    if word.startswith(_TURNED) and word not in _NOT_TURNED:
        return True
    return any(no in word for no in _REFUSALS) or any(
        form in _NEAR_FAULT for form in (word, *without_one(word))
    )


def _near(words: Iterable[str]) -> frozenset[str]:
    """What they share with each word that is one letter apart from one of them."""
    return frozenset(form for word in words for form in (word, *without_one(word)))


# Shorter ones lie near to too much.
_REFUSAL_CHARS_MIN = 4
_PATTERNS = (CHANGE_PATTERN, CONDITION_PATTERN, HEDGE_PATTERN, HOLD_PATTERN, STOP_PATTERN)
_NO_REMARK = (
    (FAULT_WORDS | NEGATIVE_WORDS | CHANGE_VERBS | REQUEST_VERBS | TIME_WORDS | VALUE_WORDS | KIND_WORDS)
    - NEUTRAL_WORDS
    - AFFIRM_WORDS
)
_ADVERB_CHARS_MIN = 4
# How sure, how gladly or how often: not every word in "ly" says only how.
_LEADS = frozenset({"and", "so", "oh", "yes", "because", "since", "as", "also", "well", "now"})
_SPEAKERS = frozenset({"i", "we", "you"})
# "I endorse this" is about the read-back; "I messed up", "I just thought" begin a change.
_OBJECTS = frozenset({"it", "that", "this", "them", "those", "these", "everything", "all", "you"})
_THINGS = frozenset({"that", "this", "it", "those", "these", "they"})
_COPULAS = frozenset({"is", "are", "was", "were", "be", "been", "being"})
_AUXILIARIES = _COPULAS | frozenset(
    {
        "am",
        "have",
        "has",
        "had",
        "do",
        "did",
        "does",
        "will",
        "would",
        "can",
        "could",
        "just",
        "really",
        "all",
        "so",
    }
    | {"very", "quite", "too", "truly", "already", "still", "always", "now", "pretty", "must"}
)
_REFUSALS = {"not"}.union(
    (word for word in NEGATIVE_WORDS if len(word) >= _REFUSAL_CHARS_MIN),
    # Written as one with the word before it.
    (word for word in FAULT_WORDS if len(word) > _REFUSAL_CHARS_MIN + 1),
)
_NEAR_FAULT = _near(
    word for word in FAULT_WORDS | NEGATIVE_WORDS | DONE_VERBS if len(word) >= _REFUSAL_CHARS_MIN
)
_NEAR_NO_ADVERB = _near(NO_ADVERBS)
# "Unfair", "disappointing", "overpriced".
_TURNED = ("un", "dis", "mis", "over", "in", "im", "ir", "non")
_NOT_TURNED = frozenset({"interesting", "intriguing", "inviting", "inspiring", "impressive", "incredible"})
_VERY = "(?:so |very |really |absolutely |totally |pretty |just |truly |simply |quite |super |like )*"
_LIKED = re.compile(
    r"(?:i (?:think|hope|bet|believe|guess) )(?:that )?(?:we|they|she|he|everyone|everybody|(?:my|our|the) \w+) "
    r"(?:will|would|are going to|is going to) (?:all |both |really |so |just )*(?:love|enjoy|like|appreciate)"
    r"(?: (?:it|that|this|them|there))?(?: (?:a lot|so much|much better|better|very much))?"
)
_THOUGHT = re.compile(
    r"i (?:think|believe) (?:that )?(?:it|that|this|everything|these|those|you) (?:all )?(?:\w+ )?"
    r"(?:is|are|will|would|looks?|sounds?|seems?|heard|works?|suits?|fits?)\b(?P<what>.*)"
)
_FRAMES = tuple(
    re.compile(pattern)
    for pattern in (
        # "Sounds mint", "that all looks shipshape to me".
        rf"(?:(?:that|this|it|which|those|these|they|everything) )?(?:all )?"
        rf"(?:sounds?|looks?|feels?|reads|seems) {_VERY}"
        r"(?P<filled>[a-z]+(?:-[a-z]+)?)(?: (?:to|for|by) (?:me|us))?",
        # "You are a lifesaver", "you have been such a great help".
        rf"you (?:are|were|have been) {_VERY}(?:(?:an?|the|such an?|my) )?(?P<filled>(?:[a-z]+ ?){{1,3}})",
        # "I am so nervous about this", "she is going to be so thrilled".
        r"(?:(?:i|we|he|she|they) |(?:my |our |the )?[a-z]+ )(?:am|are|is|will be|(?:am|are|is) going to be) "
        r"(?:all |just |both )*(?:so|such an?|very|super|really) (?P<filled>[a-z]+(?: (?:about|for|with) [a-z ]+)?)",
        # "My friend recommended it", "we loved it there".
        r"(?:(?:i|we|he|she|they|(?:my|our) [a-z]+) )?(?:have |has |had )?(?:always |really |all |both |just )*"
        r"(?P<filled>)(?:loved?|loves|liked|likes|enjoyed|adored?|recommend(?:ed|s)|suggested|praised|raved about) "
        r"(?:it|this|that|them|there|(?:this|that|the) place)(?: there| a lot| so much)?",
        # "It is our anniversary".
        r"(?:it is|we are celebrating) (?:my|our|his|her|their|an?) (?:[a-z']+ )?"
        r"(?P<filled>birthday|anniversary|honeymoon|graduation|engagement|favou?rite)"
        r"(?: (?:place|spot|restaurant|hotel|movie|song|band|show|team))?",
        # "That is a great help", "what a relief".
        r"(?:(?:that|this|it) (?:is|was|has been) )?(?:(?:such|what) )?an? (?:\w+ )?"
        r"(?P<filled>help|relief|service|treat|pleasure)",
    )
)
