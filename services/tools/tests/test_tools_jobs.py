"""Background work: taken on once, done by whoever gets it, told as a fact; refused while the backlog is late."""

import asyncio

import pytest
from msgspec.structs import replace
from ringback_errors import Overloaded
from ringback_tools.domain.backlog import late
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, FallbackKind, Status
from ringback_tools.ports import Waiting
from ringback_tools.usecases.execution import Priority

TOOLS = ["get_reservation", "cancel_reservation"]


@pytest.fixture
def jobs(world):
    for name in TOOLS:
        world.change(name, background=True, backlog_window_ms=10_000)
    return world


async def work_off(world, service):
    """What the consumer of the queue does, once."""
    for key, request in list(world.queue.requests.items()):
        taken = replace(request, priority=Priority.BACKGROUND, taken_on_at_ms=world.now_ms())
        await service.executor.run_job(taken)
        del world.queue.requests[key]


def test_work_that_is_stopped_while_it_runs_comes_again(jobs, kit):
    jobs.ledger.read_fates.append(kit.Fate("hang"))
    request = jobs.request("get_reservation")

    async def scene():
        service = jobs.replica()
        await kit.result(service, request)
        running = asyncio.create_task(
            service.executor.run_job(replace(request, taken_on_at_ms=jobs.now_ms()))
        )
        await kit.passed(100)
        await service.executor.close(drain_ms=10)
        with pytest.raises(Overloaded):
            await running

    kit.run(scene())


async def reconciling(world, service, wait_ms=10_000):
    background = asyncio.create_task(service.reconciler.run())
    await asyncio.wait([background], timeout=wait_ms / 1000)
    background.cancel()


@pytest.mark.parametrize("tool", TOOLS)
def test_work_is_taken_on_at_once_done_later_and_told_as_a_fact(jobs, kit, tool):
    request = jobs.request(tool)

    async def scene():
        service = jobs.replica()
        told = await kit.result(service, request)
        assert (told.status, told.detail) == (Status.UNKNOWN_OUTCOME, "accepted")
        assert told.message == "I have started that, and I will tell you when it is done."
        assert jobs.ledger.calls == []
        assert jobs.record(request).state is ActionState.ADMITTED
        await work_off(jobs, service)
        assert jobs.record(request).state is ActionState.FINISHED
        await reconciling(jobs, service)
        return await kit.result(service, request)

    after = kit.run(scene())
    assert after.status is Status.OK
    assert [stored.record.result.status for stored in jobs.facts.reconciled] == [Status.OK]
    assert not jobs.record(request).late_fact_due


def test_asking_again_puts_it_into_the_queue_once(jobs, kit):
    async def scene():
        one, two = jobs.replica("tools-1"), jobs.replica("tools-2")
        results = await asyncio.gather(
            *(kit.result(service, jobs.request()) for service in (one, two, one, two))
        )
        assert {result.detail for result in results} == {"accepted"}
        assert len(jobs.queue.requests) == 1
        # Delivered twice, to two replicas at once.
        taken = replace(jobs.request(), taken_on_at_ms=jobs.now_ms())
        await asyncio.gather(one.executor.run_job(taken), two.executor.run_job(taken))

    kit.run(scene())
    assert len(jobs.ledger.entries) == 1


def test_a_session_that_was_taken_over_meanwhile_does_not_stop_its_job(jobs, kit):
    async def scene():
        service = jobs.replica()
        await kit.result(service, jobs.request(epoch=1))
        assert (await kit.result(service, jobs.request(epoch=2))).detail == "accepted"
        assert (await kit.result(service, jobs.request(epoch=1))).error_code is ErrorCode.FENCED
        await work_off(jobs, service)

    kit.run(scene())
    assert len(jobs.ledger.entries) == 1


def test_a_proof_that_expired_in_the_queue_still_counts_and_one_for_something_else_does_not(jobs, kit):
    async def scene():
        service = jobs.replica()
        await kit.result(service, jobs.request(expires_in_ms=1_000))
        taken = replace(jobs.request(expires_in_ms=1_000), taken_on_at_ms=jobs.now_ms())
        await kit.passed(60_000)
        forged = replace(taken, arguments_json='{"reservation_id":"290754"}')
        await service.executor.run_job(forged)
        assert jobs.ledger.entries == []
        await service.executor.run_job(taken)

    kit.run(scene())


def test_a_process_that_dies_over_a_job_leaves_it_to_the_next(jobs, kit):
    jobs.ledger.read_fates.append(kit.Fate("hang"))
    request = jobs.request("get_reservation")

    async def scene():
        one = jobs.replica("tools-1")
        await kit.result(one, request)
        running = asyncio.create_task(work_off(jobs, one))
        await kit.passed(100)
        assert jobs.record(request).state is ActionState.ATTEMPTING
        running.cancel()
        await kit.crash(one)
        await work_off(jobs, jobs.replica("tools-2"))

    kit.run(scene())
    assert jobs.record(request).result.status is Status.OK


