"""Execute on one healthy replica: what it promises for every way that a system behind a tool can behave."""

import asyncio

import pytest
from msgspec.structs import replace
from ringback_tools.adapters.tracing import NoTracing
from ringback_tools.domain.catalogue import FallbackRule, Limits
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, FallbackKind, Status
from ringback_tools.usecases.execution import Attempting, Finished, Slow, Started


def test_a_read_gives_data_a_sentence_and_is_not_stored(world, kit):
    async def scene():
        return await kit.events(world.replica(), world.request("get_reservation"))

    events = kit.run(scene())
    result = events[-1].result
    assert [type(event) for event in events] == [Started, Attempting, Finished]
    assert (result.status, result.attempts, result.confidence) == (Status.OK, 1, 1.0)
    assert '"passenger":"Maria Lopez"' in result.data_json
    assert result.message == (
        "Reservation 4 8 2 9 1 5 from Boston to Denver on December 4 is confirmed, in economy, for 240 dollars."
    )
    assert world.journal.records == {}


class Traced(NoTracing):
    def trace_id(self):
        return "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("tool", "changes", "status"),
    [
        ("get_reservation", {}, Status.OK),
        ("cancel_reservation", {}, Status.OK),
        ("cancel_reservation", {"proof": False}, Status.ERROR),
        ("nothing", {}, Status.ERROR),
    ],
)
def test_every_result_names_its_trace(world, kit, tool, changes, status):
    service = world.replica(tracing=Traced())
    result = kit.run(kit.result(service, world.request(tool, **changes)))
    assert (result.status, result.trace_id) == (status, Traced().trace_id())


def test_a_write_is_journalled_done_once_and_speaks(world, kit):
    request = world.request()
    result = kit.run(kit.result(world.replica(), request))
    assert result.status is Status.OK
    assert (
        result.message
        == "Reservation 4 8 2 9 1 5 is cancelled; 240 dollars go back to your Visa ending in 4417."
    )
    assert world.ledger.entries == [("482915", request.action_id)]
    record = world.record(request)
    assert (record.state, record.attempt, record.result.status) == (ActionState.FINISHED, 1, Status.OK)
    assert record.decision_id == "dec_1"


def test_a_second_execute_gets_the_stored_outcome_as_already_done(world, kit):
    async def scene():
        service = world.replica()
        first = await kit.result(service, world.request())
        second = await kit.result(service, world.request(proof=False, attach_only=True))
        third = await kit.result(world.replica("tools-2"), world.request())
        return first, second, third

    first, second, third = kit.run(scene())
    assert not first.already_done
    assert second.already_done
    assert third.already_done
    assert second.data_json == third.data_json == first.data_json
    assert len(world.ledger.entries) == 1


def test_concurrent_executes_of_one_action_share_one_execution(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=500))

    async def scene():
        service, other = world.replica(), world.replica("tools-2")
        work = [kit.events(service, world.request()) for _ in range(5)]
        work += [kit.events(other, world.request()) for _ in range(5)]
        return await asyncio.gather(*work)

    seen = kit.run(scene())
    assert len(world.ledger.entries) == 1
    assert {events[-1].result.status for events in seen} == {Status.OK}
    assert [events[0].attached for events in seen].count(False) == 1


def test_the_stream_only_observes_a_caller_that_goes_away_cancels_nothing(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=500))

    async def scene():
        service = world.replica()
        watching = service.executor.execute(world.request())
        assert isinstance(await anext(watching), Started)
        await watching.aclose()
        await kit.passed(1_000)
        return await kit.result(service, world.request(proof=False, attach_only=True))

    assert kit.run(scene()).already_done
    assert len(world.ledger.entries) == 1


def test_run_gives_the_end_alone_however_many_ask(world, kit):
    async def scene():
        service, other = world.replica(), world.replica("tools-2")
        asked = [service.executor.run(world.request()) for _ in range(3)]
        asked += [other.executor.run(world.request()) for _ in range(3)]
        return await asyncio.gather(*asked), await service.executor.run(world.request(proof=False))

    ends, refused = kit.run(scene())
    assert {end.result.status for end in ends} == {Status.OK}
    assert [end.result.already_done for end in ends[:3]] == [False] * 3
    assert len(world.ledger.entries) == 1
    assert refused.result.error_code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(("wait_ms", "told_ms"), [(250, 250), (0, 800), (5_000, 800)])
