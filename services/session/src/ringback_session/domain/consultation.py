"""A consultation: a text agent that was asked by the voice agent, and how far its answer has come."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from ringback_session.domain.rules import Tool

__all__ = [
    "CALLS_PER_STEP_MAX",
    "ConsultPhase",
    "ConsultRules",
    "Consultation",
    "TextCall",
    "TextMessage",
]

CALLS_PER_STEP_MAX = 8


class ConsultRules(msgspec.Struct, frozen=True):
    """Which text agent may be asked, within which bounds, and what is said when no answer comes."""

    agent: str
    when: str
    say: str
    steps_max: int = 6
    deadline_ms: int = 15_000
    to_person: bool = False


class TextCall(msgspec.Struct, frozen=True):
    """A tool that the text model wants run; `call_id` is its own name for it."""

    call_id: str
    name: str
    arguments_json: str


class TextMessage(msgspec.Struct, frozen=True):
    """One message of the conversation with the text model."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    calls: tuple[TextCall, ...] = ()
    call_id: str = ""


class ConsultPhase(StrEnum):
    """Where it stands; it leaves the state when it is over."""

    FETCHING = "fetching"
    ASKING = "asking"
    ACTING = "acting"


class Consultation(msgspec.Struct):
    """One question to a text agent. Its tools pass policy and are run like the voice agent's own."""

    consult_id: str
    rules: ConsultRules
    question: str
    context: str
    requested_at_ms: int
    deadline_at_ms: int
    call_ids: list[str]
    phase: ConsultPhase = ConsultPhase.FETCHING
    tools: dict[str, Tool] = {}
    messages: list[TextMessage] = []
    steps: int = 0
    calls: int = 0
    # Our call ids of the tools under way → the text model's.
    open_calls: dict[str, str] = {}
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
