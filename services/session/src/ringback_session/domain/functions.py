"""The functions that the platform itself offers to the model: hand-overs with their contracts, consulting, notes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ringback_session.domain.agents import AgentOutline, Contract
from ringback_session.domain.rules import SideEffect, Tool

__all__ = ["CONSULT", "HAND_OVER", "NOTE", "is_platform_function", "made_for"]

HAND_OVER: Final = "hand_over_to_"
CONSULT: Final = "consult_supervisor"
NOTE: Final = "note"
# For the model these are functions like any other; their arguments are data that goes to the agent or into memory.
TEXT_CHARS_MAX: Final = 600


def is_platform_function(name: str) -> bool:
    """Whether a function of this name is the platform's own."""
    return name in (CONSULT, NOTE) or name.startswith(HAND_OVER)


def made_for(outline: AgentOutline, *, consults: bool) -> dict[str, Tool]:
    """The functions of an agent; `consults`: is there a text model to ask?"""
    found = [_handoff(contract) for contract in outline.contracts]
    if outline.consult is not None and consults:
        found.append(_consult(outline.consult.when))
    if outline.notes:
        found.append(_note())
    return {function.name: function for function in found}


def _handoff(contract: Contract) -> Tool:
    properties: dict[str, Any] = {name: msgspec.json.decode(text) for name, text in contract.slots.items()}
    properties["reason"] = _text("Why this colleague should take over, in a few words.")
    properties["summary"] = _text(
        "What the caller wants and what has been found out and done so far, for the colleague who takes over."
    )
    return _function(
        f"{HAND_OVER}{contract.to}",
        f"Hand the call over to the colleague {contract.to.replace('_', ' ')}. When: {contract.when}",
        properties,
        required=[*contract.required, "reason", "summary"],
        target=contract.to,
    )


def _consult(when: str) -> Tool:
    return _function(
        CONSULT,
        f"Ask a supervisor, who can look things up, and pass the answer on to the caller. When: {when}",
        {
            "question": _text("What you need to know, complete in itself."),
            "context": _text("What the caller said that matters for the answer."),
        },
        required=["question"],
    )


def _note() -> Tool:
    return _function(
        NOTE,
        "Record a value for the rest of the call. Name preference.<name> for what the caller wants to be kept for "
        "later calls too, memory_consent (true or false) for whether they want anything kept at all; null takes a "
        "note back.",
        {
            "name": {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$"},
            "value": {
                "type": ["string", "number", "boolean", "null"],
                "maxLength": TEXT_CHARS_MAX,
            },
            "said_by": {
                "enum": ["caller", "agent"],
                "default": "agent",
                "description": "caller: in the caller's own words; agent: as you understood it.",
            },
        },
        required=["name", "value"],
    )


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": TEXT_CHARS_MAX, "description": description}


def _function(
    name: str, description: str, properties: dict[str, Any], *, required: list[str], target: str = ""
) -> Tool:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }
    return Tool(
        name=name,
        version="1.0",
        description=description,
        parameters_json=msgspec.json.encode(schema).decode(),
        side_effect=SideEffect.READ,
        deadline_ms=10_000,
        platform=True,
        target=target,
    )
