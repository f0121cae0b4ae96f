"""Owns what is out of date, and what to call before it is used: the refresh hook of a value.

A value of a fact is refreshed as the bundle declares the fact: by its tool with the arguments that it was fetched
with last. A value of a reading tool's result is refreshed by that tool with the same arguments. Nothing that changes
the world is ever a refresh.
"""

from __future__ import annotations

import msgspec

from ringback_memory.domain.state import Action, Fact, Slot, State


class Stale(msgspec.Struct, frozen=True):
    """A value past its time to live; `tool` is empty where nothing refreshes it but asking."""

    slot: Slot
    tool: str = ""
    arguments_json: str = ""
    fact: str = ""


def stale_slots(state: State, *, now_ms: int) -> tuple[Stale, ...]:
    """Every stale slot with its refresh hook, by name."""
    stale = sorted((s for s in state.slots.values() if s.stale(now_ms)), key=lambda slot: slot.name)
    return tuple(_hook(state, slot) for slot in stale)


def _hook(state: State, slot: Slot) -> Stale:
    fact = _fact_of(state, slot)
    if fact is not None:
        return Stale(slot, fact.tool, fact.arguments_json or "{}", fact.name)
    action = _read_of(state, slot)
    if action is not None:
        return Stale(slot, action.tool, action.arguments_json or "{}")
    return Stale(slot)


def _fact_of(state: State, slot: Slot) -> Fact | None:
    name = slot.name.split(".", 1)[0]
    mine = [fact for fact in state.facts.values() if fact.name == name and fact.position == slot.position]
    mine = mine or [fact for fact in state.facts.values() if fact.name == name and "." in slot.name]
    return max(mine, key=lambda fact: fact.position, default=None)


def _read_of(state: State, slot: Slot) -> Action | None:
    mine = [
        action
        for action in state.actions.values()
        if action.finished == slot.position and action.side_effect == "read" and action.status == "ok"
    ]
    return max(mine, key=lambda action: action.action_id, default=None)
