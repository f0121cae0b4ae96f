"""Owns the choice of a connector by its kind; a bug in one ends its attempt, not the service."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answer, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["Connector", "ConnectorsByKind", "no_address"]

_log = logging.getLogger(__name__)


class Connector(Protocol):
    """One way to reach systems."""

    async def call(self, call: Call) -> Answer:
        """Run one attempt."""

    def lacking(self, spec: ConnectorSpec) -> str:
        """What an operator must set before such a call can go out, empty if nothing; asks nobody."""

    async def prepare(self) -> None:
        """Do beforehand what the first call need not wait for; a pack that is there names this kind."""

    async def close(self) -> None:
        """Let go of connections."""


class ConnectorsByKind:
    """All connectors of the service."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        self._connectors = connectors

    async def call(self, call: Call) -> Answer:
        """Run one attempt with the connector that the tool declares."""
        connector = self._connectors.get(call.spec.kind)
        if connector is None:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=self.lacking(call.spec))
        try:
            return await connector.call(call)
        except Exception as error:
            # Its text may hold anything, so only the class goes on; the log has the rest.
            _log.exception("connector %s failed", call.spec.kind)
            in_doubt = call.side_effect is not SideEffect.READ
            return Failed(ErrorCode.INTERNAL, in_doubt=in_doubt, detail=type(error).__name__)

    def lacking(self, spec: ConnectorSpec) -> str:
        """What an operator must set before such a call can go out."""
        connector = self._connectors.get(spec.kind)
        return connector.lacking(spec) if connector else f"no connector of kind {spec.kind} here"

    async def prepare(self, kinds: Iterable[str]) -> None:
        """Get ready for calls of these kinds."""
        for kind in sorted(set(kinds) & set(self._connectors)):
            await self._connectors[kind].prepare()

    async def close(self) -> None:
        """Close every connector."""
        for connector in self._connectors.values():
            await connector.close()


def no_address(reference: str) -> Failed:
    """The answer where an operator has set no address for what a pack names."""
    setting = f"RINGBACK_CONNECTOR_{reference.upper()}"
    detail = f"no address is set for connector {reference} ({setting})"
    return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
