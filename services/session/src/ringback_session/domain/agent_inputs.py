"""What can happen to the call's agents and to what is remembered of its caller; part of `inputs.Input`."""

from __future__ import annotations

import msgspec

from ringback_session.domain.agents import AgentCard
from ringback_session.domain.consultation import TextCall
from ringback_session.domain.known import SlotValue, StaleValue

__all__ = [
    "AgentInput",
    "AgentReady",
    "CompactionPlan",
    "ContextArrived",
    "ContextMissed",
    "Recalled",
    "TextAnswered",
    "ValueRefreshed",
]


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class AgentReady(_Input, frozen=True):
    """An agent's instructions and tools; None when they could not be had. `context` is memory's, for its eyes."""

    ask_id: str
    card: AgentCard | None
    context: str = ""


class CompactionPlan(msgspec.Struct, frozen=True):
    """What memory offers to fold: these items go, `compact_context` takes their place at the head."""

    epoch: int
    covers_epoch: int
    covers_seq: int
    item_ids: tuple[str, ...]
    call_ids: tuple[str, ...]
    compact_context: str
    summary: str = ""


class ContextArrived(_Input, frozen=True):
    """What memory holds now: slots for policy's view, and perhaps a plan to make the conversation smaller."""

    slots: tuple[SlotValue, ...]
    as_of: tuple[int, int] = (0, 0)
    plan: CompactionPlan | None = None
    stale: tuple[StaleValue, ...] = ()


class ContextMissed(_Input, frozen=True):
    """Memory is away, or did not catch up in time."""


class Recalled(_Input, frozen=True):
    """What earlier calls of this caller left, ready to be put before the model; empty when there is nothing."""

    text: str


class TextAnswered(_Input, frozen=True):
    """The text model's answer to request `number` of a consultation: words, or calls of tools, or none (`error`).

    error: deadline, unavailable or unusable.
    """

    consult_id: str
    number: int
    text: str = ""
    calls: tuple[TextCall, ...] = ()
    error: str = ""
    # `cached_tokens` of the input cost less.
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    model: str = ""


class ValueRefreshed(_Input, frozen=True):
    """A reading tool was run again for a value that was out of date."""

    refresh_id: str
    ok: bool
    data_json: str = ""


AgentInput = AgentReady | ContextArrived | ContextMissed | Recalled | TextAnswered | ValueRefreshed
