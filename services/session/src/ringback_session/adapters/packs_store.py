"""What session needs of a pack, from the object store `packs`."""

from __future__ import annotations

import msgspec
from ringback_packs import Agent, Consult, Pack, PackStore

from ringback_session.domain.agents import AgentOutline, Contract, Graph
from ringback_session.domain.consultation import ConsultRules
from ringback_session.ports import PackInfo

__all__ = ["PacksInStore"]


class PacksInStore:
    """Implements `ports.Packs`."""

    def __init__(self, store: PackStore) -> None:
        self._store = store

    async def resolve(self, name: str) -> PackInfo:
        return await self.pinned(await self._store.resolve(name))

    async def pinned(self, digest: str) -> PackInfo:
        pack = await self._store.get(digest)
        return PackInfo(
            name=pack.name,
            digest=digest,
            default_agent=pack.default_agent,
            agents={agent.name: agent.greeting for agent in pack.agents},
            client_tools=pack.client.tools,
            client_instructions=pack.client.instructions,
            graph=_graph(pack),
        )


def _graph(pack: Pack) -> Graph:
    return Graph(
        outlines={agent.name: _outline(agent) for agent in pack.agents},
        generalist=pack.generalist,
        depth_max=pack.handoff_depth_max,
    )


def _outline(agent: Agent) -> AgentOutline:
    contracts = tuple(
        Contract(
            to=handoff.to,
            when=handoff.when,
            slots={name: msgspec.json.encode(schema).decode() for name, schema in handoff.slots.items()},
            required=handoff.required,
        )
        for handoff in agent.handoffs
    )
    return AgentOutline(
        name=agent.name,
        greeting=agent.greeting,
        takeover=agent.takeover,
        voice=agent.voice,
        speaks=agent.kind == "voice",
        notes=agent.notes,
        contracts=contracts,
        consult=_consult(agent.consult) if agent.consult is not None else None,
    )


def _consult(consult: Consult) -> ConsultRules:
    return ConsultRules(
        agent=consult.agent,
        when=consult.when,
        say=consult.say,
        steps_max=consult.steps_max,
        deadline_ms=consult.deadline_ms,
        to_person=consult.fallback == "person",
    )
