"""Owns the reading itself: a yes is read only when everything that was said is a yes, or leaves it standing.

Each clause is classed by what it does (affirm, refuse, hold, hedge, change, ask, nothing, something else). YES needs a
clause that affirms and none that takes it back; what cannot be placed makes it UNCLEAR, so it is asked again.
"""

import itertools
import re
from collections.abc import Callable
from enum import Enum, auto

import msgspec

from ringback_policy.domain.consent.asides import aside, without_asked
from ringback_policy.domain.consent.asking import (
    asks,
    bare,
    commands,
    lacks,
    reason,
    requests_change,
    waits_for,
)
from ringback_policy.domain.consent.clauses import Clause, clauses_of, fold
from ringback_policy.domain.consent.doubting import doubts
from ringback_policy.domain.consent.naming import by_its_kind, foreign_words, only_its_kind, wants
from ringback_policy.domain.consent.patterns import (
    AFFIRM_PHRASES,
    CHANGE_PATTERN,
    CONDITION_PATTERN,
    HEDGE_PATTERN,
    HOLD_PATTERN,
    STOP_PATTERN,
)
from ringback_policy.domain.consent.polarity import hedged, turned_round, without_restated
from ringback_policy.domain.consent.remarks import hoped, remark
from ringback_policy.domain.consent.values import SaidValues, new_values, said_values
from ringback_policy.domain.consent.words import (
    AFFIRM_WORDS,
    ASKED_KINDS,
    MODAL_LEADS,
    NEGATIVE_WORDS,
    STRONG_YES,
)
from ringback_policy.domain.subjects import ONCE_MORE, BoundValue
from ringback_policy.domain.vocabulary import Reading, SideEffect

__all__ = ["UTTERANCE_CHARS_MAX", "ConsentAnswer", "ConsentQuestion", "read_consent"]

# Nobody consents in a speech; what is longer is asked again.
UTTERANCE_CHARS_MAX = 600
READ_BACK_CHARS_MAX = 2000

_TELLS_DONE = re.compile(r"\b(?:already|before|earlier|done|did|happened|went through)\b", re.IGNORECASE)
_AGAIN = re.compile(
    r"\b(?:once more|once again|one more time|(?:a|another|the) (?:second|third|other) time|another time|again)\b",
    re.IGNORECASE,
)


class ConsentQuestion(msgspec.Struct, frozen=True):
    """An answer and what it answers; `confidence` None is unknown."""

    read_back: str
    utterance: str
    confidence: float | None = None
    bound_values: tuple[BoundValue, ...] = ()
    side_effect: SideEffect = SideEffect.WRITE
    confidence_min: float = 0.0
    without_confidence: str = "repeat_value"

    @property
    def repeats(self) -> bool:
        """Whether the read-back said that it was done already, and asked for it once more."""
        return any(value.name == ONCE_MORE for value in self.bound_values)


class ConsentAnswer(msgspec.Struct, frozen=True):
    """How it reads, the words that decided, what changed, and why a wanted second opinion could not be had."""

    reading: Reading
    evidence: str
    corrections: tuple[BoundValue, ...] = ()
    fell_back: str = ""


class _Act(Enum):
    AFFIRM = auto()
    WEAK = auto()
    REFUSE = auto()
    HOLD = auto()
    HEDGE = auto()
    CHANGE = auto()
    ASK = auto()
    THANKS = auto()
    REMARK = auto()
    NOTHING = auto()
    OTHER = auto()


class _Found(msgspec.Struct, frozen=True):
    act: _Act
    clause: Clause


Contains = Callable[[str, str, str], bool]


def read_consent(question: ConsentQuestion, *, contains: Contains) -> ConsentAnswer:
    """Reads one answer. `contains(transcript, value, kind)` finds a spoken value."""
    if len(question.utterance) > UTTERANCE_CHARS_MAX:
        return ConsentAnswer(Reading.UNCLEAR, "too long for an answer")
    answer = _read_words(question)
    if answer.reading is not Reading.YES:
        return answer
    if question.repeats and _TELLS_DONE.search(question.utterance) and not _AGAIN.search(question.utterance):
        # "Okay, it was done already, good" is content with the first time.
        return ConsentAnswer(Reading.UNCLEAR, f"only says that it was done: {answer.evidence}")
    return _enough(question, answer, contains)


