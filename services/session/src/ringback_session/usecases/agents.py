"""Agents as a call needs them: instructions composed by policy, tools, and the functions of the pack's graph."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from ringback_errors import NotFound

from ringback_session.domain.agents import AgentCard, AgentOutline, Graph, Team
from ringback_session.domain.effects import AskText
from ringback_session.domain.functions import made_for
from ringback_session.domain.inputs import TextAnswered
from ringback_session.domain.rules import Tool
from ringback_session.ports import Packs, Pinned, Policy, TextModel, Tools

__all__ = ["Agents", "team_of"]


class Agents:
    """Without a text model nobody can be consulted: the function is not offered."""

    def __init__(self, *, policy: Policy, tools: Tools, packs: Packs, text: TextModel | None) -> None:
        self._policy = policy
        self._tools = tools
        self._packs = packs
        self._text = text

    async def first(self, pinned: Pinned, graph: Graph) -> tuple[AgentCard, tuple[str, ...]]:
        """The agent that answers the call (nameless in a pack without agents), and the open breakers.

        Raises Unavailable, NotFound.
        """
        outline = graph.outlines.get(pinned.agent, AgentOutline(name=pinned.agent))
        instructions, (tools, breakers) = await asyncio.gather(
            self._instructions(pinned), self._tools.list(pinned)
        )
        return self._card(outline, instructions, tools), breakers

    async def card(self, pinned: Pinned, agent: str) -> AgentCard:
        """Another agent of the pinned pack. Raises Unavailable, NotFound."""
        graph = (await self._packs.pinned(pinned.pack_digest)).graph
        if agent not in graph.outlines:
            raise NotFound("the pack has no such agent", field="agent")
        card, _ = await self.first(msgspec.structs.replace(pinned, agent=agent), graph)
        return card

    async def answer(self, question: AskText) -> TextAnswered:
        """The text model's answer; none on a replica that has no text model."""
        if self._text is None:
            return TextAnswered(consult_id=question.consult_id, number=question.number, error="unavailable")
        return await self._text.answer(question)

    async def _instructions(self, pinned: Pinned) -> str:
        return await self._policy.instructions(pinned) if pinned.agent else ""

    def _card(self, outline: AgentOutline, instructions: str, tools: dict[str, Tool]) -> AgentCard:
        functions = made_for(outline, consults=self._text is not None)
        return AgentCard(outline=outline, instructions=instructions, tools={**tools, **functions})


def team_of(graph: Graph, first: AgentCard, *, tools_off: Sequence[str] = ()) -> Team:
    """The team at the start of a call."""
    named = [first.name] if first.name else []
    return Team(
        generalist=graph.generalist,
        depth_max=graph.depth_max,
        chain=list(named),
        met=list(named),
        consult=first.outline.consult,
        held=first if first.name and first.name == graph.generalist else None,
        tools_off=list(tools_off),
    )
