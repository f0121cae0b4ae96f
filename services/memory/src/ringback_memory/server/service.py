"""Owns the gRPC face: requests in, answers out, nothing decided here."""

from __future__ import annotations

import grpc
from ringback.memory.v1 import memory_pb2 as pb
from ringback.memory.v1 import memory_pb2_grpc
from ringback_errors import InvalidInput
from ringback_events.subjects import session_events, tenant_events
from ringback_serving import deadline_ms
from ringback_telemetry import histogram, set_attributes, span
from ringback_telemetry.names import Attr, Metric, Span

from ringback_memory.domain.callers import Caller
from ringback_memory.domain.events import Position
from ringback_memory.ports import SessionKey
from ringback_memory.usecases.callers import Callers
from ringback_memory.usecases.forgetting import Forget
from ringback_memory.usecases.get_context import GetContext
from ringback_memory.usecases.get_handoff import GetHandoff
from ringback_memory.wire import (
    caller_to_wire,
    consent_from_wire,
    context_to_wire,
    erasure_to_wire,
    packet_to_wire,
)

NO_DEADLINE_MS = 1_000
"""How long a call without a deadline waits."""
ANSWER_MS_MIN, ANSWER_SHARE = 5, 0.05
"""Kept back from the deadline for the answer's way home: of a long one more, since more may be in the way."""


class MemoryService(memory_pb2_grpc.MemoryServiceServicer):
    """ringback.memory.v1.MemoryService."""

    def __init__(
        self, *, get_context: GetContext, get_handoff: GetHandoff, callers: Callers, forget: Forget
    ) -> None:
        self._get_context = get_context
        self._get_handoff = get_handoff
        self._callers = callers
        self._forget = forget

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        memory_pb2_grpc.add_MemoryServiceServicer_to_server(self, server)

    async def GetContext(self, request: pb.GetContextRequest, context: object) -> pb.GetContextResponse:  # noqa: N802
        """The state that fits the budget."""
        key = _key(request.tenant, request.session_id)
        with span(Span.MEMORY_CONTEXT) as here:
            answer = await self._get_context(
                key,
                budget_tokens=request.budget_tokens,
                at_least=Position(request.min_epoch, request.min_seq),
                deadline_ms=_wait_ms(),
            )
            set_attributes(here, {Attr.SESSION_ID: key.session_id, Attr.TOKENS: answer.context.tokens})
        histogram(Metric.CONTEXT_TOKENS).record(answer.context.tokens)
        return context_to_wire(answer)

    async def GetHandoffPacket(  # noqa: N802
        self, request: pb.GetHandoffPacketRequest, context: object
    ) -> pb.GetHandoffPacketResponse:
        """What whoever takes over needs to know."""
        key = _key(request.tenant, request.session_id)
        answer = await self._get_handoff(
            key,
            at_least=Position(request.min_epoch, request.min_seq),
            reason=request.reason,
            deadline_ms=_wait_ms(),
        )
        return packet_to_wire(answer, tenant=key.tenant, session_id=key.session_id)

    async def GetCaller(self, request: pb.GetCallerRequest, context: object) -> pb.GetCallerResponse:  # noqa: N802
        """All that is kept of a caller."""
        caller = await self._callers.show(_tenant(request.tenant), request.caller_id)
        return pb.GetCallerResponse(record=self._record(caller))

    async def SetCallerConsent(  # noqa: N802
        self, request: pb.SetCallerConsentRequest, context: object
    ) -> pb.SetCallerConsentResponse:
        """Whether the caller agreed to be remembered."""
        caller = await self._callers.consent(
            _tenant(request.tenant),
            request.caller_id,
            consent=consent_from_wire(request.consent),
            source=request.source,
        )
        return pb.SetCallerConsentResponse(record=self._record(caller))

    async def ForgetCaller(  # noqa: N802
        self, request: pb.ForgetCallerRequest, context: object
    ) -> pb.ForgetCallerResponse:
        """Every trace of a caller removed, and proof of it."""
        tenant = _tenant(request.tenant)
        if request.look_only:
            return erasure_to_wire(await self._forget.look(tenant, request.caller_id))
        return erasure_to_wire(
            await self._forget(
                tenant, request.caller_id, actor=request.actor, keep=frozenset(request.keep_session_ids)
            )
        )

    def _record(self, caller: Caller) -> pb.CallerRecord:
        return caller_to_wire(caller, retention_ms=self._callers.retention_ms)


def _tenant(tenant: str) -> str:
    tenant_events(tenant, "any")
    return tenant


def _key(tenant: str, session_id: str) -> SessionKey:
    for field, value in (("tenant", tenant), ("session_id", session_id)):
        if not value:
            raise InvalidInput(f"{field}: expected, got none", field=field)
    # The same characters that a subject takes: checked where subjects are made.
    session_events(tenant, session_id)
    return SessionKey(tenant, session_id)


def _wait_ms() -> int:
    left = deadline_ms()
    return NO_DEADLINE_MS if left is None else max(0, left - max(ANSWER_MS_MIN, int(left * ANSWER_SHARE)))