def _enough(question: ConsentQuestion, answer: ConsentAnswer, contains: Contains) -> ConsentAnswer:
    """A yes in words still needs to have been recognised well."""
    if question.confidence is not None:
        # Written so that NaN is low.
        if not question.confidence >= question.confidence_min:
            return ConsentAnswer(Reading.UNCLEAR, f"low confidence: {answer.evidence}")
        return answer
    if question.without_confidence == "unclear":
        return ConsentAnswer(Reading.UNCLEAR, f"unknown confidence: {answer.evidence}")
    if question.side_effect is SideEffect.IRREVERSIBLE:
        values = [value for value in question.bound_values if value.name != ONCE_MORE]
        repeated = any(contains(question.utterance, v.value, v.kind) for v in values)
        if not repeated:
            return ConsentAnswer(
                Reading.UNCLEAR, f"unknown confidence and no value repeated: {answer.evidence}"
            )
    return answer


def _read_words(question: ConsentQuestion) -> ConsentAnswer:
    said = said_values(question.read_back[:READ_BACK_CHARS_MAX])
    folded = fold(question.utterance)
    if question.repeats:
        # That it is to be once more was read back: it changes nothing, and is no yes by itself.
        folded = _AGAIN.sub(" ", folded)
    found = _classed(clauses_of(folded), said)
    acts = {item.act for item in found}
    changed = new_values(folded, said)
    if changed and _Act.ASK in acts:
        questions = [item.clause.text for item in found if item.act is _Act.ASK]
        changed = new_values(without_asked(folded, questions, said), said)
    if changed and acts - {_Act.ASK, _Act.NOTHING, _Act.THANKS}:
        return _corrected(question, found, changed)
    if _Act.CHANGE in acts:
        return _answer(Reading.CORRECTION, found, _Act.CHANGE)
    return _without_change(question, found, acts, changed)


def _without_change(
    question: ConsentQuestion, found: list[_Found], acts: set[_Act], changed: list[str]
) -> ConsentAnswer:
    # A bare "thank you" accepts what can be undone.
    thanked = _Act.THANKS in acts and question.side_effect is not SideEffect.IRREVERSIBLE
    affirms = _Act.AFFIRM in acts or thanked
    if _Act.REFUSE in acts:
        torn = (
            affirms or _Act.HOLD in acts or any(f.act is _Act.REFUSE and _says_yes(f.clause) for f in found)
        )
        return _answer(Reading.UNCLEAR if torn else Reading.NO, found, _Act.REFUSE)
    for act in (_Act.HOLD, _Act.HEDGE, _Act.OTHER):
        if act in acts:
            return _answer(Reading.UNCLEAR, found, act)
    if not affirms or changed:
        return _answer(Reading.UNCLEAR, found, _Act.ASK if _Act.ASK in acts else _Act.WEAK)
    if _Act.REMARK in acts and _Act.AFFIRM not in acts:
        return _answer(Reading.UNCLEAR, found, _Act.REMARK)
    if question.side_effect is SideEffect.IRREVERSIBLE:
        # Beside what cannot be undone nothing else may stand.
        for act in (_Act.ASK, _Act.REMARK):
            if act in acts:
                return _answer(Reading.UNCLEAR, found, act)
    return _answer(Reading.YES, found, _Act.AFFIRM if _Act.AFFIRM in acts else _Act.THANKS)


def _says_yes(clause: Clause) -> bool:
    return bool(set(clause.words) & {"yes", "yeah", "yep", "yup", "aye"})


def _answer(reading: Reading, found: list[_Found], act: _Act) -> ConsentAnswer:
    evidence = "; ".join(item.clause.text for item in found if item.act is act)
    return ConsentAnswer(reading, evidence[:200])


def _corrected(question: ConsentQuestion, found: list[_Found], changed: list[str]) -> ConsentAnswer:
    """A changed value; with one bound value of its kind it is known which one."""
    corrections = tuple(
        BoundValue(name, value, kind)
        for value in changed
        for name, kind in _bound_to(value, question.bound_values)
    )
    return ConsentAnswer(Reading.CORRECTION, f"changed: {', '.join(changed)}"[:200], corrections)


def _bound_to(value: str, bound: tuple[BoundValue, ...]) -> list[tuple[str, str]]:
    kind = "money" if value[:1] in "$€£" else "time" if ":" in value else "number"
    if kind == "number" and value.split()[0].isalpha() and " " in value:
        kind = "date"
    kinds = {"number": ("number", "id")}.get(kind, (kind,))
    own = [item for item in bound if item.kind in kinds]
    return [(own[0].name, own[0].kind)] if len(own) == 1 else []


