"""Owns tools.v1 over gRPC: wire types in, wire types out, nothing decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc

from ringback_tools.usecases.erasing import Erasing
from ringback_tools.usecases.executor import Executor
from ringback_tools.usecases.listing import Listing
from ringback_tools.wire import (
    action_key,
    answer_to_wire,
    event_to_wire,
    offer_to_wire,
    outcome_to_wire,
    request_from_wire,
    session_key,
)

__all__ = ["SERVICE_NAME", "ToolsServicer", "register"]

SERVICE_NAME: Final = "ringback.tools.v1.ToolsService"
_Context = grpc.aio.ServicerContext[Any, Any]


class ToolsServicer(tools_pb2_grpc.ToolsServiceServicer):
    """The service."""

    def __init__(self, *, executor: Executor, listing: Listing, erasing: Erasing) -> None:
        self._executor = executor
        self._listing = listing
        self._erasing = erasing

    async def ListTools(  # noqa: N802 - the contract's name
        self, request: tools_pb2.ListToolsRequest, context: _Context
    ) -> tools_pb2.ListToolsResponse:
        offers = await self._listing.list(
            pack_digest=request.pack_digest, agent=request.agent, scopes=request.scopes
        )
        return tools_pb2.ListToolsResponse(
            tools=[offer_to_wire(offer) for offer in offers], open_breakers=self._listing.open_breakers()
        )

    async def Execute(  # noqa: N802 - the contract's name
        self, request: tools_pb2.ExecuteRequest, context: _Context
    ) -> AsyncIterator[tools_pb2.ExecuteResponse]:
        async for event in self._executor.execute(request_from_wire(request)):
            yield event_to_wire(event)

    async def Run(  # noqa: N802 - the contract's name
        self, request: tools_pb2.RunRequest, context: _Context
    ) -> tools_pb2.RunResponse:
        action = request_from_wire(request.action)
        return answer_to_wire(await self._executor.run(action, wait_ms=request.wait_ms))

    async def Cancel(  # noqa: N802 - the contract's name
        self, request: tools_pb2.CancelRequest, context: _Context
    ) -> tools_pb2.CancelResponse:
        key = action_key(request.tenant, request.session_id, request.action_id)
        cancelled = await self._executor.cancel(key, epoch=request.epoch)
        return tools_pb2.CancelResponse(cancelled=cancelled)

    async def GetOutcome(  # noqa: N802 - the contract's name
        self, request: tools_pb2.GetOutcomeRequest, context: _Context
    ) -> tools_pb2.GetOutcomeResponse:
        key = action_key(request.tenant, request.session_id, request.action_id)
        return outcome_to_wire(await self._executor.outcome(*key))

    async def EraseSession(  # noqa: N802 - the contract's name
        self, request: tools_pb2.EraseSessionRequest, context: _Context
    ) -> tools_pb2.EraseSessionResponse:
        erased = await self._erasing.erase(
            *session_key(request.tenant, request.session_id), actor=request.actor
        )
        return tools_pb2.EraseSessionResponse(found=erased.found, removed=erased.removed, left=erased.left)


def register(servicer: ToolsServicer) -> Callable[[grpc.aio.Server], None]:
    """What `serve` calls to add the service."""

    def add(server: grpc.aio.Server) -> None:
        tools_pb2_grpc.add_ToolsServiceServicer_to_server(servicer, server)

    return add
