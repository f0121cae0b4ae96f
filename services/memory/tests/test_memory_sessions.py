"""Folding and reading sessions: batches, replicas, faults."""

import asyncio

import pytest
from ringback_errors import Behind, Conflict, InvalidInput, NotFound, Unavailable
from ringback_memory.adapters.in_memory import FixedSchemas, InMemorySource
from ringback_memory.adapters.records import InMemoryStateStore
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.domain import events as ev
from ringback_memory.domain.compaction import Rules
from ringback_memory.domain.events import LateFact, Position
from ringback_memory.ports import SessionKey
from ringback_memory.usecases.get_context import GetContext
from ringback_memory.usecases.get_handoff import GetHandoff
from ringback_memory.usecases.planning import Planner
from ringback_memory.usecases.sessions import Sessions
from ringback_memory.usecases.summarising import Summarising

KEY = SessionKey("local", "sess_1")


class JumpingClock:
    """Waiting takes no time: the clock jumps."""

    def __init__(self):
        self.ms = 1_500_000

    def now_ms(self):
        return self.ms

    def monotonic_ms(self):
        return self.ms

    async def wait(self, timeout_ms):
        await asyncio.sleep(0)
        self.ms += timeout_ms


class CountingStore(InMemoryStateStore):
    """Counts saves; `conflicts` of them are lost to another replica."""

    def __init__(self):
        super().__init__()
        self.saves = 0
        self.conflicts = 0
        self.lost = 0

    async def save(self, key, record, *, revision):
        self.saves += 1
        for _ in range(3):
            await asyncio.sleep(0)
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("another replica was faster")
        try:
            return await super().save(key, record, revision=revision)
        except Conflict:
            self.lost += 1
            raise


class Counted:
    def __init__(self):
        self.reasons = []

    def fell_back(self, reason):
        self.reasons.append(reason)


@pytest.fixture
def store():
    return CountingStore()


@pytest.fixture
def source():
    return InMemorySource()


@pytest.fixture
def replica(store, source, airline_schema):
    def make():
        schemas = FixedSchemas({"sha256:pack": airline_schema})
        return Sessions(store, schemas=schemas, source=source, clock=JumpingClock())

    return make


def _get_context(sessions, *, rules=None, gauges=None, model=None, **more):
    clock, tokens = sessions._clock, O200kTokens()
    summarising = Summarising(clock, gauges or Counted(), gauges or Counted(), model=model)
    planner = Planner(tokens, clock, summarising, rules=rules or Rules(), **more)
    return GetContext(sessions, tokens, clock, planner)


async def _ask(get_context, *, at=(0, 0), budget_tokens=800, deadline_ms=100):
    return await get_context(
        KEY, budget_tokens=budget_tokens, at_least=Position(*at), deadline_ms=deadline_ms
    )


async def test_a_burst_is_folded_in_few_writes_to_the_same_state(
    replica, store, script, folded, airline_schema
):
    sessions = replica()
    await asyncio.gather(*(sessions.fold(KEY, event) for event in script.spine()))
    assert store.saves <= 2
    expected = folded(script.events, schema=airline_schema)
    assert (await store.load(KEY)).record == expected.record


async def test_two_replicas_that_share_the_facts_end_with_all_of_them(
    replica, store, script, folded, airline_schema
):
    one, two = replica(), replica()
    await asyncio.gather(*((one, two)[n % 2].fold(KEY, e) for n, e in enumerate(script.spine())))
    expected = folded(script.events, schema=airline_schema)
    assert (await store.load(KEY)).record == expected.record
    assert (await two.view(KEY)).state == expected.state


async def test_facts_that_trickle_in_are_folded_by_one_at_a_time(
    replica, store, script, folded, airline_schema
):
    sessions = replica()
    tasks = []
    for n, event in enumerate(script.spine()):
        tasks.append(asyncio.create_task(sessions.fold(KEY, event)))
        for _ in range(n % 7):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert store.lost == 0
    assert (await store.load(KEY)).record == folded(script.events, schema=airline_schema).record


async def test_a_fact_that_comes_again_is_not_written_again(replica, store, script):
    sessions = replica()
    event = script.started()
    assert await sessions.fold(KEY, event)
    assert not await sessions.fold(KEY, event)
    assert store.saves == 1


async def test_a_fact_that_could_not_be_stored_is_not_remembered(replica, store, script):
    sessions = replica()
    await sessions.fold(KEY, script.started())
    store.away = True
    event = script.caller("I want to cancel.")
    with pytest.raises(Unavailable):
        await sessions.fold(KEY, event)
    store.away = False
    assert await sessions.fold(KEY, event)
    assert (await sessions.view(KEY)).state.position == event.position


async def test_a_cancelled_fold_leaves_the_others_to_be_folded(replica, script):
    sessions = replica()
    events = script.spine()[:6]
    tasks = [asyncio.create_task(sessions.fold(KEY, event)) for event in events]
    await asyncio.sleep(0)
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    await sessions.fold(KEY, events[0])
    assert (await sessions.view(KEY)).watermark == events[-1].position


async def test_losing_every_compare_and_set_gives_up_with_a_retryable_error(replica, store, script):
    store.conflicts = 10_000
    with pytest.raises(Unavailable):
        await replica().fold(KEY, script.started())


async def test_context_of_an_unknown_session_is_not_found(replica):
    get_context = _get_context(replica())
    with pytest.raises(NotFound):
        await _ask(get_context)
    with pytest.raises(NotFound):
        await _ask(get_context, at=(1, 1))


