"""Owns which of the pack's tools a caller asks for, and in which of the caller's sentences.

Three kinds of sentences are told apart: a request names a tool by what it does or by what it is about; an answer
gives values for what is asked for already; a refusal lets an offer go. An offer of the agent that is taken up is a
request in the agent's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import lru_cache

import msgspec

from ringback_memory.domain.extraction.replies import DECLINES, NO, YES
from ringback_memory.domain.schema import SlotSchema, ToolWords, all_words, stem
from ringback_memory.domain.state import State, Task

SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")

_ASKS_FOR = re.compile(
    r"\b(?:i(?:'d| would|'ll| will| am going to|'m going to)?(?: really| also| just)? (?:want|need|like|love|wish)|"
    r"i(?:'m| am) (?:looking|trying|planning|interested|hoping|wanting)|looking (?:for|to)|"
    r"(?:can|could|would|will) (?:you|i|we)|please|help me|"
    r"let(?:'s| us)|i(?:'ve| have) to|find me|get me|show me|give me|tell me|what(?:'s| is| are)|is there|are there|"
    r"(?:what|which|any)(?: other| more)? \w+ (?:are|do|is)|do you)\b",
    re.I,
)
_OFFERS = re.compile(
    r"\b(?:would you like|do you (?:want|wish|need)|shall i|should i|want me to|can i|may i|are you interested|"
    r"like me to)\b",
    re.I,
)
_ACCEPTS = re.compile(r"^\W*(?:(?:oh|ok(?:ay)?|alright|great|well)\W+)*(?:please|that)\b", re.I)
_AGAIN = re.compile(r"\b(?:others?|another|else|different|instead|any ?more|some more|alternatives?)\b", re.I)
_ASKS_ABOUT = re.compile(
    r"^\W*(?:(?:and|so|ok(?:ay)?|great|thanks)\W+)*(?:where|when|how|who|why|which)\b", re.I
)

_READS_BACK = re.compile(r"\b(?:confirm|verify|correct|right)\b", re.I)
_WORD = re.compile(r"[a-z]+")
_SAME_VERBS = tuple(
    frozenset(stem(word) for word in group.split())
    for group in (
        "book reserve schedule arrange make buy purchase order",
        "find search look lookup get show see check browse explore",
        "cancel stop drop refund",
        "change modify update move reschedule edit",
        "transfer send pay wire",
        "rent hire",
        "play listen hear watch",
        "add create set save",
        "call phone ring",
    )
)
_VERBS = {verb: number for number, group in enumerate(_SAME_VERBS) for verb in group}
_WEAK_VERBS = "see check get show make set order call stop move have"
_WEAK = frozenset(stem(word) for word in _WEAK_VERBS.split())
"""Verbs that say little without the thing that they are about."""
_NEEDED_SCORE = 1.6
_SHARED_WORDS = 2
_PARTS_HELD_MAX = 256
_WORDS_HELD_MAX = 2_048
_VERB_CHARS_LEAST = 5
_LONG_VERBS = tuple(tuple(verb for verb in group if len(verb) >= _VERB_CHARS_LEAST) for group in _SAME_VERBS)


def requests_in(
    text: str, question: str, state: State, schema: SlotSchema, *, valued: bool, pending: Sequence[Task]
) -> list[tuple[str, ToolWords]]:
    """The tools that the caller asks for, each with the sentence that says so.

    `valued`: the utterance gave values of slots; `pending`: the requests that are open.
    """
    if not schema.tools:
        return []
    found: list[tuple[str, ToolWords]] = []
    reader = _Reader(state, schema, pending, valued=valued)
    answers = valued and "?" in question
    for sentence in SENTENCE.findall(text):
        if DECLINES.search(sentence):
            continue
        tool = reader.tool_for(sentence, asks=bool(_ASKS_FOR.search(sentence)), answers=answers)
        if tool is not None and all(tool is not one for _, one in found):
            found.append((sentence.strip(), tool))
    if not found and _takes_up(text):
        for sentence in SENTENCE.findall(question):
            if _OFFERS.search(sentence) and not _READS_BACK.search(sentence):
                tool = reader.tool_for(sentence, asks=True, answers=False)
                found += [(sentence.strip(), tool)] if tool is not None else []
    return found


def things_of(tool: str) -> frozenset[str]:
    """What a tool's name is about, without its verbs."""
    words = all_words(tool)
    return words - {word for group in _SAME_VERBS for word in group}


def _takes_up(text: str) -> bool:
    return bool(YES.match(text) or _ACCEPTS.match(text)) and not (NO.match(text) or DECLINES.search(text))


