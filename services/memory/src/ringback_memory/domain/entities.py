"""Owns who and what a call is about: names and ids, by what holds them, with how often and where last."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ringback_memory.domain import limits
from ringback_memory.domain.events import Position
from ringback_memory.domain.extraction import names_in
from ringback_memory.domain.slots import normalise, parse
from ringback_memory.domain.state import Entity, State

PLAIN = "name"
_NAMES_PER_TURN = 6
_LETTERS_LEAST = 2


def with_mentions(state: State, text: str, *, position: Position) -> State:
    """`state` with the names that `text` mentions."""
    names = names_in(text)[:_NAMES_PER_TURN]
    return _with(state, ((name, PLAIN) for name in names), position) if names else state


def with_slot_entities(state: State, before: State, *, position: Position) -> State:
    """`state` with the names and ids that slots took since `before`."""
    if state.slots is before.slots:
        return state
    found = []
    for slot in state.slots.values():
        if slot.position != position or before.slots.get(slot.name) == slot:
            continue
        value = parse(slot.value_json)
        if isinstance(value, str) and _is_name(value):
            found.append((value, slot.name.rsplit(".", 1)[-1]))
    return _with(state, found, position) if found else state


def newest_entities(state: State) -> list[Entity]:
    """Entities, the one mentioned last first."""
    return sorted(state.entities.values(), key=lambda one: (one.position, one.name), reverse=True)


def _with(state: State, found: Iterable[tuple[str, str]], position: Position) -> State:
    entities = dict(state.entities)
    for name, kind in found:
        key = limits.clip(normalise(name), limits.ENTITY_NAME_BYTES_MAX)
        known = entities.get(key)
        if known is None:
            shown = limits.clip(name, limits.ENTITY_NAME_BYTES_MAX)
            entities[key] = Entity(shown, kind, 1, position)
        else:
            better = kind if known.kind == PLAIN else known.kind
            entities[key] = replace(known, kind=better, mentions=known.mentions + 1, position=position)
    if len(entities) == len(state.entities) and entities == state.entities:
        return state
    while len(entities) > limits.ENTITIES_MAX:
        del entities[
            min(entities, key=lambda one: (entities[one].kind != PLAIN, entities[one].position, one))
        ]
    return replace(state, entities=entities)


def _is_name(value: str) -> bool:
    """A word that begins like a name, or a code with digits; no sentence, no flag, no date."""
    if not _LETTERS_LEAST <= len(value) <= limits.ENTITY_NAME_BYTES_MAX or value.count(" ") > 4:
        return False
    has_digit = any(char.isdigit() for char in value)
    code = has_digit and len(value) >= 4 and value.replace("-", "").isalnum() and value.count("-") < 2
    return value[0].isupper() or code
