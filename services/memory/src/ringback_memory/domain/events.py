"""Owns the facts that memory folds: one frozen struct per event body, already clipped to the limits.

`Other` stands for a body that this version does not know: it keeps its place in the order and changes
nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

NEWEST_SCHEMA = 1


class Position(NamedTuple):
    """Where a fact stands in its session: (epoch, seq), compared in that order."""

    epoch: int = 0
    seq: int = 0


START = Position()
"""Before the first fact."""


class Started(msgspec.Struct, frozen=True, tag="started", array_like=True, gc=False):
    pack: str = ""
    pack_digest: str = ""
    bundle_digest: str = ""
    caller_id: str = ""


class CallerSpoke(msgspec.Struct, frozen=True, tag="caller", array_like=True, gc=False):
    """`confidence` is None where the provider gives none; `audio_ms` 0 for typed text."""

    item_id: str
    text: str
    confidence: float | None = None
    audio_ms: int = 0
    failed: bool = False
    typed: bool = False


class AgentSpoke(msgspec.Struct, frozen=True, tag="agent", array_like=True, gc=False):
    """`said` is what was generated, `heard` what the caller can have heard of it."""

    item_id: str
    said: str
    heard: str
    audio_ms: int = 0
    heard_ms: int = 0
    kind: str = "reply"


class Interrupted(msgspec.Struct, frozen=True, tag="interrupted", array_like=True, gc=False):
    item_id: str
    heard_ms: int = 0


class ActionRequested(msgspec.Struct, frozen=True, tag="requested", array_like=True, gc=False):
    action_id: str
    call_id: str
    tool: str
    arguments_json: str
    side_effect: str = ""
    attached: bool = False


class ActionDecided(msgspec.Struct, frozen=True, tag="decided", array_like=True, gc=False):
    decision_id: str
    gate: str
    action_id: str
    tool: str
    effect: str
    rule: str = ""
    layer: str = ""
    reason: str = ""
    fallback: bool = False


class ActionProgressed(msgspec.Struct, frozen=True, tag="progressed", array_like=True, gc=False):
    action_id: str
    stage: str
    attempt: int = 0


class ActionFinished(msgspec.Struct, frozen=True, tag="finished", array_like=True, gc=False):
    """`status` is ok, failed, unknown or not_started."""

    action_id: str
    tool: str
    status: str
    result_json: str = ""
    error_code: str = ""
    message: str = ""
    arguments_json: str = ""
    side_effect: str = ""


class ConsentAsked(msgspec.Struct, frozen=True, tag="asked", array_like=True, gc=False):
    consent_id: str
    action_id: str
    read_back: str
    expires_at_ms: int = 0
    round: int = 1


class ConsentAnswered(msgspec.Struct, frozen=True, tag="answered", array_like=True, gc=False):
    """`reading` is yes, no, correction, unclear or void."""

    consent_id: str
    action_id: str
    reading: str
    utterance: str = ""
    confidence: float | None = None


class FactsFetched(msgspec.Struct, frozen=True, tag="facts", array_like=True, gc=False):
    name: str
    tool: str
    arguments_json: str
    value_json: str
    ttl_ms: int = 0


class SlotNote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    value_json: str
    source: str = "agent"
    confidence: float = 1.0
    ttl_ms: int = 0


class SlotsChanged(msgspec.Struct, frozen=True, tag="slots", array_like=True, gc=False):
    slots: tuple[SlotNote, ...] = ()


class TaskOpened(msgspec.Struct, frozen=True, tag="task", array_like=True, gc=False):
    task_id: str
    title: str
    kind: str = "request"
    owed_by: str = "agent"
    reason: str = ""
    action_id: str = ""


class TaskClosed(msgspec.Struct, frozen=True, tag="task_closed", array_like=True, gc=False):
    task_id: str
    outcome: str = "done"


class HandedOff(msgspec.Struct, frozen=True, tag="handed_off", array_like=True, gc=False):
    from_agent: str
    to_agent: str
    reason: str = ""


class HandoffRefused(msgspec.Struct, frozen=True, tag="handoff_refused", array_like=True, gc=False):
    from_agent: str
    asked_for: str
    outcome: str = ""


class Consulted(msgspec.Struct, frozen=True, tag="consulted", array_like=True, gc=False):
    """A text agent was asked; its answer is heard as a turn of the agent."""

    agent: str
    outcome: str = ""


class Escalated(msgspec.Struct, frozen=True, tag="escalated", array_like=True, gc=False):
    reason: str = ""
    rule: str = ""


class Compacted(msgspec.Struct, frozen=True, tag="compacted", array_like=True, gc=False):
    """The session applied a plan: these items and calls left the model's conversation."""

    epoch: int
    covers: Position
    item_ids: tuple[str, ...] = ()
    call_ids: tuple[str, ...] = ()
    summary: str = ""
    """The plan's summary; empty: the embedded one is made here."""


class Rotated(msgspec.Struct, frozen=True, tag="rotated", array_like=True, gc=False):
    reason: str = ""
    generation: int = 0


class Resumed(msgspec.Struct, frozen=True, tag="resumed", array_like=True, gc=False):
    previous_epoch: int = 0


class Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True, gc=False):
    reason: str = ""


class Other(msgspec.Struct, frozen=True, tag="other", array_like=True, gc=False):
    """A body of an unknown kind."""


Body = (
    Started
    | CallerSpoke
    | AgentSpoke
    | Interrupted
    | ActionRequested
    | ActionDecided
    | ActionProgressed
    | ActionFinished
    | ConsentAsked
    | ConsentAnswered
    | FactsFetched
    | SlotsChanged
    | TaskOpened
    | TaskClosed
    | HandedOff
    | HandoffRefused
    | Consulted
    | Escalated
    | Compacted
    | Rotated
    | Resumed
    | Ended
    | Other
)


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One fact of one call, by its owner's clock (`at_ms`, Unix)."""

    position: Position
    at_ms: int
    body: Body
    agent: str = ""
    schema_version: int = NEWEST_SCHEMA
    size_bytes: int = 0


class LateFact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What another service learnt after its answer; ordered by (producer, producer_seq)."""

    producer: str
    producer_seq: int
    at_ms: int
    outcome: ActionFinished | None
