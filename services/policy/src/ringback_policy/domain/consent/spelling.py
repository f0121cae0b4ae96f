"""Owns the spelling of an answer: which word was meant by a known slip, a near miss or two words written as one.

A word that is only near to one of the words of yes counts as it; one of no is never made out of anything, and what
has a meaning of its own, however near, stays what it is.
"""

import re
from functools import lru_cache

from ringback_policy.domain.consent.words import (
    ACTION_VERBS,
    AFFIRM_WORDS,
    CHANGE_VERBS,
    INFO_NOUNS,
    KIND_WORDS,
    NEGATIVE_WORDS,
    NEUTRAL_WORDS,
    OWN_MEANING,
    SLIPS,
    TIME_WORDS,
    VALUE_WORDS,
)

__all__ = ["respelt", "without_one"]

# Tokenised text has its apostrophes apart: "that ' s right", "it 's", "do n't", and hasty fingers write "that;s".
_APART = re.compile(
    r"(?<=[a-z])(?: ?['\"] ?|;)(s|re|m|ll|ve|d)(?= |[.,?!;:]|$)|(?<=[a-z]) (?='(?:s|re|m|ll|ve|d)\b)"
)
_NOT_APART = re.compile(
    r"\b(do|does|did|is|are|was|were|wo|ca|could|would|should|has|have|had) ?n ?' ?t\b"
    r"|\b(don|doesn|didn|isn|aren|wasn|weren|won|can|couldn|wouldn|shouldn|hasn|haven) t\b"
)
# Without any apostrophe: "that s right", "i m sure", "don t do it".
_LOST = re.compile(
    r"\b(i|you|we|they|it|that|he|she|there|what|let|who|where|how|here) (s|m|re|ll|ve)(?= |[.,?!;:]|$)"
)
# "Ydes", "yers": what lies about a yes; "yeast" does not.
_LIKE_YES = re.compile(r"y[a-z]?e[a-z]?s[a-z]?")
_DRAWN_OUT = re.compile(r"([a-z])\1{2,}")


_LETTERS = re.compile(r"(?:\b(to|from|for|with|at|in|on|of|by|called|named) )?([a-z][a-z']*)")
# A capital inside a sentence begins a name.
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")


def respelt(text: str) -> str:
    """The text in lower case with its contractions whole and its slips resolved; names are left as they are."""
    names = frozenset(name.lower() for name in _NAME.findall(text))
    return _LETTERS.sub(lambda match: _respelt(match, names), _apostrophes_joined(text.lower()))


def _respelt(match: re.Match[str], names: frozenset[str]) -> str:
    """What follows a preposition may be a name too."""
    before, word = match.groups()
    if before is None:
        return word if word in names and word not in SLIPS else _meant(word)
    return f"{before} {SLIPS.get(word, word)}"


def _apostrophes_joined(text: str) -> str:
    """Text in which each contraction is one word."""
    if "'" in text or ";" in text or '"' in text:
        text = _APART.sub(_joined, text)
    return _LOST.sub(r"\1'\2", _NOT_APART.sub(_negated, text))


def _negated(match: re.Match[str]) -> str:
    return f"{match.group(1)}n't" if match.group(1) else f"{match.group(2)}'t"


def _joined(match: re.Match[str]) -> str:
    return f"'{match.group(1)}" if match.group(1) else ""


@lru_cache(maxsize=4096)
def _meant(word: str) -> str:
    """The words that were meant, when it is a known slip, two of them in one, or a word of yes but for one letter."""
    known = SLIPS.get(word)
    if word.endswith("'s") and SLIPS.get(word[:-2]) in _SHORTENED:
        # "Tht's".
        return f"{SLIPS[word[:-2]]}'s"
    if known is not None or word in _KNOWN or len(word) > LONG_CHARS_MAX:
        return known or word
    if _LIKE_YES.fullmatch(word):
        return "yes"
    drawn = _DRAWN_OUT.search(word)
    if drawn is not None:
        return _drawn_in(word)
    if (glued := _GLUED.fullmatch(word)) is not None:
        return " ".join(part for part in glued.groups() if part)
    if len(word) >= LONG_CHARS_MIN - 1:
        found = next((_NEAR_YES[form] for form in (word, *without_one(word)) if form in _NEAR_YES), None)
        # "Ncorrect" and "ucertain" lost a letter of their own no.
        if found is not None and not (word.endswith(found) and word[0] != found[0]):
            return found
    return _near_short(word) or word


def _drawn_in(word: str) -> str:
    """ "yesss" is "yes" and "gooood" is "good"."""
    once, twice = (_DRAWN_OUT.sub(times, word) for times in (r"\1", r"\1\1"))
    return next((SLIPS.get(form, form) for form in (once, twice) if form in _KNOWN or form in SLIPS), word)


def _near_short(word: str) -> str | None:
    """A word of five or six letters for one that begins alike and is one letter, or one pair, away."""
    if not SHORT_CHARS_MIN - 1 <= len(word) <= LONG_CHARS_MIN + 1:
        return None
    forms = (word, *without_one(word))
    near = (other for form in forms for other in _NEAR_SHORT.get(form, ()))
    return next((other for other in near if other[0] == word[0] and _one_apart(word, other)), None)


def _one_apart(word: str, other: str) -> bool:
    if len(word) != len(other):
        return True
    apart = [at for at in range(len(word)) if word[at] != other[at]]
    return len(apart) == 1 or (len(apart) == 2 and apart[1] == apart[0] + 1 and sorted(word) == sorted(other))


def without_one(word: str) -> list[str]:
    """The word without each of its letters in turn: two words share a form when they are one letter apart."""
    return [word[:at] + word[at + 1 :] for at in range(len(word))]


# Shorter words have everyday neighbours: "right" and "night", "fine" and "find".
LONG_CHARS_MIN, LONG_CHARS_MAX = 7, 14
SHORT_CHARS_MIN = 5
_SHORTENED = frozenset({"that", "this", "what"})
_KNOWN = (
    AFFIRM_WORDS
    | NEGATIVE_WORDS
    | NEUTRAL_WORDS
    | INFO_NOUNS
    | CHANGE_VERBS
    | ACTION_VERBS
    | KIND_WORDS
    | TIME_WORDS
    | VALUE_WORDS
    | OWN_MEANING
)
_NEAR_YES = {
    form: word
    for word in sorted(AFFIRM_WORDS)
    if len(word) >= LONG_CHARS_MIN
    for form in (word, *without_one(word))
}
_SPELT = frozenset({"sounds", "please", "thanks", "enough", "address", "number", "everything", "details"})
_NEAR_SHORT: dict[str, tuple[str, ...]] = {}
for _word in sorted(AFFIRM_WORDS | _SPELT):
    if len(_word) >= SHORT_CHARS_MIN:
        for _form in {_word, *without_one(_word)}:
            _NEAR_SHORT[_form] = (*_NEAR_SHORT.get(_form, ()), _word)
# "isperfect", "yesplease", "soundsgood": no first part here can turn the second round, as "in" and "im" do.
_GLUED = re.compile(
    r"(yes|yeah|yep|yup|okay|ok|sure|that|thats|this|it|its|is|sounds|looks|works|all|very|please|fine|great)"
    r"(please|thanks|correct|right|perfect|good|great|fine|works|sounds|confirm|proceed|okay|sure|will|is)"
    r"(perfect|good|great|fine|correct|right|works|do)?"
)
