"""Agents' roles out of the object store of packs."""

from ringback_errors import NotFound
from ringback_packs import PackStore

from ringback_policy.domain.instructions import AgentRole
from ringback_policy.domain.vocabulary import SideEffect

__all__ = ["PackRoles"]

_SIDE_EFFECTS = {"read": SideEffect.READ, "write": SideEffect.WRITE, "irreversible": SideEffect.IRREVERSIBLE}


class PackRoles:
    """Looks agents up in packs, which are immutable by digest and kept by the store."""

    def __init__(self, packs: PackStore) -> None:
        self._packs = packs

    async def role(self, pack_digest: str, agent: str) -> AgentRole:
        """The agent's role, the default agent's without a name; raises NotFound."""
        pack = await self._packs.get(pack_digest)
        found = pack.agent(agent)
        if found is None:
            if agent:
                raise NotFound(f"pack {pack.name} has no such agent", field="agent")
            return AgentRole(name="", role="", pack=pack.name, pack_version=pack.version)
        return AgentRole(
            name=found.name,
            role=found.role,
            pack=pack.name,
            pack_version=pack.version,
            tools={tool.name: _SIDE_EFFECTS[tool.side_effect] for tool in pack.tools_of(found.name)},
            handoffs=tuple(handoff.to for handoff in found.handoffs),
        )
