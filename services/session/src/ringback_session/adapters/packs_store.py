"""What session needs of a pack, from the object store `packs`."""

from __future__ import annotations

from ringback_packs import PackStore

from ringback_session.ports import PackInfo

__all__ = ["PacksInStore"]


class PacksInStore:
    """Implements `ports.Packs`."""

    def __init__(self, store: PackStore) -> None:
        self._store = store

    async def resolve(self, name: str) -> PackInfo:
        digest = await self._store.resolve(name)
        pack = await self._store.get(digest)
        return PackInfo(
            name=pack.name,
            digest=digest,
            default_agent=pack.default_agent,
            agents={agent.name: agent.greeting for agent in pack.agents},
            client_tools=pack.client.tools,
            client_instructions=pack.client.instructions,
        )
