"""Owns the reading itself: a yes is read only when everything that was said is a yes, or leaves it standing.

Each clause is classed by what it does (affirm, refuse, hold, hedge, change, ask, nothing, something else). YES needs a
clause that affirms and none that takes it back; what cannot be placed makes it UNCLEAR, so it is asked again.
"""

from collections.abc import Callable
from enum import Enum, auto

import msgspec

from ringback_policy.domain.consent.asides import aside, without_asked
from ringback_policy.domain.consent.clauses import Clause, clauses_of, fold
from ringback_policy.domain.consent.patterns import (
    AFFIRM_PHRASES,
    ALTERNATIVE_PATTERN,
    CHANGE_PATTERN,
    CONDITION_PATTERN,
    DOUBT_PATTERN,
    HEDGE_PATTERN,
    HOLD_PATTERN,
    INFO_LEAD,
    INFO_PATTERN,
    STOP_PATTERN,
)
from ringback_policy.domain.consent.values import SaidValues, new_values, said_values
from ringback_policy.domain.consent.words import (
    ACTION_VERBS,
    AFFIRM_WORDS,
    ASK_LEADS,
    ASKING_SUBJECTS,
    CHANGE_VERBS,
    GETTING_VERBS,
    INFO_NOUNS,
    MODAL_LEADS,
    NEGATIVE_WORDS,
    NEUTRAL_WORDS,
    REQUEST_VERBS,
    STRONG_YES,
    TELLING_WORDS,
    TOLD_FRAME,
    TOLD_NOUNS,
    UNDOING_VERBS,
    WH_LEADS,
)
from ringback_policy.domain.subjects import BoundValue
from ringback_policy.domain.vocabulary import Reading, SideEffect

__all__ = ["UTTERANCE_CHARS_MAX", "ConsentAnswer", "ConsentQuestion", "read_consent"]

# Nobody consents in a speech; what is longer is asked again.
UTTERANCE_CHARS_MAX = 600
READ_BACK_CHARS_MAX = 2000


class ConsentQuestion(msgspec.Struct, frozen=True):
    """An answer and what it answers; `confidence` None is unknown."""

    read_back: str
    utterance: str
    confidence: float | None = None
    bound_values: tuple[BoundValue, ...] = ()
    side_effect: SideEffect = SideEffect.WRITE
    confidence_min: float = 0.0
    without_confidence: str = "repeat_value"


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
        repeated = any(contains(question.utterance, v.value, v.kind) for v in question.bound_values)
        if not repeated:
            return ConsentAnswer(
                Reading.UNCLEAR, f"unknown confidence and no value repeated: {answer.evidence}"
            )
    return answer


def _read_words(question: ConsentQuestion) -> ConsentAnswer:
    said = said_values(question.read_back[:READ_BACK_CHARS_MAX])
    folded = fold(question.utterance)
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
    if _Act.ASK in acts and question.side_effect is SideEffect.IRREVERSIBLE:
        return _answer(Reading.UNCLEAR, found, _Act.ASK)
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
        elif act in (_Act.OTHER, _Act.HEDGE) and before is _Act.ASK and not clause.contrast:
            # "the address, phone number and price", "and if it is furnished": the question goes on.
            act = _Act.ASK
        found.append(_Found(act, clause))
    return found


def _act_of(clause: Clause, said: SaidValues) -> _Act:
    if aside(clause, said):
        return _Act.NOTHING
    text = _without_restated_no(clause.text, said)
    if HOLD_PATTERN.search(text):
        return _Act.CHANGE if CHANGE_PATTERN.search(text) and _wants(text, said) else _Act.HOLD
    if _waits_for(clause):
        return _Act.HEDGE
    if _asks(clause, said):
        return _asked(clause, text, said)
    if CONDITION_PATTERN.search(text):
        return _Act.HEDGE
    if _refuses(clause, text, said):
        return _Act.CHANGE if CHANGE_PATTERN.search(text) else _Act.REFUSE
    if HEDGE_PATTERN.search(text):
        return _Act.HEDGE
    return _stated(clause, text, said)


def _waits_for(clause: Clause) -> bool:
    """ "When my husband agrees": no question, but something that must come first."""
    words = clause.words
    at = words.index("when") if "when" in words and not clause.asked else len(words)
    if at + 1 >= len(words) or (at and words[at - 1] in TELLING_WORDS):
        return False
    return words[at + 1] not in ASK_LEADS | MODAL_LEADS


def _asked(clause: Clause, text: str, said: SaidValues) -> _Act:
    """A question asks for a change, or only asks; one with a negation in it is not harmless."""
    if _requests_change(text, said):
        return _Act.CHANGE
    if set(clause.words) & NEGATIVE_WORDS - {"know", "without"} or DOUBT_PATTERN.search(text):
        return _Act.OTHER
    if ALTERNATIVE_PATTERN.search(text) or _asks_for_more(clause, said):
        return _Act.OTHER
    if clause.contrast and any(
        len(word) > 3 and said.has(word) and word not in NEUTRAL_WORDS for word in clause.words
    ):
        # "Yes, but which card does it go to?" asks about what was read back.
        return _Act.OTHER
    return _Act.ASK


def _asks_for_more(clause: Clause, said: SaidValues) -> bool:
    """ "Can we get a booth?" asks for something that was not read back; "can I get the address?" only to be told."""
    words = clause.words
    lead = next((at for at, word in enumerate(words) if word in MODAL_LEADS), None)
    if lead is None or not ({*words[lead + 1 : lead + 2]} & ASKING_SUBJECTS):
        return False
    if not {*words[lead + 2 : lead + 3]} & GETTING_VERBS:
        return False
    if set(words) & (INFO_NOUNS | WH_LEADS) or INFO_PATTERN.search(clause.text):
        return False
    return any(not said.has(word) and word not in NEUTRAL_WORDS for word in words)


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
    return bool(negative - {"know"} - said.words)