def test_work_that_cannot_be_begun_comes_again_and_is_given_up_in_the_end(jobs, kit):
    request = jobs.request()

    async def scene():
        service = jobs.replica()
        await kit.result(service, request)
        service.switches.turn("cancel_reservation", off=True, reason="drill")
        taken = replace(request, taken_on_at_ms=jobs.now_ms())
        with pytest.raises(Overloaded):
            await service.executor.run_job(taken)
        assert jobs.record(request).state is ActionState.ADMITTED
        await kit.passed(16 * 60_000)
        await service.executor.run_job(taken)
        await reconciling(jobs, service)

    kit.run(scene())
    assert jobs.record(request).result.status is Status.ERROR
    assert len(jobs.facts.reconciled) == 1
    assert jobs.ledger.entries == []


def test_a_late_backlog_is_a_mode_with_an_alert_and_the_fallback_until_it_has_halved(jobs, kit):
    async def scene():
        service = jobs.replica()
        await kit.result(service, jobs.request(ordinal=1))
        service.jobs.look(Waiting(40, 10_001))
        refused = await kit.result(service, jobs.request(ordinal=2))
        assert (refused.error_code, refused.retryable) == (ErrorCode.OVERLOADED, True)
        assert refused.fallback.kind is FallbackKind.CALLBACK
        # What was taken on before keeps its place.
        assert (await kit.result(service, jobs.request(ordinal=1))).detail == "accepted"
        service.jobs.look(Waiting(20, 6_000))
        assert (await kit.result(service, jobs.request(ordinal=3))).error_code is ErrorCode.OVERLOADED
        service.jobs.look(Waiting(3, 4_999))
        assert (await kit.result(service, jobs.request(ordinal=3))).detail == "accepted"

    kit.run(scene())
    assert [(alert.name, alert.open) for alert in jobs.facts.alerts] == [
        ("job_backlog", True),
        ("job_backlog", False),
    ]


def test_a_full_queue_and_one_that_is_away_give_the_fallback(jobs, kit):
    async def scene():
        service = jobs.replica()
        jobs.queue._jobs_max = 0
        full = await kit.result(service, jobs.request(ordinal=1))
        jobs.queue.away = True
        away = await kit.result(service, jobs.request(ordinal=2))
        jobs.queue.away, jobs.queue._jobs_max = False, 10
        again = await kit.result(service, jobs.request(ordinal=1))
        return full, away, again

    full, away, again = kit.run(scene())
    assert (full.error_code, full.fallback.kind) == (ErrorCode.OVERLOADED, FallbackKind.CALLBACK)
    assert (away.error_code, away.fallback.kind) == (ErrorCode.TOOL_UNAVAILABLE, FallbackKind.CALLBACK)
    assert again.detail == "accepted"


def test_asking_only_what_became_of_it_never_takes_it_on(jobs, kit):
    request = jobs.request(attach_only=True, proof=False)
    result = kit.run(kit.result(jobs.replica(), request))
    assert result.error_code is ErrorCode.NOT_STARTED
    assert jobs.queue.requests == {}


def test_a_backlog_is_late_past_its_window_until_the_wait_is_half_of_it():
    assert late([100, 500], 101, before=frozenset()) == {100}
    assert late([100, 500], 60, before=frozenset({100})) == {100}
    assert late([100, 500], 50, before=frozenset({100})) == frozenset()


@pytest.mark.parametrize("tool", TOOLS)
def test_work_that_waits_is_taken_back_and_never_begun(jobs, kit, tool):
    request = jobs.request(tool)

    async def scene():
        service = jobs.replica()
        await kit.result(service, request)
        assert not await service.executor.cancel(("other", *request.key[1:]), epoch=1)
        assert not await service.executor.cancel(request.key, epoch=0)
        assert await service.executor.cancel(request.key, epoch=1)
        assert not await service.executor.cancel(request.key, epoch=1)
        await work_off(jobs, service)
        return await kit.result(service, request)

    result = kit.run(scene())
    assert (result.status, result.error_code) == (Status.ERROR, ErrorCode.CANCELLED)
    assert not jobs.ledger.calls
    assert not jobs.ledger.entries


def test_work_that_somebody_has_begun_is_not_taken_back(jobs, kit):
    jobs.ledger.fates.append(kit.Fate(delay_ms=500))
    request = jobs.request()

    async def scene():
        service, other = jobs.replica(), jobs.replica("tools-2")
        assert not await service.executor.cancel(request.key, epoch=1)
        await kit.result(service, request)
        working = asyncio.create_task(work_off(jobs, service))
        await kit.passed(100)
        assert not await other.executor.cancel(request.key, epoch=1)
        await working

    kit.run(scene())
    assert jobs.record(request).result.status is Status.OK
    assert len(jobs.ledger.entries) == 1
