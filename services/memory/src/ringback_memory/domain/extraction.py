"""Owns the embedded extractor: which slots a caller's utterance fills, read by the pack's schemas alone.

Deterministic and without a model or a network. It prefers silence to a guess: what it cannot type it leaves
to the tool arguments, which come later and are stronger.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from ringback_spoken import read_id

from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema, SlotSpec, schema_of_tools, words_of
from ringback_memory.domain.state import State

__all__ = ["EMPTY_SCHEMA", "Found", "SlotSchema", "SlotSpec", "read_caller", "schema_of_tools"]

TEXT_CHARS_MAX = 1_000
"""Longer utterances are read to here only."""


class Found(msgspec.Struct, frozen=True):
    """One value heard for one slot."""

    name: str
    value: Any
    confidence: float


def read_caller(schema: SlotSchema, text: str, *, question: str, state: State) -> tuple[Found, ...]:
    """What an utterance of the caller, after `question` of the agent, says about the slots of `schema`."""
    text = text[:TEXT_CHARS_MAX]
    asked = words_of(question) if question.rstrip().endswith("?") else frozenset()
    found = []
    for spec in schema.slots:
        value = _read(spec, text)
        if value is not None:
            confidence = 0.9 if spec.words & asked else 0.7
            found.append(Found(spec.name, value, confidence))
    return tuple(found)


def _read(spec: SlotSpec, text: str) -> Any:
    match spec.kind:
        case "code" if spec.pattern:
            return read_id(text, pattern=spec.pattern)
        case "category":
            return _category(spec, text.casefold())
        case _:
            return None


def _category(spec: SlotSpec, folded: str) -> str | None:
    for value in spec.values:
        phrase = value.replace("_", " ").casefold()
        if re.search(rf"\b{re.escape(phrase)}\b", folded):
            return value
    return None
