"""Owns how evidence becomes a slot: which value wins, what it supersedes, and when it counts as a correction.

The newest value wins, with one exception: a guess from the transcript does not displace what a tool
returned or what the caller confirmed in a read-back, unless the caller was plainly correcting something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from ringback_memory.domain import limits
from ringback_memory.domain.events import Position
from ringback_memory.domain.state import TRUSTED_SOURCES, Old, Slot, State

DISPLACES_TRUSTED = 0.75
"""Least confidence at which a value from the transcript replaces a trusted one."""

AGENT_CONFIDENCE = 0.8
READ_BACK_CONFIDENCE = 0.99
TOOL_CONFIDENCE = 1.0

_RANK = {"agent": 0, "caller": 1, "tool": 2, "read_back": 3}
_SPACES = re.compile(r"\s+")
_DEPTH_MAX = 3


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One value for one slot, not yet weighed."""

    name: str
    value: Any
    source: str
    confidence: float
    ttl_ms: int = 0


def with_evidence(
    state: State, evidence: Evidence, *, position: Position, at_ms: int, correcting: bool
) -> State:
    """`state` after weighing one piece of evidence made at `position`."""
    value_json = to_json(evidence.value, bytes_max=limits.SLOT_VALUE_BYTES_MAX)
    name = limits.clip(evidence.name, limits.NAME_BYTES_MAX)
    if value_json is None or not name:
        return state
    new = Slot(
        name=name,
        value_json=value_json,
        normalised=limits.clip(normalise(evidence.value), limits.SLOT_VALUE_BYTES_MAX),
        source=evidence.source if evidence.source in _RANK else "agent",
        position=position,
        confidence=min(1.0, max(0.0, evidence.confidence)),
        at_ms=at_ms,
        ttl_ms=max(0, evidence.ttl_ms),
    )
    old = state.slots.get(name)
    if old is None:
        return _put(state, new)
    if old.normalised == new.normalised:
        return _put(state, _reaffirmed(old, new))
    if not _displaces(old, new, correcting=correcting):
        return state
    was = Old(limits.clip(old.value_json, limits.SUPERSEDED_VALUE_BYTES_MAX), old.position)
    superseded = (was, *old.superseded[: limits.SUPERSEDED_MAX - 1])
    state = _put(state, msgspec.structs.replace(new, superseded=superseded))
    if correcting and new.source != "tool":
        return with_correction(state, f"{name}: {old.value_json} → {new.value_json}")
    return state


def with_correction(state: State, line: str) -> State:
    """`state` with one more correction; the oldest goes when there are too many."""
    line = limits.clip(line, limits.LABEL_BYTES_MAX)
    kept = tuple(one for one in state.corrections if one != line)
    return msgspec.structs.replace(state, corrections=(*kept, line)[-limits.CORRECTIONS_MAX :])


def leaves(value: Any, *, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The scalars, and short lists of scalars, inside a JSON value, named by their path."""
    if isinstance(value, Mapping):
        if depth < _DEPTH_MAX:
            for key, inner in value.items():
                yield from leaves(inner, prefix=f"{prefix}.{key}" if prefix else str(key), depth=depth + 1)
    elif isinstance(value, list):
        if (
            value
            and len(value) <= limits.SUPERSEDED_MAX
            and not any(isinstance(v, dict | list) for v in value)
        ):
            yield prefix, value
    elif value is not None and prefix:
        yield prefix, value


def parse(text: str) -> Any:
    """The JSON value of `text`, or None when it is not JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def to_json(value: Any, *, bytes_max: int) -> str | None:
    """Compact JSON of `value`; a long string is cut; None for anything else that does not fit."""
    if isinstance(value, str):
        value = limits.clip(value, bytes_max // 2)
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text.encode("utf-8", "replace")) <= bytes_max else None


def normalise(value: Any) -> str:
    """The form in which two values are compared: case, spacing and number spelling do not count."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(normalise(one) for one in value)
    if isinstance(value, str):
        return _held(value) if len(value) <= _HELD_CHARS_MAX else _normalised(value)
    return str(value)


def _normalised(value: str) -> str:
    text = _SPACES.sub(" ", value).strip(" .,;:!?'\"").casefold()
    return text.replace(" ", "").replace("-", "") if _reads_as_code(value) else text


_HELD_CHARS_MAX = 128
# One value comes several times: as said, as an argument, in a result.
_held = lru_cache(maxsize=1_024)(_normalised)


def _reads_as_code(text: str) -> bool:
    """An id written in groups ("EHGLP 3", "555-01 42") is the same id without the gaps."""
    plain = text.isupper() or not any(c.isalpha() for c in text)
    return plain and any(c.isdigit() for c in text) and all(c.isalnum() or c in " -" for c in text)


def _reaffirmed(old: Slot, new: Slot) -> Slot:
    stronger = new if _RANK[new.source] >= _RANK[old.source] else old
    return msgspec.structs.replace(
        stronger,
        value_json=old.value_json if stronger is old else new.value_json,
        confidence=max(old.confidence, new.confidence),
        at_ms=max(old.at_ms, new.at_ms),
        ttl_ms=new.ttl_ms or old.ttl_ms,
        superseded=old.superseded,
    )


def _displaces(old: Slot, new: Slot, *, correcting: bool) -> bool:
    if new.position < old.position:
        return False
    if old.source not in TRUSTED_SOURCES or new.source in TRUSTED_SOURCES or correcting:
        return True
    return new.confidence >= DISPLACES_TRUSTED


def _put(state: State, slot: Slot) -> State:
    slots = {**state.slots, slot.name: slot}
    dropped = 0
    while len(slots) > limits.SLOTS_MAX:
        weakest = min(
            (one for one in slots.values() if one.name != slot.name),
            key=lambda one: (_RANK[one.source], one.position, one.name),
        )
        del slots[weakest.name]
        dropped += 1
    if not dropped:
        return msgspec.structs.replace(state, slots=slots)
    counts = msgspec.structs.replace(state.counts, dropped=state.counts.dropped + dropped)
    return msgspec.structs.replace(state, slots=slots, counts=counts)
