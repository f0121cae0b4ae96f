"""Who may hold the call: an agent as its pack outlines it, the agent that holds it, and a hand-over under way.

An outline is what a pack says; a card is what a call needs to change its agent: composed instructions, tools, and the
functions made from the outline. Every list has a stated bound.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ringback_session.domain.consultation import Consultation, ConsultPhase, ConsultRules
from ringback_session.domain.rules import Tool

__all__ = [
    "CHAIN_MAX",
    "HOPS_PER_CALL_MAX",
    "HOPS_PER_TURN_MAX",
    "AgentCard",
    "AgentOutline",
    "Contract",
    "Graph",
    "Handoff",
    "HandoffPhase",
    "Team",
]

CHAIN_MAX = 17
# Agents that hand the caller around without the caller having said a word: a loop.
HOPS_PER_TURN_MAX = 2
HOPS_PER_CALL_MAX = 24


class Contract(msgspec.Struct, frozen=True):
    """One edge: to whom, when, and the values that go along (name → JSON Schema)."""

    to: str
    when: str
    slots: dict[str, str] = {}
    required: tuple[str, ...] = ()


class AgentOutline(msgspec.Struct, frozen=True):
    """An agent as its pack declares it."""

    name: str
    greeting: str = ""
    takeover: str = ""
    voice: str = ""
    speaks: bool = True
    notes: bool = False
    contracts: tuple[Contract, ...] = ()
    consult: ConsultRules | None = None


class Graph(msgspec.Struct, frozen=True):
    """A pack's agents and who takes the call when a hand-over cannot be made."""

    outlines: dict[str, AgentOutline] = {}
    generalist: str = ""
    depth_max: int = 4


class AgentCard(msgspec.Struct, frozen=True):
    """An agent, ready to hold the call."""

    outline: AgentOutline
    instructions: str
    tools: dict[str, Tool]

    @property
    def name(self) -> str:
        return self.outline.name


class HandoffPhase(StrEnum):
    """Where a hand-over stands; it leaves the state when it is done."""

    DECIDING = "deciding"
    FETCHING = "fetching"


class Handoff(msgspec.Struct):
    """The model wants another agent to hold the call."""

    handoff_id: str
    asked_for: str
    to: str
    reason: str
    summary: str
    slots_json: str
    requested_at_ms: int
    call_ids: list[str]
    phase: HandoffPhase = HandoffPhase.DECIDING
    decision_id: str = ""
    fact_rounds: int = 0
    facts_awaited: list[str] = []
    # Why the generalist takes the call instead of the one asked for; empty while that one may.
    instead: str = ""
    rule: str = ""


class Team(msgspec.Struct):
    """The call's agents: who held it, who may, and what is being arranged."""

    generalist: str = ""
    depth_max: int = 4
    # From the first agent to the one that holds the call now.
    chain: list[str] = []
    met: list[str] = []
    consult: ConsultRules | None = None
    # Kept so that the call can fall back to it while nobody else can be reached.
    held: AgentCard | None = None
    handoff: Handoff | None = None
    consultation: Consultation | None = None
    # Calls of consultations that are over before their tools: call → tool.
    late_calls: dict[str, str] = {}
    # What operators have switched off, by `name` or `name@MAJOR.MINOR`.
    tools_off: list[str] = []
    hops: int = 0
    hops_in_turn: int = 0
    hops_turn: int = 0

    @property
    def thinking(self) -> bool:
        """Is a supervisor thinking? While its tools run, these are what is waited for."""
        return self.consultation is not None and self.consultation.phase is not ConsultPhase.ACTING

    @property
    def depth(self) -> int:
        """Agents nested below the first one."""
        return max(0, len(self.chain) - 1)

    def depth_with(self, agent: str) -> int:
        """How deep the call is nested once `agent` holds it: going back to one of the chain unwinds to it."""
        return self.chain.index(agent) if agent in self.chain else len(self.chain)

    def moved_to(self, agent: str, *, turn: int) -> None:
        """`agent` holds the call now."""
        if agent in self.chain:
            del self.chain[self.chain.index(agent) + 1 :]
        else:
            self.chain.append(agent)
            del self.chain[:-CHAIN_MAX]
        if agent not in self.met:
            self.met.append(agent)
        self.hops += 1
        self.hops_in_turn = self.hops_in_turn + 1 if self.hops_turn == turn else 1
        self.hops_turn = turn

    def looping(self, turn: int) -> bool:
        """Was the caller handed around too often?"""
        in_turn = self.hops_in_turn if self.hops_turn == turn else 0
        return in_turn >= HOPS_PER_TURN_MAX or self.hops >= HOPS_PER_CALL_MAX
