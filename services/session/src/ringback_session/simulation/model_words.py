"""What the simulated model makes of what it hears, and the frames in which it says so."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ringback_realtime import ServerEvents, usage_object

from ringback_session.simulation.sound import SOUNDS, Sound

__all__ = [
    "MS_PER_CHAR",
    "Answer",
    "Step",
    "calls_in",
    "is_told_off",
    "item_object",
    "response_object",
    "response_steps",
    "words_to",
]

MS_PER_CHAR: Final = 40
CHUNK_MS: Final = 800
_VERBS: Final = {
    "look up": "get_reservation",
    "cancel": "cancel_reservation",
    "refund": "refund",
    "note": "add_note",
    "dim": "dim",
    "lose": "no_such_tool",
}
_ASKED: Final = re.compile(r"(look up|cancel|refund|note|dim|lose)? ?(\d)", re.IGNORECASE)
_CONSULT: Final = re.compile(r"ask (?:to )?(about|cancel|note) (\d)", re.IGNORECASE)
_HAND_OVER: Final = re.compile(r"(billing|front), please")
# Milliseconds from the step before, and the frame.
Step = tuple[int, bytes]


@dataclass
class Answer:
    """What one response holds: words, then calls of (name, arguments)."""

    words: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    status: str = "completed"
    # Without audio.
    text: bool = False
    sound: Sound = SOUNDS["pcm"]


def calls_in(text: str) -> list[tuple[str, str]]:
    """The calls that a wish comes to; a verb goes on for the numbers that follow it."""
    consult = _CONSULT.match(text)
    if consult is not None:
        return [("consult_supervisor", f'{{"question":"{consult[1].lower()} {consult[2]}"}}')]
    found, tool = [], ""
    for name in _HAND_OVER.findall(text.lower()):
        found.append((f"hand_over_to_{name}", '{"reason":"asked","summary":"The caller asked."}'))
    for verb, number in _ASKED.findall(text):
        tool = _VERBS.get(verb.lower(), tool)
        if tool:
            found.append((tool, f'{{"reservation":"{number}"}}'))
    return found


def is_told_off(asked: Mapping[str, Any]) -> bool:
    """Does the request tell the model that it has asked too much at once?"""
    return "questions at once" in str(asked.get("instructions"))


def words_to(heard: str, *, told: bool) -> str:
    """What it says where there is nothing to call; `told`: a result has come."""
    if "Quiz" in heard:
        return "Is it the first? Or the second? Or both of them?"
    if "Swear" in heard:
        return "I may not do that. Damn it, so be it. Are you content now?"
    return "That is settled, I was told." if told else "Well then, what can I do for you?"


def response_object(
    response_id: str, status: str, metadata: Mapping[str, Any] | None, *, alone: bool
) -> dict[str, Any]:
    """What `response.created` and `response.done` carry; `alone`: it is none of the conversation's."""
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": {"type": status} if status in ("failed", "incomplete", "cancelled") else None,
        "output": [],
        "conversation_id": None if alone else "conv_sim",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}},
        "usage": None if status == "in_progress" else usage_object(output_text_tokens=7),
        "metadata": metadata,
    }


def item_object(item_id: str, type: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": item_id, "object": "realtime.item", "type": type, "status": status, **more}


def response_steps(
    events: ServerEvents, response_id: str, answer: Answer, metadata: Mapping[str, Any] | None, *, alone: bool
) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    """A response, frame by frame: the time before each, and the item that it completes, if any."""
    index = itertools.count()
    yield (
        60,
        events.response_created(response_object(response_id, "in_progress", metadata, alone=alone)),
        None,
    )
    if answer.words:
        if answer.text:
            yield from _text_message(events, response_id, answer.words, next(index))
        else:
            yield from _message(events, response_id, answer, next(index))
    for name, arguments in answer.calls:
        yield from _call(events, response_id, name, arguments, next(index))
    yield 10, events.response_done(response_object(response_id, answer.status, metadata, alone=alone)), None


def _message(
    events: ServerEvents, response_id: str, answer: Answer, index: int
) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    item_id, words = events.ids.item(), answer.words
    where: dict[str, Any] = {"item_id": item_id, "output_index": index}
    item = item_object(item_id, "message", "in_progress", role="assistant", content=[])
    yield 20, events.output_item_added(response_id, output_index=index, item=item), item
    part = {"type": "audio", "transcript": ""}
    yield 0, events.part_added(response_id, part=part, **where), None
    for piece in _pieces(words):
        yield 60, events.transcript_delta(response_id, delta=piece, **where), None
        audio = answer.sound.nothing(len(piece) * MS_PER_CHAR)
        yield 20, events.audio_delta(response_id, audio=audio, **where), None
    yield 10, events.audio_done(response_id, **where), None
    yield 0, events.transcript_done(response_id, transcript=words, **where), None
    yield 0, events.part_done(response_id, part={"type": "audio", "transcript": words}, **where), None
    content = [{"type": "output_audio", "transcript": words}]
    done = item_object(item_id, "message", "completed", role="assistant", content=content)
    yield 0, events.output_item_done(response_id, output_index=index, item=done), done


def _text_message(
    events: ServerEvents, response_id: str, words: str, index: int
) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    item_id = events.ids.item()
    where: dict[str, Any] = {"item_id": item_id, "output_index": index}
    item = item_object(item_id, "message", "in_progress", role="assistant", content=[])
    yield 20, events.output_item_added(response_id, output_index=index, item=item), item
    yield 0, events.part_added(response_id, part={"type": "text", "text": ""}, **where), None
    for piece in _pieces(words):
        yield 60, events.text_delta(response_id, delta=piece, **where), None
    yield 10, events.text_done(response_id, text=words, **where), None
    yield 0, events.part_done(response_id, part={"type": "text", "text": words}, **where), None
    content = [{"type": "output_text", "text": words}]
    done = item_object(item_id, "message", "completed", role="assistant", content=content)
    yield 0, events.output_item_done(response_id, output_index=index, item=done), done


def _call(
    events: ServerEvents, response_id: str, name: str, arguments: str, index: int
) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    item_id, call_id = events.ids.item(), events.ids.call()
    named = {"call_id": call_id, "name": name}
    item = item_object(item_id, "function_call", "in_progress", arguments="", **named)
    yield 20, events.output_item_added(response_id, output_index=index, item=item), None
    where: dict[str, Any] = {"item_id": item_id, "output_index": index, "call_id": call_id}
    yield 20, events.arguments_delta(response_id, delta=arguments, **where), None
    yield 0, events.arguments_done(response_id, name=name, arguments=arguments, **where), None
    done = item_object(item_id, "function_call", "completed", arguments=arguments, **named)
    yield 0, events.output_item_done(response_id, output_index=index, item=done), done


def _pieces(words: str) -> Sequence[str]:
    step = CHUNK_MS // MS_PER_CHAR
    return [words[start : start + step] for start in range(0, len(words), step)]
