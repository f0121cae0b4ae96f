"""Two session workers behind one port: a call of one outlives the other; either admin service answers for both."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_testkit.running_stack import running_stack
from ringback_testkit.typed_caller import TypedCaller

pytestmark = pytest.mark.timeout(240)

# The kernel deals connections out by their ports: that all of so many go to one of two has odds of 1 to half a million.
CALLERS_MAX = 20


async def _owners(address: str) -> dict[str, str]:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = session_pb2_grpc.SessionAdminServiceStub(channel)
        answer = await stub.ListSessions(session_pb2.ListSessionsRequest(), timeout=10)
        return {info.session_id: info.owner for info in answer.sessions}


async def _answers(caller: TypedCaller) -> None:
    said = len(caller.said)
    caller.type("hello")
    await caller.hears(r"\w", after=said)


async def test_a_killed_worker_takes_no_call_of_another_with_it(tmp_path: Path) -> None:
    async with running_stack(tmp_path, workers=2) as running:
        first, second = running.stack.addresses.admins
        callers: list[TypedCaller] = []
        try:
            owners: dict[str, str] = {}
            while len(set(owners.values())) < 2 and len(callers) < CALLERS_MAX:
                callers.append(TypedCaller(running.ws_url, running.stack.api_key))
                await callers[-1].connect()
                owners = await _owners(first)
            assert set(owners.values()) == {"session-1", "session-2"}
            assert await _owners(second) == owners
            running.kill9("session-1")
            staying = next(caller for caller in callers if owners[caller.session_id] == "session-2")
            await _answers(staying)
            assert staying.closed is None
            lost = next(caller for caller in callers if owners[caller.session_id] == "session-1")
            await lost.until(lambda: lost.closed is not None)
            session_id = lost.session_id
            await lost.come_back()
            assert lost.session_id in ("", session_id)
            await _answers(lost)
        finally:
            for caller in callers:
                caller.hang_up()