def test_run_says_that_the_action_runs_on_and_watching_goes_on_with_it(world, kit, wait_ms, told_ms):
    world.ledger.fates.append(kit.Fate(delay_ms=2_900))

    async def scene():
        service = world.replica()
        slow = await service.executor.run(world.request(), wait_ms=wait_ms)
        again = await service.executor.run(world.request(), wait_ms=wait_ms)
        return slow, again, await kit.events(service, world.request())

    slow, again, events = kit.run(scene())
    assert (slow, again) == (Slow(told_ms), Slow(2 * told_ms))
    assert [type(event) for event in events][:3] == [Started, Attempting, Slow]
    assert events[0].attached
    assert events[-1].result.status is Status.OK
    assert len(world.ledger.entries) == 1


def test_who_asks_for_a_run_and_goes_away_cancels_nothing(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=500))

    async def scene():
        service = world.replica()
        asking = asyncio.ensure_future(service.executor.run(world.request()))
        await kit.passed(100)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await kit.passed(1_000)
        return await service.executor.run(world.request(proof=False, attach_only=True))

    assert kit.run(scene()).result.already_done
    assert len(world.ledger.entries) == 1


def test_retries_have_full_jitter_and_say_after_what(world, kit):
    world.ledger.read_fates.extend([kit.Fate("refuse"), kit.Fate("refuse")])
    events = kit.run(kit.events(world.replica(roll=lambda: 0.5), world.request("get_reservation")))
    attempts = [event for event in events if isinstance(event, Attempting)]
    assert [(event.attempt, event.delay_ms, event.after_error) for event in attempts] == [
        (1, 0, ""),
        (2, 75, "tool_unavailable"),
        (3, 150, "tool_unavailable"),
    ]
    assert events[-1].result.status is Status.OK


def test_retry_after_is_honoured(world, kit):
    world.ledger.read_fates.append(kit.Fate("busy"))
    events = kit.run(kit.events(world.replica(), world.request("get_reservation")))
    assert [event.delay_ms for event in events if isinstance(event, Attempting)] == [0, 700]


def test_attempts_end_at_the_cap_and_the_fallback_is_a_callback(world, kit):
    world.ledger.read_fates.extend([kit.Fate("refuse")] * 9)
    result = kit.run(kit.result(world.replica(), world.request("get_reservation")))
    assert (result.status, result.error_code, result.attempts) == (
        Status.ERROR,
        ErrorCode.TOOL_UNAVAILABLE,
        4,
    )
    assert result.fallback.kind is FallbackKind.CALLBACK
    assert result.message.startswith("I could not reach the reservation system.")


def test_the_total_deadline_holds_whatever_the_backend_does(world, kit):
    world.ledger.read_fates.extend([kit.Fate("hang")] * 9)
    result = kit.run(kit.result(world.replica(), world.request("get_reservation")))
    assert result.error_code is ErrorCode.TIMEOUT
    assert result.duration_ms <= 6_001


def test_a_write_answers_by_its_deadline_and_one_check_at_the_latest(world, kit):
    world.ledger.fates.extend([kit.Fate("hang")] * 9)
    world.ledger.read_fates.extend([kit.Fate("hang")] * 99)
    result = kit.run(kit.result(world.replica(), world.request()))
    assert result.status is Status.UNKNOWN_OUTCOME
    assert result.duration_ms <= 12_000 + 1_500


def test_slow_is_reported_once_and_progress_follows(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=2_900))
    events = kit.run(kit.events(world.replica(), world.request()))
    slow = [event for event in events if isinstance(event, Slow)]
    assert [event.elapsed_ms for event in slow] == [800]
    assert events[-1].result.status is Status.OK


def test_the_breaker_opens_within_two_calls_and_closes_by_a_probe(world, kit):
    world.ledger.read_fates.extend([kit.Fate("refuse")] * 4)

    async def scene():
        service = world.replica()
        first = await kit.result(service, world.request("get_reservation"))
        calls = len(world.ledger.calls)
        second = await kit.result(service, world.request("get_reservation", ordinal=2))
        assert len(world.ledger.calls) == calls
        write = await kit.result(service, world.request())
        offers = await service.listing.list(
            pack_digest=world.catalogue.pack.digest, agent="reservations", scopes=()
        )
        await kit.passed(8_000)
        third = await kit.result(service, world.request("get_reservation", ordinal=3))
        return first, second, write, offers, third

    first, second, write, offers, third = kit.run(scene())
    assert first.open_breakers == second.open_breakers == ("airline_reservations",)
    assert second.attempts == 0
    assert write.error_code is ErrorCode.TOOL_UNAVAILABLE
    assert world.journal.records == {}
    assert {offer.unavailable_reason for offer in offers} == {"airline_reservations does not answer"}
    assert third.status is Status.OK
    assert third.open_breakers == ()
    assert [state.value for _, state in world.facts.breakers] == ["open", "closed"]


