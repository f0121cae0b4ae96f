"""Owns the trust in a text model's summary: what it is given, what of its draft is taken, what is put back.

A draft's lines must each rest on turns (or earlier lines) that they name; who said it is written by us, from those
turns, never by the model; what is in no source (a number, a name, most of the words) is thrown away; every line is
quoted as data. So whatever a transcript says to the summariser, the worst that it can reach is to be quoted as its
speaker's words. What rests on the covered turns and is still live (a slot, an open task) is put back if the draft
lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from ringback_spoken import contains_value

from ringback_memory.domain import limits
from ringback_memory.domain.schema import all_words
from ringback_memory.domain.slots import parse
from ringback_memory.domain.state import Slot, State, Turn, open_tasks
from ringback_memory.domain.summary import quoted

LINES_MAX = 16
SOURCE_TURNS_MAX = 96
SOURCE_CHARS_MAX = 24_000
TURN_CHARS_MAX = 1_000
OVERLAP_LEAST = 0.5
PUT_BACK_MAX = 16
_SHARED_WORDS = 2

_NUMBER = re.compile(r"\d[\d,.:-]*")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]+")
_LABEL = re.compile(r'^(Caller|Agent|Caller and agent): "')


class SourceLine(msgspec.Struct, frozen=True):
    """One thing that a draft may rest on: `ref` names it, `who` said it."""

    ref: int
    who: str
    text: str


class Source(msgspec.Struct, frozen=True):
    """What the text model is given: earlier lines, turns, and what must not be lost."""

    lines: tuple[SourceLine, ...]
    slots: tuple[tuple[str, str], ...]
    tasks: tuple[str, ...]


class DraftLine(msgspec.Struct, frozen=True):
    text: str
    refs: tuple[int, ...]


class Draft(msgspec.Struct, frozen=True):
    """What the text model wrote, unchecked, and the tokens it cost."""

    lines: tuple[DraftLine, ...]
    tokens: int = 0


def source_of(state: State, turns: Sequence[Turn]) -> Source:
    """What is summed up when `turns` leave, the newest within the bounds."""
    earlier = [(_who(line.text), _said(line.text)) for line in state.summary.lines]
    spoken = [
        ("Caller" if turn.speaker == "caller" else "Agent", turn.text[:TURN_CHARS_MAX])
        for turn in turns[-SOURCE_TURNS_MAX:]
        if turn.text and turn.kind != "filler"
    ]
    lines: list[SourceLine] = []
    room = SOURCE_CHARS_MAX
    pairs = [*earlier, *spoken]
    for ref in range(len(pairs), 0, -1):
        who, text = pairs[ref - 1]
        if len(text) > room:
            break
        room -= len(text)
        lines.append(SourceLine(ref, who, text))
    slots = tuple((slot.name, slot.value_json) for slot in _resting_on(state, turns))
    return Source(tuple(reversed(lines)), slots, tuple(task.title for task in open_tasks(state)))


def accepted(draft: Draft, *, source: Source, state: State, turns: Sequence[Turn]) -> str | None:
    """The summary that a draft makes after the checks, a line each; None if it is not worth having."""
    by_ref = {line.ref: line for line in source.lines}
    lines = [
        made
        for line in draft.lines[:LINES_MAX]
        if (made := _checked(line, [by_ref[ref] for ref in line.refs if ref in by_ref])) is not None
    ]
    if not lines or 2 * len(lines) < min(LINES_MAX, len(draft.lines)):
        return None
    return "\n".join([*lines, *_put_back("\n".join(lines), state, turns)])


def _checked(line: DraftLine, basis: Sequence[SourceLine]) -> str | None:
    text = " ".join(line.text.split())
    if not basis or not text:
        return None
    ground = " ".join(one.text for one in basis)
    known = ground.casefold()
    plain = re.sub(r"[\s,.:-]", "", known)
    for number in _NUMBER.findall(text):
        if re.sub(r"[,.:-]", "", number) not in plain:
            return None
    if any(name.casefold() not in known for name in _NAME.findall(text)):
        return None
    words = all_words(text)
    if not words or len(words & all_words(ground)) < OVERLAP_LEAST * len(words):
        return None
    who = {one.who for one in basis}
    label = who.pop() if len(who) == 1 else "Caller and agent"
    return f"{label}: {quoted(limits.clip(text, limits.SUMMARY_LINE_BYTES_MAX))}"


def _put_back(text: str, state: State, turns: Sequence[Turn]) -> list[str]:
    missing = []
    for slot in _resting_on(state, turns):
        if not contains_value(text, parse(slot.value_json)) and slot.normalised not in text.casefold():
            missing.append(f"Known: {quoted(f'{slot.name} = {slot.value_json}')}")
    words = all_words(text)
    for task in open_tasks(state):
        title = all_words(task.title)
        if len(title & words) < min(_SHARED_WORDS, len(title)):
            missing.append(f"Open: {quoted(task.title)}")
    return [limits.clip(line, limits.SUMMARY_LINE_BYTES_MAX) for line in missing[:PUT_BACK_MAX]]


def _resting_on(state: State, turns: Sequence[Turn]) -> list[Slot]:
    """The live slots that were said in these turns."""
    said = {turn.position for turn in turns}
    return [slot for slot in state.slots.values() if slot.position in said]


def _who(line: str) -> str:
    match = _LABEL.match(line)
    return match[1] if match else "Caller and agent"


def _said(line: str) -> str:
    head, found, rest = line.partition(": ")
    value = parse(rest) if found else None
    return value if isinstance(value, str) else rest or head
