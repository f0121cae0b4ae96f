"""A conversation as a brain sees it: what was said, called and returned, in order, and what it may do now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AssistantSaid",
    "Call",
    "CallMade",
    "CallReturned",
    "Context",
    "Entry",
    "Say",
    "SystemNote",
    "UserSaid",
]


@dataclass(frozen=True, slots=True)
class UserSaid:
    text: str


@dataclass(frozen=True, slots=True)
class AssistantSaid:
    """Only the words that were heard: truncation has removed the rest."""

    text: str


@dataclass(frozen=True, slots=True)
class SystemNote:
    text: str


@dataclass(frozen=True, slots=True)
class CallMade:
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallReturned:
    call_id: str
    output: str


Entry = UserSaid | AssistantSaid | SystemNote | CallMade | CallReturned


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a reply may rest on.

    ``own_instructions`` are those of this response alone; ``tools`` is empty when calling is not allowed;
    ``must_call`` names a tool that has to be called, ``"*"`` any.
    """

    entries: Sequence[Entry]
    session_instructions: str = ""
    own_instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    must_call: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """``arguments`` is a JSON object as text."""

    name: str
    arguments: str