@pytest.mark.parametrize("kind", ["drop_after", "apply_and_hang"])
def test_a_lost_answer_of_a_keyed_write_ends_as_done_once(world, kit, kind):
    world.ledger.fates.append(kit.Fate(kind))
    result = kit.run(kit.result(world.replica(), world.request()))
    assert result.status is Status.OK
    assert len(world.ledger.entries) == 1


@pytest.mark.parametrize("kind", ["drop_after", "apply_and_hang", "garbage"])
def test_a_lost_answer_of_a_keyless_write_is_settled_by_its_check(keyless, kit, kind):
    keyless.ledger.fates.append(kit.Fate(kind))
    request = keyless.request()
    result = kit.run(kit.result(keyless.replica(), request))
    assert result.status is Status.OK
    assert len(keyless.ledger.entries) == 1
    assert keyless.record(request).result.status is Status.OK


@pytest.mark.parametrize("kind", ["refuse", "drop_before", "hang"])
def test_a_keyless_write_without_effect_is_attempted_once_and_ends_as_not_done(keyless, kit, kind):
    keyless.ledger.fates.append(kit.Fate(kind))
    request = keyless.request()
    result = kit.run(kit.result(keyless.replica(), request))
    assert (result.status, result.error_code) == (Status.ERROR, ErrorCode.TOOL_UNAVAILABLE)
    assert "was not cancelled" in result.message
    assert result.fallback.kind is FallbackKind.CALLBACK
    assert [method for method, _ in keyless.ledger.calls].count("POST") == 1
    assert keyless.ledger.entries == []
    assert keyless.record(request).result.status is Status.ERROR


def test_not_done_is_not_believed_while_a_late_request_may_still_arrive(keyless, kit):
    keyless.ledger.fates.append(kit.Fate(delay_ms=5_000))
    request = keyless.request()
    result = kit.run(kit.result(keyless.replica(), request))
    assert result.status is Status.OK
    assert len(keyless.ledger.entries) == 1


def test_without_key_and_check_a_lost_answer_is_an_unknown_outcome(keyless, kit):
    keyless.change("cancel_reservation", check=None)
    keyless.ledger.fates.append(kit.Fate("drop_after"))
    request = keyless.request()
    result = kit.run(kit.result(keyless.replica(), request))
    assert (result.status, result.error_code) == (Status.UNKNOWN_OUTCOME, ErrorCode.UNKNOWN_OUTCOME)
    assert "I cannot tell yet" in result.message
    assert keyless.record(request).result.status is Status.UNKNOWN_OUTCOME


def test_a_refusal_of_the_system_is_spoken_in_its_own_words(world, kit):
    arguments = {"reservation_id": "864027"}
    result = kit.run(kit.result(world.replica(), world.request(arguments=arguments)))
    assert (result.error_code, result.retryable) == (ErrorCode.REJECTED, False)
    assert result.message == "The reservation is already cancelled."
    assert result.fallback is None


def test_a_crash_of_a_connector_tells_nothing_of_itself(world, kit):
    class Broken:
        async def call(self, call):
            from ringback_tools.adapters.connectors import ConnectorsByKind

            class Raising:
                async def call(self, call):
                    raise RuntimeError("secret stack")

            return await ConnectorsByKind({"http": Raising()}).call(call)

    result = kit.run(kit.result(world.replica(connectors=Broken()), world.request("get_reservation")))
    assert result.error_code is ErrorCode.INTERNAL
    assert "secret" not in repr(result)


def test_a_result_that_breaks_its_schema_is_an_error_not_an_answer(world, kit):
    world.ledger.read_fates.append(kit.Fate("garbage"))
    result = kit.run(kit.result(world.replica(), world.request("get_reservation")))
    assert (result.status, result.error_code) == (Status.ERROR, ErrorCode.INVALID_RESULT)


def test_a_cached_answer_has_its_age_and_less_confidence(world, kit):
    world.change("get_reservation", fallback=FallbackRule(kind=FallbackKind.CACHED, age_max_ms=60_000))

    async def scene():
        service = world.replica()
        await kit.result(service, world.request("get_reservation"))
        await kit.passed(30_000)
        world.ledger.read_fates.extend([kit.Fate("away")] * 9)
        cached = await kit.result(service, world.request("get_reservation", ordinal=2))
        await kit.passed(60_000)
        stale = await kit.result(service, world.request("get_reservation", ordinal=3))
        return cached, stale

    cached, stale = kit.run(scene())
    assert cached.status is Status.OK
    assert 0 < cached.confidence < 1
    assert 30_000 <= cached.fallback.age_ms < 40_000
    assert stale.status is Status.ERROR


