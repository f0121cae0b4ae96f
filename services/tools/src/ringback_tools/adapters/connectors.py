"""Owns the choice of a connector by its kind; a bug in one ends its attempt, not the service."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from ringback_tools.domain.catalogue import SideEffect
from ringback_tools.domain.results import Answer, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["Connector", "ConnectorsByKind"]

_log = logging.getLogger(__name__)


class Connector(Protocol):
    """One way to reach systems."""

    async def call(self, call: Call) -> Answer:
        """Run one attempt."""

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
            detail = f"no connector of kind {call.spec.kind} here"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
        try:
            return await connector.call(call)
        except Exception as error:
            # Its text may hold anything, so only the class goes on; the log has the rest.
            _log.exception("connector %s failed", call.spec.kind)
            in_doubt = call.side_effect is not SideEffect.READ
            return Failed(ErrorCode.INTERNAL, in_doubt=in_doubt, detail=type(error).__name__)

    async def close(self) -> None:
        """Close every connector."""
        for connector in self._connectors.values():
            await connector.close()
