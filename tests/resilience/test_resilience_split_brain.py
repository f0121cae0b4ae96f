"""Two replicas of session that both take a call for theirs: one of them acts, and the other learns of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio
from ringback.events.v1 import events_pb2
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_testkit.freezing import freeze, thaw
from ringback_testkit.partition import Partition
from ringback_testkit.ports import free_port
from ringback_testkit.service_process import ServiceProcess

if TYPE_CHECKING:
    from ringback_testkit.typed_caller import TypedCaller

    from conftest import Airline

pytestmark = pytest.mark.timeout(240)

TAKEN_OVER = 4409


@dataclass
class Second:
    """A second replica, whose way to NATS and whose way to its callers can be cut."""

    process: ServiceProcess
    bus: Partition
    line: Partition
    admin: str

    @property
    def url(self) -> str:
        """Where it answers callers."""
        return f"ws://127.0.0.1:{self.process.port}"

    @property
    def line_url(self) -> str:
        """The same, over the line that can be cut."""
        return f"ws://127.0.0.1:{self.line.port}"

    async def holds(self, session_id: str) -> session_pb2.SessionInfo | None:
        """What it tells of a call of its own."""
        async with grpc.aio.insecure_channel(self.admin) as channel:
            stub = session_pb2_grpc.SessionAdminServiceStub(channel)
            answer = await stub.ListSessions(session_pb2.ListSessionsRequest(here=True), timeout=25)
            return next((info for info in answer.sessions if info.session_id == session_id), None)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second(with_keys: Airline) -> AsyncIterator[Second]:
    admin = free_port()
    async with Partition(with_keys.running.stack.addresses.nats_port) as bus:
        process = with_keys.replica(
            "session-2",
            nats_port=bus.port,
            RINGBACK_ADMIN_PORT=str(admin),
            RINGBACK_CLIENT_PING_MS="500",
            RINGBACK_RESUME_WINDOW_MS="4000",
        )
        process.launch()
        try:
            await asyncio.to_thread(process.wait_ready)
            async with Partition(process.port) as line:
                yield Second(process, bus, line, f"127.0.0.1:{admin}")
        finally:
            process.kill9()


async def _read_back(airline: Airline, caller: TypedCaller) -> str:
    """Up to the question, which the record holds: whoever comes next knows of it."""
    reservation_id = await airline.read_back(caller)
    asked = await airline.running.fact(caller.session_id, "consent_asked")
    await airline.running.journalled(caller.session_id, asked.consent_asked.consent_id)
    return reservation_id


async def _heir_of(airline: Airline, first: TypedCaller, *, base: str = "") -> TypedCaller:
    """The same caller, on another connection."""
    heir = airline.caller()
    heir.resume_token, heir.session_id = first.resume_token, first.session_id
    await heir.come_back(base=base or airline.running.ws_url)
    return heir


async def _is_fenced(first: TypedCaller) -> None:
    await first.until(lambda: first.closed is not None)
    assert first.closed is not None
    assert first.closed.code == TAKEN_OVER, first.closed


async def _told_once(airline: Airline, session_id: str, *, answers: int = 1) -> None:
    """The call's facts: none is missing, each came once, and only the last owner tells of the yes and of the deed."""
    running = airline.running
    await running.fact(session_id, "session_ended", timeout_s=25)
    facts = running.watcher.of(session_id)
    by_epoch = itertools.groupby(sorted((fact.epoch, fact.seq) for fact in facts), key=lambda each: each[0])
    for epoch, numbers in by_epoch:
        seqs = [seq for _, seq in numbers]
        assert seqs == list(range(1, len(seqs) + 1)), f"epoch {epoch}: {seqs}"
    last = max(fact.epoch for fact in facts)
    for kind, times in (("consent_answered", answers), ("action_finished", 1), ("session_ended", 1)):
        told_by = [fact.epoch for fact in running.facts(session_id, kind) if _counts(fact)]
        assert told_by == [last] * times, f"{kind}: {told_by}"


def _counts(fact: events_pb2.SessionEvent) -> bool:
    """Reads go as they like, and what is neither yes nor no is asked again."""
    match fact.WhichOneof("body"):
        case "action_finished":
            return fact.action_finished.tool == "cancel_reservation"
        case "consent_answered":
            return fact.consent_answered.reading == events_pb2.CONSENT_READING_YES
        case _:
            return True


