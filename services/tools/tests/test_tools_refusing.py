"""What could not start now is refused before anything is made for it; what is known of an action is told anyway."""

import asyncio

import pytest
from msgspec.structs import replace
from ringback_tools.domain.catalogue import Limits
from ringback_tools.domain.results import ErrorCode, Status


@pytest.fixture
def crowded(world, kit):
    """A scene with a tool whose slot and queue are taken by calls that hang; `scene` gets the service."""

    def played(tool, scene):
        world.change(tool, limits=Limits(concurrency_max=1, queue_max=1))

        async def whole():
            service = world.replica()
            done = await kit.result(service, world.request(tool))
            hang = kit.Fate("hang")
            world.ledger.fates.append(hang)
            world.ledger.read_fates.append(hang)
            taken = [
                asyncio.create_task(kit.result(service, world.request(tool, ordinal=ordinal)))
                for ordinal in (2, 3)
            ]
            await kit.passed(1)
            asked = []
            get, fence, before = world.journal.get, world.journal.fence, service.executor.running

            async def counted_get(session_id, action_id):
                asked.append("get")
                return await get(session_id, action_id)

            async def counted_fence(session_id, *, epoch):
                asked.append("fence")
                await fence(session_id, epoch=epoch)

            world.journal.get, world.journal.fence = counted_get, counted_fence
            try:
                answer = await scene(service)
            finally:
                world.journal.get, world.journal.fence = get, fence
            await kit.passed(1)
            assert service.executor.running == before
            for task in taken:
                task.cancel()
            return done, answer, asked

        return kit.run(whole())

    return played


def test_a_read_that_finds_no_place_is_refused_without_the_journal(crowded, world, kit):
    _, answer, asked = crowded(
        "get_reservation", lambda service: kit.result(service, world.request("get_reservation", ordinal=9))
    )
    assert (answer.error_code, answer.retryable, asked) == (ErrorCode.OVERLOADED, True, [])
    assert answer.detail == "queue: expected at most 1 waiting calls"


def test_a_write_that_finds_no_place_costs_one_look_and_leaves_no_record(crowded, world, kit):
    request = world.request(ordinal=9)
    _, answer, asked = crowded("cancel_reservation", lambda service: kit.result(service, request))
    assert (answer.error_code, answer.retryable, asked) == (ErrorCode.OVERLOADED, True, ["get"])
    assert world.record(request) is None


def test_a_write_that_was_done_gives_its_outcome_though_the_queue_is_full(crowded, world, kit):
    done, again, _ = crowded(
        "cancel_reservation", lambda service: kit.result(service, world.request("cancel_reservation"))
    )
    assert (done.status, again.status, again.already_done) == (Status.OK, Status.OK, True)
    assert again.data_json == done.data_json


def test_a_write_that_waits_is_joined_though_the_queue_is_full(crowded, world, kit):
    async def joined(service):
        events = service.executor.execute(world.request("cancel_reservation", ordinal=2))
        first = await anext(events)
        await events.aclose()
        return first

    _, first, _ = crowded("cancel_reservation", joined)
    assert first.attached


def test_what_is_wrong_with_a_call_is_told_though_the_queue_is_full(crowded, world, kit):
    async def asked(service):
        wrong = replace(world.request("get_reservation", ordinal=9), arguments_json='{"reservation_id": 7}')
        return await kit.result(service, wrong)

    _, answer, _ = crowded("get_reservation", asked)
    assert answer.error_code is ErrorCode.INVALID_ARGUMENTS


def test_a_write_whose_journal_is_away_is_told_so_though_the_queue_is_full(crowded, world, kit):
    async def asked(service):
        world.journal.away = True
        try:
            return await kit.result(service, world.request(ordinal=9))
        finally:
            world.journal.away = False

    _, answer, _ = crowded("cancel_reservation", asked)
    assert (answer.error_code, answer.detail) == (ErrorCode.TOOL_UNAVAILABLE, "the journal is away")


@pytest.mark.parametrize("tool", ["get_reservation", "cancel_reservation"])
def test_a_switched_off_tool_is_refused_without_an_execution(world, kit, tool):
    async def scene():
        service = world.replica()
        service.switches.turn(tool, off=True, reason="drill")
        opened = []
        service.executor._open = opened.append
        return await kit.result(service, world.request(tool)), opened

    answer, opened = kit.run(scene())
    assert (answer.error_code, opened) == (ErrorCode.TOOL_UNAVAILABLE, [])
    assert answer.detail == f"{tool} is switched off"
