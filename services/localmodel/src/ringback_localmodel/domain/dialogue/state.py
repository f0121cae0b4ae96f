"""What a dialogue has come to: a fold over the conversation's entries, so that nothing is kept beside it.

The same entries always give the same state; an item that was deleted or truncated counts as it now stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from ringback_localmodel.domain.context import (
    AssistantSaid,
    CallMade,
    CallReturned,
    Entry,
    SystemNote,
    UserSaid,
)
from ringback_localmodel.domain.dialogue.data import as_json
from ringback_localmodel.domain.dialogue.extraction import answer_value, offered_values
from ringback_localmodel.domain.dialogue.intents import CLEAR, LIKELY, Intent, best_intent
from ringback_localmodel.domain.dialogue.questions import asked_attempt, give_up
from ringback_localmodel.domain.dialogue.results import succeeded
from ringback_localmodel.domain.dialogue.schema import Parameter, Tool
from ringback_localmodel.domain.dialogue.words import is_question, word_set, words_of

__all__ = ["CallRecord", "Dialogue", "Move", "Request", "fold", "missing"]

# What the caller's latest words were, to the dialogue.
Move = Literal["none", "requested", "answered", "corrected", "unclear", "dropped", "other"]

_CORRECTIONS: Final = word_set("no not nope wrong sorry correction actually meant mean rather instead change")
_OTHERS: Final = word_set("another different other new else")
_DROPS: Final = (
    "never mind",
    "nevermind",
    "forget it",
    "forget about it",
    "forget that",
    "leave it",
    "drop it",
)
NARRATIVE_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """Something the caller wants done, with the values known so far and the words that opened it."""

    tool: Tool
    values: dict[str, Any]
    opening: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    call_id: str
    name: str
    arguments: dict[str, Any]
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """``attempts`` counts how often the missing value ``asked`` has been asked for in a row.

    ``known`` are arguments of earlier calls by name, ``returned`` the plain values that tools gave back.
    """

    request: Request | None = None
    asked: str | None = None
    attempts: int = 0
    known: dict[str, Any] = field(default_factory=dict)
    returned: dict[str, Any] = field(default_factory=dict)
    calls: tuple[CallRecord, ...] = ()
    move: Move = "none"
    last_words: str = ""

    def open_call(self, name: str) -> CallRecord | None:
        return next((call for call in self.calls if call.name == name and call.output is None), None)


def fold(entries: Sequence[Entry], tools: Sequence[Tool], *, today: date) -> Dialogue:
    """Read the whole conversation."""
    state = Dialogue()
    for entry in entries:
        match entry:
            case UserSaid(text):
                state = replace(_hear(state, text, tools, today), last_words=text)
            case AssistantSaid(text):
                state = _said(state, text, tools)
            case CallMade(call_id, name, arguments):
                state = _called(state, call_id, name, as_json(arguments))
            case CallReturned(call_id, output):
                state = _returned(state, call_id, output)
            case SystemNote():
                pass
    return state


def missing(request: Request) -> Parameter | None:
    """The first required argument that nobody has given and that the assistant can not write itself."""
    for parameter in request.tool.parameters:
        if parameter.required and parameter.name not in request.values and parameter.kind != "narrative":
            return parameter
    return None


def _hear(state: Dialogue, text: str, tools: Sequence[Tool], today: date) -> Dialogue:
    said = " ".join(words_of(text))
    if state.request is not None and any(phrase in said for phrase in _DROPS):
        return replace(state, request=None, asked=None, attempts=0, move="dropped")
    intent = best_intent(text, tools)
    asked = state.request.tool.parameter(state.asked) if state.request and state.asked else None
    if state.request is not None and asked is not None:
        return _hear_answer(state, state.request, asked, text, intent, today)
    corrected = _corrected(state, text, tools, today)
    if corrected is not None and (intent is None or intent.score < CLEAR):
        return replace(state, request=corrected, asked=None, attempts=0, move="corrected")
    if intent is not None and intent.score >= LIKELY:
        return _open(state, intent.tool, text, today)
    if state.request is not None and missing(state.request) is not None:
        offered = offered_values(state.request.tool, text, today=today)
        fresh = {name: value for name, value in offered.items() if name not in state.request.values}
        if fresh:
            return replace(state, request=_with(state.request, fresh), move="answered")
    return replace(state, move="other")


def _hear_answer(
    state: Dialogue, request: Request, asked: Parameter, text: str, intent: Intent | None, today: date
) -> Dialogue:
    """The caller speaks after a question: the answer, another wish, a correction, or something else."""
    elsewhere = intent is not None and intent.tool.name != request.tool.name and intent.score >= CLEAR
    if elsewhere and intent is not None and not _answers_hard(asked, text, today):
        return _open(state, intent.tool, text, today)
    aside = is_question(text) and asked.kind in ("text", "yes_no")
    value = None if aside else answer_value(asked, text, today=today)
    if value is not None:
        offered = offered_values(request.tool, text, today=today)
        fresh = {name: one for name, one in offered.items() if name not in request.values}
        filled = _with(request, {**fresh, asked.name: value})
        return replace(state, request=filled, asked=None, attempts=0, move="answered")
    if _corrects(text):
        offered = offered_values(request.tool, text, today=today)
        changed = {n: v for n, v in offered.items() if request.values.get(n) not in (None, v)}
        if changed:
            return replace(state, request=_with(request, changed), move="corrected")
    return replace(state, move="other" if is_question(text) else "unclear")


def _answers_hard(asked: Parameter, text: str, today: date) -> bool:
    """Whether the words hold a value of the asked kind that free text could not fake."""
    return asked.kind not in ("text", "yes_no") and answer_value(asked, text, today=today) is not None


def _corrected(state: Dialogue, text: str, tools: Sequence[Tool], today: date) -> Request | None:
    """A request like the last call but with a value that the caller has just replaced."""
    if not state.calls or not _corrects(text):
        return None
    last = state.calls[-1]
    tool = next((tool for tool in tools if tool.name == last.name), None)
    if tool is None:
        return None
    offered = offered_values(tool, text, today=today)
    changed = {name: value for name, value in offered.items() if last.arguments.get(name, value) != value}
    return Request(tool, {**last.arguments, **changed}, text) if changed else None


def _corrects(text: str) -> bool:
    return any(word in _CORRECTIONS for word in words_of(text)[:6])


def _open(state: Dialogue, tool: Tool, text: str, today: date) -> Dialogue:
    fresh = bool(_OTHERS & set(words_of(text)))
    known = {} if fresh else _remembered(state, tool)
    values = {**known, **offered_values(tool, text, today=today)}
    opening = text
    if state.request is not None and state.request.tool.name == tool.name:
        values, opening = {**state.request.values, **values}, state.request.opening
    values.update({p.name: p.preset for p in tool.parameters if p.preset is not None})
    return replace(state, request=Request(tool, values, opening), asked=None, attempts=0, move="requested")


def _remembered(state: Dialogue, tool: Tool) -> dict[str, Any]:
    """Arguments given before; ids also from results, the caller's own word first."""
    values: dict[str, Any] = {}
    for parameter in tool.parameters:
        if parameter.kind == "id" and parameter.name in state.returned:
            values[parameter.name] = state.returned[parameter.name]
        if parameter.kind != "narrative" and parameter.name in state.known:
            values[parameter.name] = state.known[parameter.name]
    return values