async def _says_yes(heir: TypedCaller) -> None:
    """After the heir's own read-back; a yes to the owner before does not count."""
    before = len(heir.said)
    await heir.hears("shall i go ahead")
    heir.type("yes")
    await heir.hears("is cancelled", after=before)


async def test_the_second_replica_that_takes_a_session_fences_the_first(
    with_keys: Airline, second: Second
) -> None:
    async with with_keys.caller() as first:
        reservation_id = await _read_back(with_keys, first)
        added = len(first.events)
        first.type("By the way, my name is Ada.")
        await first.until(
            lambda: any(event["type"] == "conversation.item.added" for event in first.events[added:])
        )
        # At once: what was just said is in no record yet, and the owner lives.
        heir = await _heir_of(with_keys, first, base=second.url)
        await _is_fenced(first)
        info = await second.holds(heir.session_id)
        assert info is not None
        assert info.epoch == 2
        await _says_yes(heir)
        heir.hang_up()
    assert await with_keys.refunds(reservation_id) == 1
    await _told_once(with_keys, heir.session_id)


async def test_an_owner_that_stood_still_does_and_tells_nothing_of_the_call_when_it_goes_on(
    with_keys: Airline, second: Second
) -> None:
    first = with_keys.caller()
    await first.connect(base=second.url)
    reservation_id = await _read_back(with_keys, first)
    second.process.pause()
    try:
        # It waits in the socket: the first thing that the owner sees when it goes on.
        first.type("yes")
        heir = await _heir_of(with_keys, first)
        await _says_yes(heir)
    finally:
        second.process.resume()
    await _is_fenced(first)
    assert await second.holds(first.session_id) is None
    heir.hang_up()
    assert await with_keys.refunds(reservation_id) == 1
    await _told_once(with_keys, first.session_id)


async def test_an_owner_that_stood_still_past_its_lease_leaves_the_end_to_who_settled_the_call(
    with_keys: Airline, second: Second
) -> None:
    """Nobody comes back: whoever looks after expired sessions ends it."""
    first = with_keys.caller()
    await first.connect()
    reservation_id = await _read_back(with_keys, first)
    owner = with_keys.running.stack.supervisor.programs["session"]
    freeze(owner.pid)
    try:
        first.type("yes")
        ended = await with_keys.running.fact(first.session_id, "session_ended", timeout_s=60)
        assert (ended.epoch, ended.session_ended.reason) == (2, "expired")
    finally:
        thaw(owner.pid)
    await _is_fenced(first)
    assert await with_keys.refunds(reservation_id) == 0
    await _told_once(with_keys, first.session_id, answers=0)


async def test_an_owner_that_alone_is_cut_off_from_the_bus_starts_nothing(
    with_keys: Airline, second: Second
) -> None:
    first = with_keys.caller()
    await first.connect(base=second.url)
    reservation_id = await _read_back(with_keys, first)
    second.bus.cut()
    try:
        first.type("yes")
        heir = await _heir_of(with_keys, first)
        await _says_yes(heir)
    finally:
        second.bus.mend()
    await _is_fenced(first)
    heir.hang_up()
    assert await with_keys.refunds(reservation_id) == 1
    await _told_once(with_keys, first.session_id)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_caller_whose_line_died_without_a_word_is_missed_and_waited_for(
    with_keys: Airline, second: Second, comes_back: bool
) -> None:
    first = with_keys.caller()
    await first.connect(base=second.line_url)
    reservation_id = await _read_back(with_keys, first)
    second.line.cut()
    try:
        async with asyncio.timeout(25):
            while (info := await second.holds(first.session_id)) is not None and info.connected:
                await asyncio.sleep(0.05)
        if comes_back:
            assert info is not None, "it is waited for"
            heir = await _heir_of(with_keys, first, base=second.url)
            await _says_yes(heir)
            heir.hang_up()
            await _told_once(with_keys, first.session_id)
        else:
            ended = await with_keys.running.fact(first.session_id, "session_ended", timeout_s=25)
            assert ended.session_ended.reason == "client_lost"
    finally:
        first.vanish()
        second.line.mend()
    assert await with_keys.refunds(reservation_id) == (1 if comes_back else 0)
