"""Owns the choice of a connector by its kind; a bug in one ends its attempt, not the service."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect, Tool
from ringback_tools.domain.checking import caution
from ringback_tools.domain.results import Answer, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["Connector", "ConnectorsByKind", "no_address"]

_log = logging.getLogger(__name__)


class Connector(Protocol):
    """One way to reach systems."""

    async def call(self, call: Call) -> Answer:
        """Run one attempt."""

    def lacking(self, spec: ConnectorSpec) -> str:
        """Why such a call could not go out now: what is not set, a server not there. Empty if it could; asks nobody."""

    def described(self, call: Call) -> str:
        """Where the call goes, for an operator: no secret in it."""

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Do beforehand what the first call need not wait for; what takes long goes on in the background."""

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
        """Why such a call could not go out now."""
        connector = self._connectors.get(spec.kind)
        return connector.lacking(spec) if connector else f"no connector of kind {spec.kind} here"

    def described(self, call: Call) -> str:
        """Where the call goes."""
        connector = self._connectors.get(call.spec.kind)
        return connector.described(call) if connector else ""

    async def prepare(self, tools: Iterable[Tool]) -> None:
        """Get ready for these tools, and log of which writes nobody could find out what became of them."""
        specs: dict[str, list[ConnectorSpec]] = {}
        for tool in tools:
            specs.setdefault(tool.connector.kind, []).append(tool.connector)
            if tool.check and (lacks := self.lacking(tool.check.connector)):
                _log.warning("%s %s: %s", tool.name, tool.version, caution(tool, check_lacks=lacks))
        for kind in sorted(specs.keys() & self._connectors.keys()):
            await self._connectors[kind].prepare(specs[kind])

    async def close(self) -> None:
        """Close every connector."""
        for connector in self._connectors.values():
            await connector.close()


def no_address(reference: str) -> Failed:
    """The answer where an operator has set no address for what a pack names."""
    setting = f"RINGBACK_CONNECTOR_{reference.upper()}"
    detail = f"no address is set for connector {reference} ({setting})"
    return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
