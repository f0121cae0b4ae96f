"""What can happen to the call's agents and to what is remembered of its caller; part of `inputs.Input`."""

from __future__ import annotations

import msgspec

from ringback_session.domain.agents import AgentCard

__all__ = ["AgentInput", "AgentReady"]


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class AgentReady(_Input, frozen=True):
    """An agent's instructions and tools; None when they could not be had. `context` is memory's, for its eyes."""

    ask_id: str
    card: AgentCard | None
    context: str = ""


AgentInput = AgentReady