def _said(state: Dialogue, text: str, tools: Sequence[Tool]) -> Dialogue:
    """The assistant spoke: was it a question for a missing value, or the end of a request?"""
    request = state.request or _request_behind(text, tools)
    wanted = missing(request) if request is not None else None
    if request is None or wanted is None:
        return replace(state, move="none")
    if words_of(give_up(wanted))[:8] == words_of(text)[:8]:
        return replace(state, request=None, asked=None, attempts=0, move="none")
    attempt = asked_attempt(wanted, text)
    if attempt is None:
        return replace(state, move="none")
    return replace(state, request=request, asked=wanted.name, attempts=attempt + 1, move="none")


def _request_behind(text: str, tools: Sequence[Tool]) -> Request | None:
    """The request that a question belongs to when the words that opened it are gone from the context."""
    behind = [
        tool
        for tool in tools
        if (wanted := missing(Request(tool, {}, ""))) is not None and asked_attempt(wanted, text) is not None
    ]
    return Request(behind[0], {}, "") if len(behind) == 1 else None


def _called(state: Dialogue, call_id: str, name: str, arguments: Any) -> Dialogue:
    values = arguments if isinstance(arguments, dict) else {}
    record = CallRecord(call_id, name, values)
    known = {**state.known, **{k: v for k, v in values.items() if isinstance(v, str | int | float)}}
    return replace(
        state, request=None, asked=None, attempts=0, known=known, calls=(*state.calls, record), move="none"
    )


def _returned(state: Dialogue, call_id: str, output: str) -> Dialogue:
    calls = tuple(replace(call, output=output) if call.call_id == call_id else call for call in state.calls)
    result = as_json(output)
    returned = state.returned
    if isinstance(result, dict) and succeeded(output):
        returned = {**returned, **{k: v for k, v in result.items() if isinstance(v, str | int)}}
    return replace(state, calls=calls, returned=returned, move="none")


def _with(request: Request, values: dict[str, Any]) -> Request:
    return replace(request, values={**request.values, **values})
