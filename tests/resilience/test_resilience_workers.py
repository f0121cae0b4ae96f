"""Two session workers behind one port: a call of one outlives the other; either admin service answers for both."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_testkit.running_stack import running_stack
from ringback_testkit.stubborn_caller import StubbornCaller
from ringback_testkit.typed_caller import TypedCaller
from ringback_testkit.verdict import faults

if TYPE_CHECKING:
    from conftest import Airline

pytestmark = pytest.mark.timeout(240)

# The kernel deals connections out by their ports: that all of so many go to one of two has odds of 1 to half a million.
CALLERS_MAX = 20
# How many have said yes when the worker is told to end.
YES_FIRST = 3


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


async def test_a_worker_that_is_told_to_end_leaves_its_calls_to_the_other_and_nothing_is_done_twice(
    of_two_workers: Airline,
) -> None:
    """Some wait for a yes, some have a write under way; callers come back by their tokens."""
    running = of_two_workers.running
    stages: asyncio.Queue[str] = asyncio.Queue()
    calls = [
        StubbornCaller(of_two_workers.caller(), next(of_two_workers.fresh), "cancel", stages.put_nowait)
        for _ in range(CALLERS_MAX)
    ]
    async with asyncio.timeout(200), asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(call.run())
        answered = 0
        while answered < YES_FIRST:
            answered += await stages.get() == "answered"
        os.kill(running.stack.supervisor.programs["session-1"].pid, signal.SIGTERM)
    assert sum(call.told_done for call in calls) == len(calls)
    assert await faults(running, calls) == []