async def test_context_waits_for_the_fact_it_names(replica, script):
    sessions = replica()
    script.spine()
    for event in script.events[:-1]:
        await sessions.fold(KEY, event)
    asked = asyncio.create_task(
        _ask(_get_context(sessions), at=script.events[-1].position, deadline_ms=10_000)
    )
    await asyncio.sleep(0)
    await sessions.fold(KEY, script.events[-1])
    answer = await asked
    assert answer.view.watermark == script.events[-1].position
    assert "refund e-mail" in answer.context.text


async def test_context_sees_what_another_replica_folded(replica, script):
    one, two = replica(), replica()
    script.spine()
    await one.fold(KEY, script.events[0])
    assert (await _ask(_get_context(two), at=(1, 1))).view.watermark == Position(1, 1)
    for event in script.events[1:]:
        await one.fold(KEY, event)
    answer = await _ask(_get_context(two), at=script.events[-1].position)
    assert answer.view.watermark == script.events[-1].position


async def test_a_missing_fact_counts_as_lost_after_the_wait_and_not_before(replica, script):
    sessions = replica()
    script.spine()
    for event in [*script.events[:4], *script.events[5:8]]:
        await sessions.fold(KEY, event)
    with pytest.raises(Behind):
        await _ask(_get_context(sessions), at=(1, 8), deadline_ms=7_000)
    answer = await _ask(_get_context(sessions), at=(1, 8), deadline_ms=2_000)
    assert answer.view.watermark == Position(1, 8)
    await sessions.fold(KEY, script.events[4])
    assert (await sessions.view(KEY)).state.counts.folded == 8


async def test_context_that_is_behind_at_the_deadline_says_where_it_is(replica, script):
    sessions = replica()
    await sessions.fold(KEY, script.started())
    with pytest.raises(Behind) as behind:
        await _ask(_get_context(sessions), at=(1, 9))
    assert "epoch 1, seq 1" in str(behind.value)


@pytest.mark.parametrize(
    ("at", "budget_tokens"), [((1, 0), 100), ((0, 1), 100), ((0, 0), 0), ((0, 0), 10**6)]
)
async def test_a_request_that_makes_no_sense_is_refused(replica, script, at, budget_tokens):
    sessions = replica()
    await sessions.fold(KEY, script.started())
    with pytest.raises(InvalidInput):
        await _ask(_get_context(sessions), at=at, budget_tokens=budget_tokens)


async def test_with_the_store_away_it_serves_what_it_has_and_says_how_old(replica, store, script):
    sessions = replica()
    await sessions.fold(KEY, script.started())
    store.away = True
    sessions._clock.ms += 700
    answer = await _ask(_get_context(sessions))
    assert answer.view.unverified_ms == 700
    with pytest.raises(Unavailable):
        await replica().view(KEY)


async def test_late_facts_of_a_finished_call_settle_its_actions(replica, script):
    sessions = replica()
    script.requested()
    script.finished("unknown", result="")
    script.add(ev.Ended("client_closed"))
    for event in script.events:
        await sessions.fold(KEY, event)
    outcome = ev.ActionFinished("act_1", "cancel_reservation", "failed", message="It was not cancelled.")
    await sessions.fold(KEY, LateFact("tools", 1, 1_400_000, outcome))
    answer = await GetHandoff(sessions, clock=sessions._clock)(
        KEY, at_least=Position(1, 1), reason="follow-up", deadline_ms=100
    )
    assert answer.packet.actions[0].status == "failed"


async def test_a_record_of_an_older_fold_is_folded_anew_from_the_facts(
    replica, store, source, script, folded, airline_schema
):
    for event in script.spine():
        source.publish(KEY, event)
    store.values[KEY] = (b"rbmem\x00\x00old", 1)
    store._revision = 1
    view = await replica().view(KEY)
    assert view.state == folded(script.events, schema=airline_schema).state


async def test_a_fact_beyond_the_reorder_bound_is_put_in_its_place_from_the_stream(
    replica, source, script, folded, airline_schema
):
    sessions = replica()
    for _ in range(4):
        script.spine()
    late = script.events[9]
    for event in [*script.events[:9], *script.events[10:], late]:
        source.publish(KEY, event)
        await sessions.fold(KEY, event)
    assert (await sessions.view(KEY)).state == folded(script.events, schema=airline_schema).state
    assert not await sessions.fold(KEY, late)


async def test_no_more_sessions_are_held_than_allowed(store, source, script):
    sessions = Sessions(store, schemas=FixedSchemas(), source=source, clock=JumpingClock(), held_max=3)
    event = script.started()
    for n in range(10):
        await sessions.fold(SessionKey("local", f"sess_{n}"), event)
    assert len(sessions._held) == 3
    assert not sessions._queues


def _long_call(script):
    script.started()
    script.add(ev.TaskOpened("task_1", "Call back on Monday", "promise"))
    for n in range(40):
        script.caller(f"I need the price of flight {n} to Lisbon, please.")
        script.agent(f"Flight {n} costs {n} dollars.")
    return script.events


async def test_a_plan_is_offered_when_due_and_again_only_for_the_next_epoch(replica, script):
    sessions = replica()
    for event in _long_call(script):
        await sessions.fold(KEY, event)
    get_context = _get_context(sessions, rules=Rules(above_tokens=500, keep_below_tokens=200))
    plan = (await _ask(get_context)).plan
    assert plan.cut.epoch == 1
    assert "Call back on Monday" in plan.compact_context
    assert "Last turns" not in plan.compact_context
    await sessions.fold(KEY, script.add(ev.Compacted(1, plan.cut.covers, plan.cut.item_ids)))
    answer = await _ask(get_context)
    assert answer.plan is None
    assert answer.view.state.summary_epoch == 1
