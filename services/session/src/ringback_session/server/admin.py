"""`session.v1`: looking after the calls of this replica."""

from __future__ import annotations

import asyncio

import grpc
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_errors import NotFound

from ringback_session.domain.state import CallState, ConsentPhase
from ringback_session.usecases.calls import Calls
from ringback_session.wire import timestamp

__all__ = ["AdminServicer", "phase_of"]


class AdminServicer(session_pb2_grpc.SessionAdminServiceServicer):
    """Answers from the running calls; changes go through the same doors as the caller's."""

    def __init__(self, calls: Calls, *, drain_ms: int) -> None:
        self._calls = calls
        self._drain_ms = drain_ms
        self._draining: asyncio.Task[None] | None = None

    async def ListSessions(  # noqa: N802
        self,
        request: session_pb2.ListSessionsRequest,
        context: grpc.aio.ServicerContext[session_pb2.ListSessionsRequest, session_pb2.ListSessionsResponse],
    ) -> session_pb2.ListSessionsResponse:
        states = [call.state for call in self._calls.running.values()]
        wanted = [state for state in states if request.tenant in ("", state.tenant)]
        return session_pb2.ListSessionsResponse(sessions=[_info(state) for state in wanted])

    async def GetSession(  # noqa: N802
        self,
        request: session_pb2.GetSessionRequest,
        context: grpc.aio.ServicerContext[session_pb2.GetSessionRequest, session_pb2.GetSessionResponse],
    ) -> session_pb2.GetSessionResponse:
        return session_pb2.GetSessionResponse(session=_info(self._find(request.session_id)))

    async def EndSession(  # noqa: N802
        self,
        request: session_pb2.EndSessionRequest,
        context: grpc.aio.ServicerContext[session_pb2.EndSessionRequest, session_pb2.EndSessionResponse],
    ) -> session_pb2.EndSessionResponse:
        self._find(request.session_id)
        self._calls.running[request.session_id].end(request.reason or "ended_by_operator")
        return session_pb2.EndSessionResponse()

    async def Drain(  # noqa: N802
        self,
        request: session_pb2.DrainRequest,
        context: grpc.aio.ServicerContext[session_pb2.DrainRequest, session_pb2.DrainResponse],
    ) -> session_pb2.DrainResponse:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._calls.drain(self._drain_ms))
        return session_pb2.DrainResponse(running=len(self._calls.running))

    def _find(self, session_id: str) -> CallState:
        call = self._calls.running.get(session_id)
        if call is None:
            raise NotFound("this replica holds no such session", field="session_id")
        return call.state


def phase_of(state: CallState) -> str:
    """One word for what the call is doing."""
    asked = state.open_consent()
    if state.handed_over:
        return "handed_over"
    if state.caller_speaking:
        return "listening"
    if asked is not None and asked.phase is not ConsentPhase.CLARIFYING:
        return "confirming"
    if state.open_actions():
        return "acting"
    if state.reply is not None or state.speeches:
        return "speaking"
    waiting = state.utterance is not None and not state.utterance.cleared
    return "thinking" if waiting or state.next_reply else "idle"


def _info(state: CallState) -> session_pb2.SessionInfo:
    asked = state.open_consent()
    return session_pb2.SessionInfo(
        session_id=state.session_id,
        tenant=state.tenant,
        pack=state.pack,
        agent=state.agent,
        epoch=state.epoch,
        seq=state.seq,
        turn=state.turn,
        phase=phase_of(state),
        started_at=timestamp(state.started_at_ms),
        open_actions=[action.action_id for action in state.open_actions()],
        open_consent=asked.consent_id if asked is not None else "",
    )
