"""What policy still judges before it goes on record: the caller's words, what tools returned beside the actions."""

from __future__ import annotations

import msgspec

__all__ = ["ClientOutput", "FactWait", "Heard", "Reading"]


class ClientOutput(msgspec.Struct):
    """What a tool of the client's own returned. The model is told when it has passed, by an item of the client's id."""

    item_id: str
    call_id: str
    tool: str
    output: str
    decision_id: str = ""


class Reading(msgspec.Struct):
    """What a read-only tool returned for a rule. Told to the stream as `kind`, with `body` around the judged value."""

    kind: str
    tool: str
    value_json: str
    body: dict[str, str | int | float]
    # The name under which it is held as a fact; empty: it is none.
    fact: str = ""
    decision_id: str = ""


class FactWait(msgspec.Struct):
    """A question for which facts were fetched, once; while some are awaited under its decision's id."""

    decision_id: str
    awaited: list[str]


class Heard(msgspec.Struct):
    """What the caller said in one turn."""

    item_id: str
    text: str
    turn_id: str
    confidence: float | None = None
    audio_start_ms: int = 0
    audio_end_ms: int = 0
    failed: bool = False
    typed: bool = False
    decision_id: str = ""
