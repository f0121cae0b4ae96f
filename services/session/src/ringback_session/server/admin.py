"""`session.v1`: looking after calls. What another replica holds is passed on to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_errors import DeadlineExceeded, InvalidInput, NotFound, RingbackError, Unavailable

from ringback_session import wire, wire_admin
from ringback_session.ports import Records
from ringback_session.ports_upkeep import Presence
from ringback_session.server.peers import Peers
from ringback_session.usecases.call import Call
from ringback_session.usecases.calls import Calls
from ringback_session.usecases.erasing import Erase
from ringback_session.usecases.keeping import load_saved
from ringback_session.usecases.ledger import FLUSH_MS, Ledger
from ringback_session.usecases.operators import Act, Operators
from ringback_session.usecases.watching import Watchers

__all__ = ["AdminServicer"]

log: Final = logging.getLogger(__name__)
LIST_MS: Final = 1_500
PASS_ON_MS: Final = 5_000
WATCH_MS: Final = 24 * 3_600_000
SESSIONS_TOLD_MAX: Final = 2_000
_Context = grpc.aio.ServicerContext[Any, Any]
pb = session_pb2


class AdminServicer(session_pb2_grpc.SessionAdminServiceServicer):
    """Answers from the running calls; changes go through the same doors as the caller's."""

    def __init__(
        self,
        calls: Calls,
        *,
        drain_ms: int,
        operators: Operators,
        watchers: Watchers,
        peers: Peers,
        presence: Presence,
        records: Records,
        ledger: Ledger,
        erase: Erase,
    ) -> None:
        self._calls = calls
        self._drain_ms = drain_ms
        self._operators = operators
        self._watchers = watchers
        self._peers = peers
        self._presence = presence
        self._records = records
        self._ledger = ledger
        self._erase = erase
        self._draining: asyncio.Task[None] | None = None

    async def ListSessions(  # noqa: N802
        self, request: pb.ListSessionsRequest, context: _Context
    ) -> pb.ListSessionsResponse:
        held = [call for call in self._calls.running.values() if request.tenant in ("", call.state.tenant)]
        found = {call.state.session_id: self._info(call) for call in held}
        if not request.here:
            found = await self._of_others(request.tenant) | found
        return pb.ListSessionsResponse(sessions=list(found.values())[:SESSIONS_TOLD_MAX])

    async def GetSession(self, request: pb.GetSessionRequest, context: _Context) -> pb.GetSessionResponse:  # noqa: N802
        asked_here = request.here
        try:
            if address := self._elsewhere(request):
                return await self._pass_on("GetSession", request, address)  # type: ignore[no-any-return]
            call = self._operators.find(request.session_id)
        except (NotFound, Unavailable, DeadlineExceeded) as error:
            if asked_here:
                raise
            return pb.GetSessionResponse(session=await self._recorded(request.session_id, error))
        return pb.GetSessionResponse(session=self._info(call, transcript=True))

    async def EndSession(self, request: pb.EndSessionRequest, context: _Context) -> pb.EndSessionResponse:  # noqa: N802
        if address := self._elsewhere(request):
            return await self._pass_on("EndSession", request, address)  # type: ignore[no-any-return]
        # A client of before `actor` was there is let through by name.
        self._operators.end(Act(request.session_id, request.actor or "unknown", request.reason))
        return pb.EndSessionResponse()

    async def Drain(self, request: pb.DrainRequest, context: _Context) -> pb.DrainResponse:  # noqa: N802
        if request.owner not in ("", self._calls.owner):
            return await self._pass_on("Drain", request, self._address_of(request))  # type: ignore[no-any-return]
        if self._draining is None:
            who = request.operator
            self._operators.drained(Act("", who.actor or "unknown", who.reason))
            self._draining = asyncio.ensure_future(self._calls.drain(self._drain_ms))
        return pb.DrainResponse(running=len(self._calls.running), owner=self._calls.owner)

    async def WatchSession(  # noqa: N802
        self, request: pb.WatchSessionRequest, context: _Context
    ) -> AsyncIterator[pb.WatchSessionResponse]:
        if address := self._elsewhere(request):
            request.here = True
            passed = self._peers.follow(address, "WatchSession", request, deadline_ms=WATCH_MS)
            async with aclosing(passed) as updates:  # type: ignore[type-var]
                async for update in updates:
                    yield update
            return
        call = self._operators.find(request.session_id)
        with self._watchers.listening(request.session_id) as queue:
            yield pb.WatchSessionResponse(session=self._info(call, transcript=True))
            facts = self._watchers.facts(queue, held=lambda: not call.over)
            async with aclosing(facts) as found:  # type: ignore[type-var]
                async for fact in found:
                    event = wire.event(fact, call.state.tenant, request.session_id)
                    yield pb.WatchSessionResponse(fact=event)

    async def InjectMessage(  # noqa: N802
        self, request: pb.InjectMessageRequest, context: _Context
    ) -> pb.InjectMessageResponse:
        if address := self._elsewhere(request):
            return await self._pass_on("InjectMessage", request, address)  # type: ignore[no-any-return]
        act, text, force = _act(request), request.text, request.force
        match request.__getattribute__("as"):
            case pb.INJECT_AS_SPOKEN:
                self._operators.say(act, text, force=force)
            case pb.INJECT_AS_SYSTEM_NOTE:
                self._operators.note(act, text, role="system", reply=request.reply, force=force)
            case pb.INJECT_AS_ASSISTANT_NOTE:
                self._operators.note(act, text, role="assistant", reply=request.reply, force=force)
            case _:
                raise InvalidInput("expected how the message is meant", field="as")
        return pb.InjectMessageResponse()

    async def TakeOver(self, request: pb.TakeOverRequest, context: _Context) -> pb.TakeOverResponse:  # noqa: N802
        if address := self._elsewhere(request):
            return await self._pass_on("TakeOver", request, address)  # type: ignore[no-any-return]
        self._operators.take_over(_act(request), force=request.force)
        return pb.TakeOverResponse()

    async def HandBack(self, request: pb.HandBackRequest, context: _Context) -> pb.HandBackResponse:  # noqa: N802
        if address := self._elsewhere(request):
            return await self._pass_on("HandBack", request, address)  # type: ignore[no-any-return]
        self._operators.hand_back(_act(request), note=request.note, force=request.force)
        return pb.HandBackResponse()

    async def TransferSession(  # noqa: N802
        self, request: pb.TransferSessionRequest, context: _Context
    ) -> pb.TransferSessionResponse:
        if address := self._elsewhere(request):
            return await self._pass_on("TransferSession", request, address)  # type: ignore[no-any-return]
        await self._operators.transfer(_act(request), agent=request.agent, force=request.force)
        return pb.TransferSessionResponse()

    async def GetUsage(self, request: pb.GetUsageRequest, context: _Context) -> pb.GetUsageResponse:  # noqa: N802
        if bool(request.session_id) == bool(request.tenant):
            raise InvalidInput("expected a session or a tenant", field="session_id")
        if request.tenant:
            rows = [wire_admin.day_row(spent) for spent in self._ledger.days(request.tenant)]
            return pb.GetUsageResponse(rows=rows, behind_ms=FLUSH_MS)
        if address := self._elsewhere(request):
            return await self._pass_on("GetUsage", request, address)  # type: ignore[no-any-return]
        call = self._calls.running.get(request.session_id)
        if call is not None:
            usage = call.state.account.usage
        else:
            record = await self._records.load(request.session_id)
            if record is None or not record.snapshot:
                raise NotFound("there is no such session", field="session_id")
            usage = load_saved(record.snapshot).core.account.usage
        rows = [wire_admin.model_row(model, used) for model, used in usage.models.items()]
        return pb.GetUsageResponse(rows=rows, unreported=usage.unreported)

    async def EraseSession(  # noqa: N802
        self, request: pb.EraseSessionRequest, context: _Context
    ) -> pb.EraseSessionResponse:
        erased = await self._erase(
            tenant=request.tenant,
            session_id=request.session_id,
            caller_id=request.caller_id,
            actor=request.actor,
        )
        return pb.EraseSessionResponse(found=erased.found, removed=erased.removed, left=erased.left)

    async def ReleaseSession(  # noqa: N802
        self, request: pb.ReleaseSessionRequest, context: _Context
    ) -> pb.ReleaseSessionResponse:
        released = await self._calls.release(
            request.session_id, epoch=request.epoch, token_hash=request.token_hash
        )
        if released:
            log.info(
                "a session is let go: %s resumes it", request.heir, extra={"session_id": request.session_id}
            )
        return pb.ReleaseSessionResponse(token_spent=not released)

    def _info(self, call: Call, *, transcript: bool = False) -> pb.SessionInfo:
        return wire_admin.info(
            call.state,
            owner=self._calls.owner,
            address=self._calls.address,
            connected=call.client is not None,
            transcript=transcript,
        )

    async def _of_others(self, tenant: str) -> dict[str, pb.SessionInfo]:
        present = [
            each for each in self._presence.of_tenant(tenant) if each.session_id not in self._calls.running
        ]
        addresses = sorted({each.owner_address for each in present} - {"", self._calls.address})
        asked = pb.ListSessionsRequest(tenant=tenant, here=True)
        answers = await self._peers.ask_all(addresses, "ListSessions", asked, deadline_ms=LIST_MS)
        told = {found.session_id: found for answer in answers.values() for found in answer.sessions}
        reached = answers.keys() | {self._calls.address}
        return {
            each.session_id: told.get(
                each.session_id, wire_admin.unheld(each, reached=each.owner_address in reached)
            )
            for each in present
        }

    async def _recorded(self, session_id: str, error: RingbackError) -> pb.SessionInfo:
        """What the record tells of a call that nobody holds, or whose owner did not answer: so says `error`."""
        record = await self._records.load(session_id)
        if record is None or not record.snapshot:
            raise error
        if record.ended:
            raise NotFound("this call has ended", field="session_id")
        state = load_saved(record.snapshot).core
        return wire_admin.recorded(record, state, reached=isinstance(error, NotFound))

    def _elsewhere(self, request: Any) -> str:
        """Where another replica holds the session; empty when this one does, or is to answer."""
        if request.here or request.session_id in self._calls.running:
            return ""
        present = self._presence.find(request.session_id)
        address = present.owner_address if present is not None else ""
        return "" if address == self._calls.address else address

    def _address_of(self, request: pb.DrainRequest) -> str:
        for present in self._presence.of_tenant(""):
            if present.owner == request.owner and present.owner_address and not request.here:
                return present.owner_address
        raise NotFound("no replica of that name holds a session: ask it itself", field="owner")

    async def _pass_on(self, method: str, request: Any, address: str) -> Any:
        request.here = True
        return await self._peers.ask(address, method, request, deadline_ms=PASS_ON_MS)


def _act(request: Any) -> Act:
    return Act(request.session_id, request.operator.actor, request.operator.reason)
