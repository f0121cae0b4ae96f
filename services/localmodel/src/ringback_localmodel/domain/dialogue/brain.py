"""The dialogue brain: deterministic, for any set of tools, knowing only what is in the conversation."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final

from ringback_localmodel.domain.context import (
    AssistantSaid,
    Call,
    CallMade,
    CallReturned,
    Context,
    Entry,
    Say,
    SystemNote,
    UserSaid,
)
from ringback_localmodel.domain.dialogue.data import as_json, embedded_json
from ringback_localmodel.domain.dialogue.dictation import dictated, wants_greeting
from ringback_localmodel.domain.dialogue.facts import Answer, Source, answer_question
from ringback_localmodel.domain.dialogue.intents import best_intent
from ringback_localmodel.domain.dialogue.questions import ATTEMPTS_MAX, give_up, listed, question
from ringback_localmodel.domain.dialogue.results import spoken_result
from ringback_localmodel.domain.dialogue.schema import Tool, read_tools
from ringback_localmodel.domain.dialogue.smalltalk import abilities, greeting, small_talk
from ringback_localmodel.domain.dialogue.state import (
    NARRATIVE_CHARS_MAX,
    CallRecord,
    Dialogue,
    Request,
    fold,
    missing,
)
from ringback_localmodel.domain.dialogue.words import humanise, is_question

__all__ = ["DialogueRules"]

Steps = list[Say | Call]
# Better than this, an answer from the conversation is preferred to calling a tool once more.
_SURE: Final = 0.6
_NOT_HEARD: Final = "Sorry, I did not catch that. Could you say it again?"
_UNKNOWN: Final = "I am sorry, I do not know that."
_OFFERED_MAX: Final = 3
_OFFER_WORDS_MAX: Final = 7
_CLAUSE_END: Final = re.compile(r"[.,:;(]|\s(?:by|with|for|and|using|when|that)\s")


class DialogueRules:
    """Decides the steps of a reply. ``today`` gives the date that "tomorrow" is counted from."""

    def __init__(self, *, today: Callable[[], date]) -> None:
        self._today = today

    def steps(self, context: Context) -> Steps:
        """What to say and call now; the same context gives the same steps on the same day."""
        own = context.own_instructions
        if own:
            words = dictated(own)
            if words is not None:
                return [Say(words)]
        tools = read_tools(context.tools)
        state = fold(context.entries, tools, today=self._today())
        if context.must_call is not None:
            forced = _forced(context.must_call, state, tools)
            if forced is not None:
                return _pursue(forced, state)
        return self._answer(context, state, tools)

    def _answer(self, context: Context, state: Dialogue, tools: Sequence[Tool]) -> Steps:
        own = context.own_instructions or ""
        newest = next(
            (entry for entry in reversed(context.entries) if not isinstance(entry, SystemNote)), None
        )
        if wants_greeting(own) or newest is None:
            return [Say(greeting(context.session_instructions))]
        match newest:
            case CallReturned():
                return [Say(_results(context.entries, state))]
            case CallMade():
                return [Say("One moment, please.")]
            case AssistantSaid():
                return [Say("Is there anything else I can help with?")]
            case _:
                return _reply(context, state, tools)


def _reply(context: Context, state: Dialogue, tools: Sequence[Tool]) -> Steps:
    """To the caller's latest words."""
    text = state.last_words
    if not any(ch.isalnum() for ch in text):
        return [Say(_NOT_HEARD)]
    request = state.request
    known = _from_context(context, state, text) if is_question(text) else None
    match state.move:
        case "dropped":
            return [Say("All right, I leave it. Is there anything else I can help with?")]
        case "requested" if request is not None:
            if known is not None and known.score >= _SURE and _was_done(request, state):
                return [Say(known.text)]
            return _pursue(request, state)
        case "answered" | "corrected" if request is not None:
            return _pursue(request, state)
        case "unclear" if request is not None:
            return _ask(request, state.attempts)
    able = abilities(text, instructions=context.session_instructions)
    if able is not None:
        return [Say(able or _offer(tools))]
    if known is not None:
        return [Say(_then_ask(known.text, state))]
    talk = small_talk(text, instructions=context.session_instructions, tools=bool(tools))
    if talk is not None:
        return [Say(talk)]
    return [Say(_then_ask(_UNKNOWN if is_question(text) else _at_a_loss(tools), state))]