def test_a_static_fallback_gives_the_declared_data(world, kit):
    rule = FallbackRule(kind=FallbackKind.STATIC, data={"status": "unknown"}, message="I have no news.")
    world.change("get_reservation", fallback=rule)
    world.ledger.read_fates.extend([kit.Fate("away")] * 9)
    result = kit.run(kit.result(world.replica(), world.request("get_reservation")))
    assert (result.status, result.data_json) == (Status.OK, '{"status":"unknown"}')
    assert (result.message, result.fallback.kind) == ("I have no news.", FallbackKind.STATIC)


def test_a_full_bulkhead_refuses_and_other_tools_go_on(world, kit):
    world.change("get_reservation", limits=Limits(concurrency_max=1, queue_max=1), fallback=FallbackRule())
    world.ledger.read_fates.append(kit.Fate(delay_ms=1_000))

    async def scene():
        service = world.replica()
        reads = [kit.result(service, world.request("get_reservation", ordinal=n)) for n in range(1, 5)]
        return await asyncio.gather(*reads, kit.result(service, world.request()))

    *reads, write = kit.run(scene())
    codes = sorted(str(read.error_code) for read in reads)
    assert codes == ["None", "None", "overloaded", "overloaded"]
    assert write.status is Status.OK


def test_the_number_of_executions_is_bounded(world, kit):
    async def scene():
        service = world.replica()
        service.executor._executions_max = 2
        world.ledger.read_fates.extend([kit.Fate(delay_ms=100)] * 2)
        requests = [world.request("get_reservation", ordinal=n) for n in range(1, 4)]
        results = await asyncio.gather(*(kit.result(service, request) for request in requests))
        await kit.passed(0)
        return results, service.executor.running

    results, running = kit.run(scene())
    assert [result.error_code for result in results] == [None, None, ErrorCode.OVERLOADED]
    assert running == 0


def test_cancel_stops_a_read_and_lets_a_sent_write_finish(world, kit):
    world.ledger.read_fates.append(kit.Fate("hang"))
    world.ledger.fates.append(kit.Fate(delay_ms=1_000))

    async def scene():
        service = world.replica()
        read, write = world.request("get_reservation"), world.request()
        reading = asyncio.create_task(kit.result(service, read))
        writing = asyncio.create_task(kit.result(service, write))
        await kit.passed(500)
        assert await service.executor.cancel(read.key, epoch=1)
        assert not await service.executor.cancel(write.key, epoch=1)
        return await reading, await writing

    read, write = kit.run(scene())
    assert read.error_code is ErrorCode.CANCELLED
    assert write.status is Status.OK


def test_a_write_that_waits_for_its_slot_can_be_cancelled(world, kit):
    world.change("cancel_reservation", limits=Limits(concurrency_max=1, queue_max=4))
    world.ledger.fates.append(kit.Fate(delay_ms=1_000))

    async def scene():
        service = world.replica()
        other = world.request(arguments={"reservation_id": "290754"})
        first = asyncio.create_task(kit.result(service, world.request()))
        second = asyncio.create_task(kit.result(service, other))
        await kit.passed(200)
        assert await service.executor.cancel(other.key, epoch=1)
        return await first, await second

    first, second = kit.run(scene())
    assert first.status is Status.OK
    assert second.error_code is ErrorCode.CANCELLED
    assert world.ledger.entries == [("482915", world.request().action_id)]


def test_outcome_tells_the_state_to_its_own_tenant_only(world, kit):
    async def scene():
        service, request = world.replica(), world.request()
        before = await service.executor.outcome(*request.key)
        await kit.result(service, request)
        after = await service.executor.outcome(*request.key)
        foreign = await service.executor.outcome("other", request.session_id, request.action_id)
        return before, after, foreign

    before, after, foreign = kit.run(scene())
    assert before is None
    assert foreign is None
    assert after.state is ActionState.FINISHED


def test_closing_waits_for_running_writes(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=1_000))

    async def scene():
        service = world.replica()
        request = world.request()
        work = asyncio.create_task(kit.result(service, request))
        await kit.passed(200)
        await service.executor.close(drain_ms=4_000)
        return await work

    assert kit.run(scene()).status is Status.OK


def test_retries_of_one_tenant_are_budgeted(world, kit):
    world.change(
        "get_reservation", breaker=replace(world.tool("get_reservation").breaker, failures_max=10_000)
    )
    world.ledger.read_fates.extend([kit.Fate("away")] * 1_000)

    async def scene():
        service = world.replica()
        for ordinal in range(1, 101):
            await kit.result(service, world.request("get_reservation", ordinal=ordinal))

    kit.run(scene())
    assert len(world.ledger.calls) <= 100 * 1.2 + 10 + 25