def _stated(clause: Clause, text: str, said: SaidValues) -> _Act:
    reduced = AFFIRM_PHRASES.sub(" ", text)
    phrase = reduced != text
    words = reduced.split()
    command = _commands(words, said)
    rest = [word for word in words if word not in NEUTRAL_WORDS and word not in AFFIRM_WORDS]
    # What holds a digit is judged as a value, by all of its spoken forms.
    foreign = [word for word in rest if not said.has(word) and not any(char.isdigit() for char in word)]
    if command:
        foreign = []
    affirming = phrase or bool(set(words) & AFFIRM_WORDS)
    if CHANGE_PATTERN.search(reduced) and not command and (foreign or _wants(reduced, said)):
        return _Act.CHANGE
    if foreign:
        return _Act.CHANGE if _wants(text, said) and not affirming else _Act.OTHER
    if affirming or (command and _bare(words)):
        return _Act.WEAK if clause.asked and not _echoed(clause) else _Act.AFFIRM
    return _Act.THANKS if {"thanks", "thank"} & set(words) else _Act.NOTHING


def _echoed(clause: Clause) -> bool:
    """An affirmation in a rising voice, "yes, I confirm?", is one still when it says more than a word."""
    return len(clause.words) > 1 and bool(set(clause.words) & (STRONG_YES | {"right"}))


def _commands(words: list[str], said: SaidValues) -> bool:
    """An order to do what was read back: its verb, and nothing that was not read back."""
    verbs = [word for word in words if word in ACTION_VERBS]
    if not verbs or any(word in UNDOING_VERBS and not said.has(word) for word in verbs):
        return False
    return all(
        said.has(word) or word in NEUTRAL_WORDS or word in AFFIRM_WORDS or word in ACTION_VERBS
        for word in words
    )


def _bare(words: list[str]) -> bool:
    """An order that names nothing, "book it", is a yes; one that names something only goes with a yes."""
    return (
        bool(set(words) & {"it", "that", "them", "this"})
        and len(words) <= 4
        and not set(words) & UNDOING_VERBS
    )


def _wants(text: str, said: SaidValues) -> bool:
    """Whether it wants something that was not read back."""
    words = text.split()
    if not any(word in CHANGE_VERBS for word in words):
        return False
    return any(
        not said.has(word) and word not in NEUTRAL_WORDS and word not in AFFIRM_WORDS for word in words
    )


def _requests_change(text: str, said: SaidValues) -> bool:
    words = text.split()
    if "instead" in words or "rather" in words:
        return True
    if words and words[0] in WH_LEADS:
        return False
    verbs = {word for word in words if word in REQUEST_VERBS} - ({"use"} if "i use" in text else set())
    return bool(verbs) and not INFO_NOUNS & set(words) and not _commands(words[2:], said)


def _asks(clause: Clause, said: SaidValues) -> bool:
    words = clause.words
    lead = words[0]
    if lead in ("also", "please", "so", "oh", "then", "well", "okay", "yes") and len(words) > 1:
        lead = words[1]
    if lead in WH_LEADS:
        return not AFFIRM_PHRASES.match(clause.text) or clause.asked
    if lead in MODAL_LEADS or lead in ASK_LEADS:
        return not _is_order(words[words.index(lead) :]) and not _only_affirms(words)
    if INFO_PATTERN.search(clause.text) and (INFO_NOUNS & set(words) or INFO_LEAD.match(clause.text)):
        return True
    if clause.asked and set(words) & (WH_LEADS | INFO_NOUNS):
        return True
    if set(words) & TOLD_NOUNS and set(words) <= TOLD_NOUNS | TOLD_FRAME:
        return True
    return clause.asked and not _only_affirms(words) and not _restates(words, said)


def _is_order(words: tuple[str, ...]) -> bool:
    """ "Do it please", "do not cancel it": no question, though "do" begins many."""
    return (
        words[0] == "do"
        and len(words) > 1
        and words[1] in {"it", "that", "this", "so", "not", "please", "nothing"}
    )


def _only_affirms(words: tuple[str, ...]) -> bool:
    """ "is good for me", "do it", "will do": statements that begin like questions."""
    text = AFFIRM_PHRASES.sub(" ", " ".join(words))
    rest = text.split()
    if not rest:
        return True
    if (
        words[0] in MODAL_LEADS | ASK_LEADS
        and len(words) > 1
        and words[1] not in AFFIRM_WORDS | {"very", "it"}
    ):
        return len(rest) < len(words) and all(word in NEUTRAL_WORDS for word in rest)
    affirming = bool(set(words) & AFFIRM_WORDS)
    return affirming and all(word in NEUTRAL_WORDS or word in AFFIRM_WORDS for word in rest)


def _restates(words: tuple[str, ...], said: SaidValues) -> bool:
    return all(said.has(word) or word in NEUTRAL_WORDS or word in AFFIRM_WORDS for word in words) and bool(
        set(words) & AFFIRM_WORDS
    )


def _without_restated_no(text: str, said: SaidValues) -> str:
    """A "no" that the read-back says too ("no subtitles") refuses nothing when it is said again."""
    words = text.split()
    if "no" not in said.words or "no" not in words or (words[0] == "no" and len(words) < 3):
        return text
    return " ".join(
        word
        for at, word in enumerate(words)
        if not (word == "no" and at + 1 < len(words) and words[at + 1] in said.words)
    )
