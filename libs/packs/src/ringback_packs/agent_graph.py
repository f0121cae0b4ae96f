"""Reads and checks how a pack's agents are joined: hand-overs and their contracts, text agents, the generalist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

from ringback_packs import forms
from ringback_packs.fields import Fields, Place
from ringback_packs.findings import near
from ringback_packs.model import Agent, Consult, Handoff
from ringback_packs.schemas import read_schema

__all__ = [
    "CONSULT",
    "HAND_OVER",
    "NOTE",
    "check_graph",
    "is_platform_function",
    "read_consult",
    "read_generalist",
    "read_handoffs",
]

# Functions that the platform itself offers to the model; no tool may have such a name.
HAND_OVER: Final = "hand_over_to_"
CONSULT: Final = "consult_supervisor"
NOTE: Final = "note"
FUNCTION_NAME_CHARS_MAX: Final = 64

# What a contract may hold: it is a part of the prompt at every request, and of every session's record.
HANDOFFS_MAX: Final = 12
SLOTS_MAX: Final = 12
SLOT_SCHEMA_CHARS_MAX: Final = 1_000
# Written by the model for every hand-over.
_ALWAYS: Final = ("reason", "summary")


def is_platform_function(name: str) -> bool:
    """Whether the name belongs to a function of the platform."""
    return name in (CONSULT, NOTE) or name.startswith(HAND_OVER)


def read_handoffs(fields: Fields) -> tuple[Handoff, ...]:
    """An agent's `handoffs`: to whom, when, and with which contract."""
    listed = fields.get("handoffs")
    found: list[Handoff] = []
    for place in listed.items(count_max=HANDOFFS_MAX) if listed else ():
        inner = place.fields()
        if inner is None:
            continue
        slots = _slots(inner)
        required = inner.texts("required", count_max=SLOTS_MAX, form="the name of a slot of this hand-over")
        for name in required:
            if name not in slots:
                inner.at("required").error(
                    f"a name among 'slots' expected, got {name!r}{near(name, sorted(slots))}"
                )
        found.append(
            Handoff(
                to=inner.text("to", pattern=forms.NAME, form=forms.NAME_FORM),
                when=inner.text("when", chars_max=500),
                slots=slots,
                required=required,
            )
        )
        inner.done()
    return tuple(found)


def read_consult(fields: Fields) -> Consult | None:
    """An agent's `consult`: which text agent it may ask; None if it may ask nobody."""
    inner = fields.below("consult")
    if inner is None:
        return None
    consult = Consult(
        agent=inner.text("agent", pattern=forms.NAME, form=forms.NAME_FORM),
        when=inner.text("when", chars_max=500),
        steps_max=inner.integer("steps_max", 6, low=1, high=16),
        deadline_ms=inner.integer("deadline_ms", 15_000, low=500, high=120_000),
        fallback=cast(Literal["say", "person"], inner.choice("fallback", ("say", "person"), "say")),
        say=inner.text("say", chars_max=500),
    )
    inner.done()
    return consult


def read_generalist(fields: Fields, agents: Sequence[Agent], default_agent: str) -> str:
    """The pack's `generalist`: who takes the call when a hand-over cannot be made."""
    name = fields.text("generalist", default_agent, pattern=forms.NAME, form=forms.NAME_FORM)
    names = [agent.name for agent in agents if agent.kind == "voice"]
    if name and name != default_agent and name not in names:
        fields.at("generalist").error(
            f"one of {', '.join(names) or 'no agents'} expected, got {name!r}{near(name, names)}"
        )
    return name


def check_graph(fields: Fields, agent: Agent, agents: Sequence[Agent]) -> None:
    """Note what is wrong with how one agent is joined to the others."""
    kinds = {other.name: other.kind for other in agents}
    _check_handoffs(fields, agent, kinds)
    for index, reference in enumerate(agent.tools):
        if is_platform_function(reference.partition("@")[0]):
            fields.at("tools").error(
                f"tools[{index}]: {reference!r} is the name of a function of the platform, another one expected"
            )
    if agent.kind == "text":
        _check_text_agent(fields, agent)
    if agent.consult is not None and kinds.get(agent.consult.agent) != "text":
        names = sorted(name for name, kind in kinds.items() if kind == "text")
        fields.at("consult").error(
            f"agent: an agent of kind text expected, got {agent.consult.agent!r}{near(agent.consult.agent, names)}"
        )


def _check_handoffs(fields: Fields, agent: Agent, kinds: Mapping[str, str]) -> None:
    names = sorted(name for name, kind in kinds.items() if kind == "voice")
    seen: set[str] = set()
    for index, handoff in enumerate(agent.handoffs):
        where = f"handoffs[{index}].to"
        if handoff.to not in names or handoff.to == agent.name:
            fields.at("handoffs").error(
                f"{where}: another agent of this pack expected, got {handoff.to!r}{near(handoff.to, names)}"
            )
        elif handoff.to in seen:
            fields.at("handoffs").error(f"{where}: each agent once expected, got {handoff.to!r} twice")
        elif len(HAND_OVER) + len(handoff.to) > FUNCTION_NAME_CHARS_MAX:
            chars_max = FUNCTION_NAME_CHARS_MAX - len(HAND_OVER)
            fields.at("handoffs").error(
                f"{where}: an agent's name of at most {chars_max} characters expected"
            )
        seen.add(handoff.to)


def _check_text_agent(fields: Fields, agent: Agent) -> None:
    for key, given in (
        ("handoffs", agent.handoffs),
        ("consult", agent.consult),
        ("greeting", agent.greeting),
        ("takeover", agent.takeover),
        ("voice", agent.voice),
        ("notes", agent.notes),
    ):
        if given:
            fields.at(key).error(f"no {key!r} expected for an agent of kind text")


def _slots(fields: Fields) -> dict[str, Mapping[str, Any]]:
    place = fields.below("slots")
    slots: dict[str, Mapping[str, Any]] = {}
    for name, inner in place.entries() if place else ():
        if len(slots) == SLOTS_MAX:
            inner.error(f"at most {SLOTS_MAX} slots expected")
            break
        slots[name] = _slot(name, inner)
    return slots


def _slot(name: str, place: Place) -> Mapping[str, Any]:
    if not forms.NAME.match(name):
        place.error(f"{forms.NAME_FORM} expected, got {name[:60]!r}")
    if name in _ALWAYS:
        place.error(f"a name other than {' and '.join(_ALWAYS)} expected: these are always handed over")
    schema = read_schema(place, must_be_object=False)
    if len(repr(schema)) > SLOT_SCHEMA_CHARS_MAX:
        place.error(f"a schema of at most {SLOT_SCHEMA_CHARS_MAX} characters expected")
    return schema
