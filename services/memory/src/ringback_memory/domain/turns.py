"""Owns the verbatim turns: what was said and what of it was heard, bounded by count and by bytes.

When they outgrow the bound, the oldest are folded into the summary; their item ids are kept, since the
model's conversation still holds them until a compaction takes them out.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from ringback_memory.domain import limits
from ringback_memory.domain.events import AgentSpoke, CallerSpoke, Position
from ringback_memory.domain.state import State, Turn
from ringback_memory.domain.summary import fold_turns

_PROMISE = re.compile(
    r"\b(?:i|we)(?:'ll| will)\b[^.!?]{0,80}\b(?:call|send|e-?mail|mail|text|follow up|get back|let you know|"
    r"arrange|make sure|look into|process|transfer|have (?:someone|a person))\b[^.!?]*",
    re.I,
)
_UNCERTAIN_BELOW = 0.5
_KEPT_AFTER_SPILL = 3 / 4


def with_caller_turn(state: State, position: Position, body: CallerSpoke) -> State:
    """`state` with an utterance of the caller; a failed transcription keeps its item and has no words."""
    turn = Turn(
        speaker="caller",
        text="" if body.failed else body.text,
        position=position,
        item_id=body.item_id,
        audio_ms=body.audio_ms,
        kind="typed" if body.typed else "spoken",
        asks=body.text.rstrip().endswith("?"),
        uncertain=body.failed or (body.confidence is not None and body.confidence < _UNCERTAIN_BELOW),
    )
    return _put(state, turn)


def with_agent_turn(state: State, position: Position, body: AgentSpoke) -> State:
    """`state` with what the caller can have heard of an utterance of the agent."""
    turn = Turn(
        speaker="agent",
        text=body.heard,
        position=position,
        item_id=body.item_id,
        audio_ms=body.heard_ms or body.audio_ms,
        kind=body.kind,
        unheard=body.heard.strip() != body.said.strip(),
        asks=body.heard.rstrip().endswith("?"),
    )
    state = _put(state, turn)
    if body.kind not in ("reply", "notice"):
        return state
    promises = tuple(
        limits.clip(m.group().strip(), limits.LABEL_BYTES_MAX) for m in _PROMISE.finditer(body.heard)
    )
    if not promises:
        return state
    kept = tuple(one for one in state.promises if one not in promises)
    return replace(state, promises=(*kept, *promises)[-limits.PROMISES_MAX :])


def cut_short(state: State, *, item_id: str, heard_ms: int) -> State:
    """`state` with an utterance shortened to the share of it that was played when the caller cut in."""
    for index, turn in enumerate(state.turns):
        if turn.item_id != item_id or turn.speaker != "agent" or heard_ms >= turn.audio_ms:
            continue
        words = turn.text.split()
        heard = " ".join(words[: len(words) * heard_ms // turn.audio_ms])
        cut = replace(turn, text=heard, audio_ms=heard_ms, unheard=True, asks=heard.endswith("?"))
        return _with_turns(state, (*state.turns[:index], cut, *state.turns[index + 1 :]))
    return state


def last_agent_text(state: State) -> str:
    """What the caller heard since speaking last, fillers apart."""
    heard: list[str] = []
    for turn in reversed(state.turns):
        if turn.speaker != "agent":
            break
        if turn.kind != "filler":
            heard.append(turn.text)
    return " ".join(reversed(heard))


def _put(state: State, turn: Turn) -> State:
    if turn.item_id:
        index = _place_of(turn, state.turns)
        if index is not None:
            same_place = replace(turn, position=state.turns[index].position)
            return _with_turns(state, (*state.turns[:index], same_place, *state.turns[index + 1 :]))
    size = state.turns_bytes + len(turn.text.encode())
    state = replace(state, turns=(*state.turns, turn), turns_bytes=size)
    if len(state.turns) <= limits.TURNS_MAX and size <= limits.TURNS_BYTES_MAX:
        return state
    return _spill(state)


def _place_of(turn: Turn, turns: tuple[Turn, ...]) -> int | None:
    # Most items are new: that is told without looking at each turn in turn.
    ids = [known.item_id for known in turns]
    if turn.item_id not in ids:
        return None
    return next(
        (
            index
            for index, known in enumerate(turns)
            if known.item_id == turn.item_id and known.speaker == turn.speaker
        ),
        None,
    )


def _with_turns(state: State, turns: tuple[Turn, ...]) -> State:
    return replace(state, turns=turns, turns_bytes=sum(len(turn.text.encode()) for turn in turns))


def _spill(state: State) -> State:
    """Many at once, so that it happens rarely."""
    count, size, cut = len(state.turns), state.turns_bytes, 0
    while cut < count - 1 and (
        count - cut > limits.TURNS_MAX * _KEPT_AFTER_SPILL
        or size > limits.TURNS_BYTES_MAX * _KEPT_AFTER_SPILL
    ):
        size -= len(state.turns[cut].text.encode())
        cut += 1
    gone = state.turns[:cut]
    ids = (*state.spilled_item_ids, *(turn.item_id for turn in gone if turn.item_id))
    return replace(
        state,
        turns=state.turns[cut:],
        turns_bytes=size,
        spilled_item_ids=ids[-limits.SPILLED_ITEMS_MAX :],
        summary=fold_turns(state.summary, gone),
    )