def _pursue(request: Request, state: Dialogue) -> Steps:
    """Ask for what is missing, else call."""
    if missing(request) is not None:
        return _ask(request, 0)
    open_call = state.open_call(request.tool.name)
    values = _complete(request, state)
    if open_call is not None and open_call.arguments == values:
        return [Say("I am still working on it. One moment, please.")]
    return [Call(request.tool.name, json.dumps(values, ensure_ascii=False))]


def _ask(request: Request, attempts: int) -> Steps:
    wanted = missing(request)
    if wanted is None:
        return [Say(_NOT_HEARD)]
    if attempts >= ATTEMPTS_MAX:
        return [Say(give_up(wanted))]
    return [Say(question(wanted, attempt=attempts))]


def _complete(request: Request, state: Dialogue) -> dict[str, Any]:
    """The arguments, with the texts that the assistant writes itself from the caller's words."""
    values = dict(request.values)
    for parameter in request.tool.parameters:
        if parameter.kind == "narrative" and parameter.name not in values and parameter.required:
            values[parameter.name] = (request.opening or state.last_words)[:NARRATIVE_CHARS_MAX]
    names = {parameter.name for parameter in request.tool.parameters}
    return {name: value for name, value in values.items() if name in names}


def _forced(must_call: str, state: Dialogue, tools: Sequence[Tool]) -> Request | None:
    """The request behind a call that the response must make."""
    if state.request is not None and must_call in ("*", state.request.tool.name):
        return state.request
    if must_call == "*":
        intent = best_intent(state.last_words, tools)
        tool = intent.tool if intent is not None else next(iter(tools), None)
    else:
        tool = next((tool for tool in tools if tool.name == must_call), None)
    if tool is None:
        return None
    values = {name: value for name, value in state.known.items() if tool.parameter(name) is not None}
    return Request(tool, values, state.last_words)


def _was_done(request: Request, state: Dialogue) -> bool:
    """Whether this very call has been made and answered."""
    values = _complete(request, state)
    return any(
        call.name == request.tool.name and call.output is not None and _same(call, values)
        for call in state.calls
    )


def _same(call: CallRecord, values: dict[str, Any]) -> bool:
    return all(call.arguments.get(name) == value for name, value in values.items())


def _results(entries: Sequence[Entry], state: Dialogue) -> str:
    """All results that came since somebody last spoke."""
    spoken: list[str] = []
    for entry in reversed(entries):
        if isinstance(entry, CallReturned):
            spoken.append(spoken_result(entry.output, asked=state.last_words))
        elif isinstance(entry, UserSaid | AssistantSaid):
            break
    return " ".join(reversed(spoken))


def _from_context(context: Context, state: Dialogue, text: str) -> Answer | None:
    """The answer to a question, looked for in what is nearest first."""
    own, session = context.own_instructions or "", context.session_instructions
    sources = [Source(value) for value in embedded_json(own)]
    for entry in reversed(context.entries):
        if isinstance(entry, CallReturned):
            sources.append(Source(as_json(entry.output)))
        elif isinstance(entry, SystemNote):
            sources += [Source(value) for value in embedded_json(entry.text)] + [Source(entry.text)]
    sources += [Source(call.arguments) for call in reversed(state.calls)]
    sources += [Source(value) for value in embedded_json(session)]
    sources += [Source(own), Source(session)]
    return answer_question(text, sources)


def _then_ask(words: str, state: Dialogue) -> str:
    """An aside is answered and the question that is still open is put again."""
    request = state.request
    wanted = missing(request) if request is not None and state.asked else None
    return words if wanted is None else f"{words} {question(wanted, attempt=0)}"


def _at_a_loss(tools: Sequence[Tool]) -> str:
    if not tools:
        return "I am sorry, I can not help with that."
    return f"I am sorry, I did not understand that. {_offer(tools)}"


def _offer(tools: Sequence[Tool]) -> str:
    if not tools:
        return "I can answer questions about what we spoke of."
    offers = [_in_short(tool) for tool in tools[:_OFFERED_MAX]]
    return f"I can {listed(offers, last='or')}."


def _in_short(tool: Tool) -> str:
    """What a tool does, in the first words of its description."""
    start = _CLAUSE_END.split(tool.description.strip(), maxsplit=1)[0]
    if not 1 < len(start.split()) <= _OFFER_WORDS_MAX:
        return humanise(tool.name)
    return start[:1].lower() + start[1:]
