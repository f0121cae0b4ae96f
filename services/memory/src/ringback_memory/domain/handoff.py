"""Owns the handoff packet: what an agent or a person who takes over needs to know, within a size.

When it is too large, what helps least goes first: the oldest turns, the oldest decisions, older values of
slots, bulky results; slots, tasks and actions stay as long as they can.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ringback_memory.domain import limits
from ringback_memory.domain.context import ranked_slots
from ringback_memory.domain.entities import newest_entities
from ringback_memory.domain.state import (
    Action,
    Consent,
    Decision,
    Entity,
    Slot,
    State,
    Task,
    Turn,
    open_tasks,
    pending_consents,
)

_ROOM_BYTES = limits.PACKET_BYTES_MAX - 6 * 1024
"""What the content may take as JSON of ours; the rest is for the wire's longer field names."""


ENTITIES_MAX = 24


class Packet(msgspec.Struct, frozen=True):
    """The parts of a packet, newest last where there is an order."""

    slots: tuple[Slot, ...]
    tasks: tuple[Task, ...]
    actions: tuple[Action, ...]
    decisions: tuple[Decision, ...]
    consents: tuple[Consent, ...]
    turns: tuple[Turn, ...]
    promises: tuple[str, ...]
    corrections: tuple[str, ...]
    summary: str
    reason: str
    entities: tuple[Entity, ...] = ()
    left_out: tuple[str, ...] = ()


def build_packet(state: State, *, reason: str, now_ms: int) -> Packet:
    """The packet of `state`, at most 32 KiB as JSON."""
    owed = tuple(task.title for task in open_tasks(state) if task.kind == "promise")
    packet = Packet(
        slots=tuple(ranked_slots(state, now_ms=now_ms)),
        tasks=tuple(sorted(state.tasks.values(), key=lambda task: (task.status != "open", task.position))),
        actions=tuple(sorted(state.actions.values(), key=lambda action: action.position)),
        decisions=state.decisions,
        consents=tuple(
            one for one in pending_consents(state) if not one.expires_at_ms or one.expires_at_ms > now_ms
        ),
        turns=tuple(turn for turn in state.turns if turn.text),
        promises=(*owed, *(one for one in state.promises if one not in owed)),
        corrections=state.corrections,
        summary=state.summary.text,
        reason=limits.clip(reason, limits.LABEL_BYTES_MAX),
        entities=tuple(newest_entities(state)[:ENTITIES_MAX]),
    )
    return _fitted(packet)


def _fitted(packet: Packet) -> Packet:
    left_out: list[str] = []
    for part, smaller in _STEPS:
        while _size(packet) > _ROOM_BYTES:
            shrunk = smaller(packet)
            if shrunk is packet:
                break
            packet = shrunk
            if part not in left_out:
                left_out.append(part)
    return replace(packet, left_out=tuple(left_out))


def _size(packet: Packet) -> int:
    return len(msgspec.json.encode(packet)) + 40 * (
        len(packet.slots) + len(packet.turns) + len(packet.actions)
    )


def _fewer_turns(packet: Packet) -> Packet:
    return (
        replace(packet, turns=packet.turns[_some(len(packet.turns)) :]) if len(packet.turns) > 2 else packet
    )


def _fewer_decisions(packet: Packet) -> Packet:
    if not packet.decisions:
        return packet
    return replace(packet, decisions=packet.decisions[_some(len(packet.decisions)) :])


def _no_older_values(packet: Packet) -> Packet:
    if not any(slot.superseded for slot in packet.slots):
        return packet
    return replace(packet, slots=tuple(replace(slot, superseded=()) for slot in packet.slots))


def _no_results(packet: Packet) -> Packet:
    if not any(action.result_json for action in packet.actions):
        return packet
    return replace(packet, actions=tuple(replace(action, result_json="") for action in packet.actions))


def _no_entities(packet: Packet) -> Packet:
    return replace(packet, entities=()) if packet.entities else packet


def _no_summary(packet: Packet) -> Packet:
    return replace(packet, summary="") if packet.summary else packet


def _fewer_settled(packet: Packet) -> Packet:
    settled = [action for action in packet.actions if not action.is_open]
    if not settled:
        return packet
    gone = {action.action_id for action in settled[: _some(len(settled))]}
    return replace(packet, actions=tuple(one for one in packet.actions if one.action_id not in gone))


def _fewer_slots(packet: Packet) -> Packet:
    if len(packet.slots) <= 1:
        return packet
    return replace(packet, slots=packet.slots[: -_some(len(packet.slots))])


def _fewer_tasks(packet: Packet) -> Packet:
    return (
        replace(packet, tasks=packet.tasks[: -_some(len(packet.tasks))]) if len(packet.tasks) > 1 else packet
    )


def _some(count: int) -> int:
    return max(1, count // 8)


_STEPS: tuple[tuple[str, Callable[[Packet], Packet]], ...] = (
    ("turns", _fewer_turns),
    ("decisions", _fewer_decisions),
    ("entities", _no_entities),
    ("superseded", _no_older_values),
    ("results", _no_results),
    ("summary", _no_summary),
    ("actions", _fewer_settled),
    ("slots", _fewer_slots),
    ("tasks", _fewer_tasks),
)
