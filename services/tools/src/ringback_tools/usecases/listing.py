"""Owns ListTools: what an agent may use, and what of it can be had now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringback_tools.domain.catalogue import Tool, visible
from ringback_tools.domain.checking import caution
from ringback_tools.ports import Catalogue, Connectors
from ringback_tools.usecases.breakers import Breakers
from ringback_tools.usecases.switches import Switches

__all__ = ["Listing", "Offer"]

REASON_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool, why it cannot be had, if it cannot, and what an operator should know of it, if anything."""

    tool: Tool
    unavailable_reason: str = ""
    caution: str = ""


class Listing:
    """Lists tools."""

    def __init__(
        self, *, catalogue: Catalogue, connectors: Connectors, breakers: Breakers, switches: Switches
    ) -> None:
        self._catalogue = catalogue
        self._connectors = connectors
        self._switches = switches
        self._breakers = breakers

    async def list(self, *, pack_digest: str, agent: str, scopes: Iterable[str]) -> list[Offer]:
        """What this agent may use with these scopes; raises NotFound for an unknown pack or agent."""
        allowed = await self._catalogue.agent_tools(pack_digest, agent)
        tools = visible(await self._catalogue.tools(pack_digest), allowed=allowed, scopes=scopes)
        return [Offer(tool, self._reason(tool), self._caution(tool)) for tool in tools]

    def open_breakers(self) -> tuple[str, ...]:
        """Dependencies that are refused now."""
        return self._breakers.open()

    def _reason(self, tool: Tool) -> str:
        off = self._switches.why_off(tool)
        if off is not None:
            return f"switched off: {off}"[:REASON_CHARS_MAX]
        if lacking := self._connectors.lacking(tool.connector):
            return lacking[:REASON_CHARS_MAX]
        return f"{tool.dependency} does not answer" if tool.dependency in self._breakers.open() else ""

    def _caution(self, tool: Tool) -> str:
        lacks = self._connectors.lacking(tool.check.connector) if tool.check else ""
        return caution(tool, check_lacks=lacks)[:REASON_CHARS_MAX]