class _Said(msgspec.Struct, frozen=True, gc=False):
    """A sentence as it bears on tools. `verbs` and `hints` are numbers of `_SAME_VERBS`."""

    words: frozenset[str]
    strong: frozenset[str]
    verbs: frozenset[int]
    hints: frozenset[int]
    first: int
    asks: bool
    answers: bool
    again: bool
    about: bool


def _heard(sentence: str, *, asks: bool, answers: bool) -> _Said:
    words = all_words(sentence)
    strong = words - _WEAK
    return _Said(
        words=words,
        strong=strong,
        verbs=_verbs_spoken(strong),
        hints=_verbs_spoken(words & _WEAK),
        first=_first_verb(sentence),
        asks=asks,
        answers=answers,
        again=bool(_AGAIN.search(sentence)),
        about=bool(_ASKS_ABOUT.match(sentence)),
    )


class _Reader:
    """Reads sentences of one utterance against the tools of a schema."""

    def __init__(self, state: State, schema: SlotSchema, pending: Sequence[Task], *, valued: bool) -> None:
        self._valued = valued
        self._focus = state.focus
        self._tools = schema.tools
        self._served = frozenset([one.tool for one in state.actions.values() if one.status == "ok"])
        by_name = {tool.name: tool for tool in schema.tools}
        self._pending = [by_name[task.tool] for task in pending if task.tool in by_name]

    def tool_for(self, sentence: str, *, asks: bool, answers: bool) -> ToolWords | None:
        said = _heard(sentence, asks=asks, answers=answers)
        scored = [(self._score(tool, said), tool.name, tool) for tool in self._tools]
        best = max(scored, key=lambda one: (one[0], one[1]), default=None)
        return best[2] if best is not None and best[0] >= _NEEDED_SCORE else None

    def _score(self, tool: ToolWords, said: _Said) -> float:
        """How much the sentence speaks of the tool; 0 when it does not ask for it."""
        own_verbs, things = _parts(tool.named)
        verb, hint = not own_verbs.isdisjoint(said.verbs), not own_verbs.isdisjoint(said.hints)
        hits = len(things & said.words) or int(not tool.own.isdisjoint(said.strong))
        if not (verb or hint or hits):
            return 0.0
        here = tool.group == self._focus
        if not hits and (said.about or (said.answers and self._is_pending(tool))):
            return 0.0
        if not said.again and self._is_a_step_of_what_is_pending(tool):
            return 0.0
        # A tool that changes something is meant only by whoever says so.
        means = (verb and (said.asks or hits or here)) or hits >= _SHARED_WORDS or (hint and hits)
        if tool.changes or tool.name not in self._served:
            means = means or (said.asks and hits and not tool.changes)
        else:
            # What was found is looked for anew with other values; more of the same the agent just tells.
            means = self._valued and (means or (said.again and hits))
        if not means:
            return 0.0
        score = 1.2 * verb + 0.6 * (hint and not verb) + 1.2 * hits + 0.6 * here + 0.5 * said.asks
        score += 0.4 * len((tool.described - tool.named) & said.words) + 0.4 * (said.first in own_verbs)
        # What names nothing is rather for something new than for what was served.
        stale = verb and not hits and tool.name in self._served and not said.again
        return score - 0.6 * stale

    def _is_pending(self, tool: ToolWords) -> bool:
        return any(one.group == tool.group for one in self._pending)

    def _is_a_step_of_what_is_pending(self, tool: ToolWords) -> bool:
        """Looking for a thing is no matter of its own while something is to be done with it."""
        if tool.changes:
            return False
        things = things_of(tool.name)
        return any(
            one.changes and ((one.group and one.group == tool.group) or things & things_of(one.name))
            for one in self._pending
        )


@lru_cache(maxsize=_PARTS_HELD_MAX)
def _parts(named: frozenset[str]) -> tuple[frozenset[int], frozenset[str]]:
    """The verbs of a tool's name, as numbers of `_SAME_VERBS`, and what is left of it."""
    verbs = frozenset(number for number, group in enumerate(_SAME_VERBS) if group & named)
    return verbs, named - {word for number in verbs for word in _SAME_VERBS[number]}


def _first_verb(sentence: str) -> int:
    """What is asked for is said before what it is for: "find a song to listen to"; -1 for no verb."""
    said = (_VERBS.get(stem(word)) for word in _WORD.findall(sentence.casefold()))
    return next((number for number in said if number is not None), -1)


def _verbs_spoken(spoken: Set[str]) -> frozenset[int]:
    return frozenset(number for word in spoken for number in _verbs_of(word))


@lru_cache(maxsize=_WORDS_HELD_MAX)
def _verbs_of(word: str) -> tuple[int, ...]:
    """A verb may come as a noun: a reservation, a booking, a payment."""
    return tuple(
        number
        for number, group in enumerate(_SAME_VERBS)
        if word in group or word.startswith(_LONG_VERBS[number])
    )