def _classed(clauses: tuple[Clause, ...], said: SaidValues) -> list[_Found]:
    found: list[_Found] = []
    for clause in clauses:
        act = _act_of(clause, said)
        before = found[-1].act if found else None
        if before is _Act.ASK and clause.words[0] == "then" and act is not _Act.ASK:
            # "See whether it is open, and then book": what was asked is a condition.
            act = _Act.HEDGE
        elif (
            act in (_Act.OTHER, _Act.HEDGE)
            and before is _Act.ASK
            and not clause.contrast
            and not _own(clause)
        ):
            # "the address, phone number and price", "and if it is furnished": the question goes on.
            act = _Act.ASK
        elif before is _Act.ASK and lacks(clause):
            act = _Act.ASK
        elif (act is _Act.OTHER and remark(clause, said)) or (act is _Act.HEDGE and hoped(clause)):
            act = _Act.REMARK
        found.append(_Found(act, clause))
    return [
        # "I am a vegetarian. Do they have anything for me?"
        _Found(_Act.ASK, item.clause)
        if item.act in (_Act.OTHER, _Act.REFUSE)
        and after is not None
        and after.act is _Act.ASK
        and reason(item.clause)
        else item
        for item, after in itertools.zip_longest(found, found[1:])
    ]


def _own(clause: Clause) -> bool:
    """Whether it is a question of its own and no part of the one before: "can you lower it"."""
    return clause.words[0] in MODAL_LEADS and clause.words[1:2] == ("you",)


def _act_of(clause: Clause, said: SaidValues) -> _Act:
    if aside(clause, said):
        return _Act.NOTHING
    text = without_restated(clause.text, said)
    if HOLD_PATTERN.search(_WAIT_ASKED.sub(" ", text)):
        return _Act.CHANGE if CHANGE_PATTERN.search(text) and wants(text, said) else _Act.HOLD
    if waits_for(clause):
        return _Act.HEDGE
    if asks(clause, said):
        if requests_change(text, said):
            return _Act.CHANGE
        return _Act.OTHER if doubts(clause, text, said) else _Act.ASK
    if CONDITION_PATTERN.search(text):
        return _Act.HEDGE
    if _refuses(clause, text, said):
        return _Act.CHANGE if CHANGE_PATTERN.search(text) else _Act.REFUSE
    if HEDGE_PATTERN.search(text) and hedged(text, said):
        return _Act.HEDGE
    return _stated(clause, text, said)


def _refuses(clause: Clause, text: str, said: SaidValues) -> bool:
    words = set(text.split())
    if STOP_PATTERN.search(text):
        return True
    negative = words & NEGATIVE_WORDS
    if negative == {"know"}:
        # "Know" for "no", as it is often recognised.
        return clause.words[0] == "know"
    if "cancel" in words and not said.has("cancel"):
        return True
    return bool(negative - {"know"})


def _stated(clause: Clause, text: str, said: SaidValues) -> _Act:
    reduced = AFFIRM_PHRASES.sub(" ", text)
    phrase = reduced != text
    words = reduced.split()
    command = commands(words, said)
    foreign = foreign_words(words, said)
    # "Confirm the amount" asks for it; "confirm the ride" does not.
    confirmed = "confirm" not in words or "i" in words or not {*words} & ASKED_KINDS
    if foreign and confirmed and not CHANGE_PATTERN.search(text):
        named = by_its_kind(reduced, said)
        foreign = [word for word in foreign if word in named and not only_its_kind(word, words, said)]
        command = command or commands(named, said)
    if command:
        foreign = []
    affirming = phrase or bool(set(words) & AFFIRM_WORDS)
    if turned_round(clause.text, said):
        return _Act.CHANGE
    if CHANGE_PATTERN.search(reduced) and not command and (foreign or wants(reduced, said)):
        return _Act.CHANGE
    if foreign:
        return _Act.CHANGE if wants(text, said) and not affirming else _Act.OTHER
    if affirming or (command and bare(words)):
        return _Act.WEAK if clause.asked and not _echoed(clause) else _Act.AFFIRM
    return _Act.THANKS if {"thanks", "thank", "please"} & set(words) else _Act.NOTHING


def _echoed(clause: Clause) -> bool:
    """An affirmation in a rising voice, "yes, I confirm?", is one still when it says more than a word."""
    return len(clause.words) > 1 and bool(set(clause.words) & (STRONG_YES | {"right"}))


# "How long do I have to wait for it" asks nobody to wait.
_WAIT_ASKED = re.compile(
    r"\bhow (?:long|much)\b.*\bwait(?:ing)?\b|\bwait(?:ing)? times?\b|\b(?:the|any|is there a) wait\b"
)
