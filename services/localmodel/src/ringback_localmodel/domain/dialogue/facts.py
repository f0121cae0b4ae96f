"""Answering a question from what is in the conversation: the value whose name fits the question's words best."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ringback_localmodel.domain.dialogue.data import Leaf, leaves, stated
from ringback_localmodel.domain.dialogue.words import content_stems, question_part, word_set, words_of

__all__ = ["Answer", "Source", "answer_question"]

# A parent's name says less about a value than its own; the words of a short value are nearly a name themselves.
_OWN, _PARENT, _INSIDE = 1.0, 0.4, 0.8
_SHORT_VALUE_WORDS: Final = 8
_KNOWN_MIN: Final = 0.45
_SENTENCE_SHARE_MIN: Final = 0.6
_SENTENCES: Final = re.compile(r"[^.!?\n]+[.!?]?")
# A sentence that tells the model what to do is nothing to tell the caller.
_COMMANDS: Final = word_set(
    """
    you your never always do don't say speak ask tell call use answer reply respond if when be keep
    only
    """
)
_CARD: Final = re.compile(r"\b(?:visa|master ?card|amex|american express|maestro|card)\b", re.I)
_WHEN: Final = re.compile(
    r"\d{4}-\d\d-\d\d|\d{1,2}:\d\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b", re.I
)


@dataclass(frozen=True, slots=True)
class Source:
    """Something to look in: JSON, or plain text as a ``str``. Earlier sources win ties."""

    data: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """``score`` is the share of the question's words that the place found fits, between 0 and 1."""

    text: str
    score: float


def answer_question(question: str, sources: Sequence[Source]) -> Answer | None:
    """The best answer that the sources give, or None when nothing fits well enough."""
    question = question_part(question)
    asked = list(dict.fromkeys(content_stems(question)))
    best: Answer | None = None
    for source in sources:
        found = (
            _best_sentence(source.data, asked)
            if isinstance(source.data, str)
            else _best_leaf(source.data, asked, question)
        )
        if found is not None and (best is None or found.score > best.score + 0.01):
            best = found
    return best


def _best_leaf(data: Any, asked: list[str], question: str) -> Answer | None:
    ranked = [(_fit(leaf, asked, question), -len(leaf.path), leaf) for leaf in leaves(data) if leaf.path]
    if not ranked:
        return None
    score, _, leaf = max(ranked, key=lambda found: found[:2])
    if score >= _KNOWN_MIN:
        return Answer(_sentence(leaf), min(1.0, score))
    fitting = [leaf for _, _, leaf in ranked if _kind_bonus(leaf, question)]
    return Answer(_sentence(fitting[0]), _KNOWN_MIN) if len(fitting) == 1 else None


def _fit(leaf: Leaf, asked: list[str], question: str) -> float:
    """How well a value's name fits: words shared, weighed by how much of the name they are."""
    own = set(content_stems(leaf.label)) or set(words_of(leaf.label))
    above = {word for key in leaf.path[:-1] for word in content_stems(key)}
    short = isinstance(leaf.value, str) and len(leaf.value.split()) <= _SHORT_VALUE_WORDS
    inside = set(content_stems(leaf.value)) if short else set()
    shared = sum(1 for word in asked if word in own)
    total = (
        _OWN * shared
        + _PARENT * sum(1 for word in asked if word in above - own)
        + _INSIDE * sum(1 for word in asked if word in inside - own - above)
    )
    if total == 0 or not asked:
        return 0.0
    score = total / len(asked) * 0.6 + (0.4 * shared / len(own) if own else 0.0)
    return score + _kind_bonus(leaf, question)


def _kind_bonus(leaf: Leaf, question: str) -> float:
    """A "when" wants a date, a "how much" a number, a "which card" a card: a hint, only on top of shared words."""
    words = set(words_of(question))
    text = leaf.value if isinstance(leaf.value, str) else ""
    number = isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool)
    fits = (
        (words & {"when", "time"} and _WHEN.search(text))
        or (words & {"much", "many"} and number)
        or (words & {"card", "cards", "paid"} and _CARD.search(text))
    )
    return 0.1 if fits else 0.0


def _sentence(leaf: Leaf) -> str:
    if isinstance(leaf.value, bool):
        return ("Yes. " if leaf.value else "No. ") + stated(leaf)
    return stated(leaf)


def _best_sentence(text: str, asked: list[str]) -> Answer | None:
    if not asked:
        return None
    best: Answer | None = None
    for sentence in _SENTENCES.findall(text):
        said = sentence.strip()
        if len(said) < 4 or (words_of(said)[:1] and words_of(said)[0] in _COMMANDS):
            continue
        held = set(content_stems(said))
        share = sum(1 for word in asked if word in held) / len(asked)
        if share >= _SENTENCE_SHARE_MIN and (best is None or share > best.score):
            best = Answer(said if said[-1] in ".!?" else f"{said}.", share)
    return best
