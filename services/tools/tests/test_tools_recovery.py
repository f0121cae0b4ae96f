"""What is left when a replica dies at any state, when two act at once, when the journal goes away in between."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.ports import JournalAway


class HoldOnce:
    """Holds at a state until the process is gone."""

    def __init__(self, state):
        self.state = state
        self.reached = asyncio.Event()

    async def at(self, state):
        if state == self.state:
            self.reached.set()
            await asyncio.Event().wait()


async def die_at(world, kit, state, request):
    """A replica that is killed when the action reaches this state."""
    hold = HoldOnce(state)
    service = world.replica(pauses=hold)
    watching = asyncio.create_task(kit.events(service, request))
    await hold.reached.wait()
    watching.cancel()
    await kit.crash(service)


STATES = ["admitted", "attempting", "answered", "finished"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["tools-1", "tools-2"])
def test_a_resumed_keyed_action_ends_done_exactly_once(world, kit, state, name):
    async def scene():
        await die_at(world, kit, state, world.request())
        return await kit.result(world.replica(name), world.request(epoch=2))

    result = kit.run(scene())
    assert result.status is Status.OK
    assert len(world.ledger.entries) == 1
    assert world.record(world.request()).result.status is Status.OK


@pytest.mark.parametrize("state", STATES)
def test_a_keyless_attempt_is_never_repeated_after_a_crash(keyless, kit, state):
    async def scene():
        await die_at(keyless, kit, state, keyless.request())
        return await kit.result(keyless.replica(), keyless.request(epoch=2))

    result = kit.run(scene())
    posts = [method for method, _ in keyless.ledger.calls].count("POST")
    expected = {
        # Nothing was written down as attempted, so it may start.
        "admitted": (Status.OK, 1),
        # Perhaps it went out: it did not, the check says so, and it is not tried again.
        "attempting": (Status.ERROR, 0),
        "answered": (Status.OK, 1),
        "finished": (Status.OK, 1),
    }
    assert (result.status, posts) == expected[state]
    assert len(keyless.ledger.entries) == posts
    assert keyless.record(keyless.request()).result.status is result.status


def test_only_a_check_runs_after_a_crash_and_not_before_the_connectors_deadline(keyless, kit):
    keyless.ledger.fates.append(kit.Fate(delay_ms=2_000))

    async def scene():
        service = keyless.replica()
        watching = asyncio.create_task(kit.events(service, keyless.request()))
        await kit.passed(100)
        watching.cancel()
        await kit.crash(service)
        before = len(keyless.ledger.calls)
        asking = asyncio.create_task(kit.result(keyless.replica(), keyless.request()))
        await kit.passed(2_500)
        assert len(keyless.ledger.calls) == before
        return await asking

    result = kit.run(scene())
    assert result.status is Status.OK
    assert [method for method, _ in keyless.ledger.calls] == ["POST", "GET"]


@pytest.mark.parametrize("state", ["admitted", "attempting"])
def test_attach_only_after_a_crash_starts_nothing_and_leaves_the_way_free(world, kit, state):
    async def scene():
        await die_at(world, kit, state, world.request())
        asked = await kit.result(world.replica(), world.request(proof=False, attach_only=True))
        posts = [method for method, _ in world.ledger.calls].count("POST")
        return asked, posts, await kit.result(world.replica(), world.request())

    asked, posts, resumed = kit.run(scene())
    assert asked.error_code is ErrorCode.NOT_STARTED
    assert posts == 0
    assert resumed.status is Status.OK
    assert len(world.ledger.entries) == 1


def test_two_replicas_that_find_the_same_dead_action_do_it_once(world, kit):
    async def scene():
        await die_at(world, kit, "attempting", world.request())
        world.ledger.fates.append(kit.Fate(delay_ms=300))
        replicas = [world.replica(f"tools-{n}") for n in range(2, 6)]
        return await asyncio.gather(*(kit.result(service, world.request()) for service in replicas))

    results = kit.run(scene())
    assert {result.status for result in results} == {Status.OK}
    assert len(world.ledger.entries) == 1


def test_a_process_that_was_frozen_past_its_deadline_does_not_send(keyless, kit):
    class Frozen:
        async def at(self, state):
            if state == "attempting":
                await kit.passed(30_000)

    async def scene():
        frozen = asyncio.create_task(
            kit.result(keyless.replica("tools-1", pauses=Frozen()), keyless.request())
        )
        await kit.passed(100)
        other = await kit.result(keyless.replica("tools-2"), keyless.request())
        return await frozen, other

    frozen, other = kit.run(scene())
    assert frozen.status is other.status is Status.ERROR
    assert keyless.ledger.entries == []
    assert "POST" not in {method for method, _ in keyless.ledger.calls}


def test_an_outcome_is_told_at_once_and_stored_when_the_journal_is_back(world, kit):
    class GoesAway:
        async def at(self, state):
            if state == "answered":
                world.journal.away = True

    async def scene():
        service = world.replica(pauses=GoesAway())
        request = world.request()
        first = await kit.result(service, request)
        assert service.executor.running == 1
        attached = await kit.result(service, request)
        world.journal.away = False
        await kit.passed(5_000)
        return first, attached, service.executor.running

    first, attached, running = kit.run(scene())
    assert first.status is Status.OK
    assert attached.already_done
    assert running == 0
    assert world.record(world.request()).result.status is Status.OK
    assert len(world.ledger.entries) == 1


def test_following_an_action_while_the_journal_goes_away_claims_nothing(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=2_000))

    async def scene():
        doing = asyncio.create_task(kit.result(world.replica("tools-1"), world.request()))
        await kit.passed(100)
        following = asyncio.create_task(kit.result(world.replica("tools-2"), world.request()))
        await kit.passed(300)
        world.journal.away = True
        told = await following
        world.journal.away = False
        return told, await doing

    told, done = kit.run(scene())
    assert told.status is Status.UNKNOWN_OUTCOME
    assert done.status is Status.OK


def test_an_unknown_outcome_is_reconciled_and_told_once(keyless, kit):
    keyless.ledger.fates.append(kit.Fate("apply_and_hang"))
    keyless.ledger.read_fates.extend([kit.Fate("refuse")] * 20)

    async def scene():
        first, second = keyless.replica("tools-1"), keyless.replica("tools-2")
        background = [asyncio.create_task(each.reconciler.run()) for each in (first, second)]
        told = await kit.result(first, keyless.request())
        await kit.passed(900_000)
        again = await kit.result(second, keyless.request())
        for task in background:
            task.cancel()
        return told, again, first.reconciler.open + second.reconciler.open

    told, again, still_open = kit.run(scene())
    assert told.status is Status.UNKNOWN_OUTCOME
    assert again.status is Status.OK
    assert again.already_done
    assert still_open == 0
    assert [stored.record.result.status for stored in keyless.facts.reconciled] == [Status.OK]
    assert len(keyless.ledger.entries) == 1


def test_the_reconciler_settles_what_nobody_asks_about_but_never_sends(world, kit):
    async def scene():
        await die_at(world, kit, "attempting", world.request())
        service = world.replica()
        background = asyncio.create_task(service.reconciler.run())
        await kit.passed(300_000)
        background.cancel()

    kit.run(scene())
    assert {method for method, _ in world.ledger.calls} == {"GET"}
    assert world.record(world.request()).result.status is Status.ERROR
    assert len(world.facts.reconciled) == 1


def test_a_fact_that_could_not_be_told_is_told_later(keyless, kit):
    keyless.ledger.fates.append(kit.Fate("apply_and_hang"))
    keyless.ledger.read_fates.extend([kit.Fate("refuse")] * 12)

    class Deaf:
        def __init__(self):
            self.tries = 0
            self.told = []

        def breaker_changed(self, dependency, breaker):
            pass

        def alert_changed(self, alert):
            pass

        def session_erased(self, tenant, session_id, *, removed, left, actor):
            pass

        async def outcome_known(self, stored, *, tool):
            self.tries += 1
            if self.tries < 3:
                raise JournalAway("no stream")
            self.told.append(stored.revision)

    facts = Deaf()

    async def scene():
        service = keyless.replica(facts=facts)
        background = asyncio.create_task(service.reconciler.run())
        await kit.result(service, keyless.request())
        await kit.passed(900_000)
        background.cancel()

    kit.run(scene())
    assert facts.tries == 3
    assert len(facts.told) == 1
    assert not keyless.record(keyless.request()).late_fact_due


KINDS = ["ok", "refuse", "away", "busy", "drop_before", "drop_after", "hang", "apply_and_hang", "garbage"]
# Around the attempt timeout (3 s) and within the settling time (3 s more): where late effects hide.
FATES = st.tuples(st.sampled_from([*KINDS, "ok", "ok"]), st.sampled_from([0, 200, 2_900, 3_100, 4_500]))
STEPS = st.one_of(
    st.tuples(st.just("execute"), st.sampled_from([0, 1]), st.booleans()),
    st.tuples(st.just("takeover")),
    st.tuples(st.just("switch"), st.sampled_from([0, 1]), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 6_000)),
    st.tuples(st.just("crash"), st.sampled_from([0, 1])),
    st.tuples(st.just("cancel"), st.sampled_from([0, 1])),
    st.tuples(st.just("journal"), st.booleans()),
)


class Schedule:
    """Two replicas, one action, and everything that may happen to them."""

    def __init__(self, kit, world):
        self.kit, self.world = kit, world
        self.request = world.request(expires_in_ms=3_600_000)
        self.asking = []

    async def play(self, steps):
        self.replicas = [self.world.replica("tools-0"), self.world.replica("tools-1")]
        self.background = [asyncio.create_task(each.reconciler.run()) for each in self.replicas]
        for step, *arguments in steps:
            await getattr(self, step)(*arguments)
        self.world.journal.away = False
        told = await asyncio.gather(*self.asking)
        # The dependency is well again, and long enough passes for everybody to find out.
        self.world.ledger.fates.clear()
        self.world.ledger.read_fates.clear()
        await self.kit.passed(1_200_000)
        for task in self.background:
            task.cancel()
        return told

    async def execute(self, index, starts):
        asked = self.request if starts else replace(self.request, attach_only=True, proof=None)
        self.asking.append(asyncio.create_task(self.kit.result(self.replicas[index], asked)))
        await self.kit.passed(0)

    async def takeover(self):
        """The session's next owner asks for the same action."""
        self.request = replace(self.request, epoch=self.request.epoch + 1)

    async def switch(self, index, off):
        self.replicas[index].switches.turn("cancel_reservation", off=off, reason="drill")

    async def wait(self, wait_ms):
        await self.kit.passed(wait_ms)

    async def crash(self, index):
        self.background[index].cancel()
        await self.kit.crash(self.replicas[index])
        self.replicas[index] = self.world.replica(f"tools-{index}")
        self.background[index] = asyncio.create_task(self.replicas[index].reconciler.run())

    async def cancel(self, index):
        with suppress(JournalAway):
            await self.replicas[index].executor.cancel(self.request.key, epoch=self.request.epoch)

    async def journal(self, away):
        self.world.journal.away = away


@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    keys=st.booleans(),
    fates=st.lists(FATES, max_size=5),
    read_fates=st.lists(st.sampled_from(["ok", "refuse", "hang", "away"]), max_size=4),
    steps=st.lists(STEPS, min_size=1, max_size=12),
)
def test_any_schedule_ends_with_at_most_one_effect_and_an_outcome_equal_to_the_ledger(
    kit, keys, fates, read_fates, steps
):
    world = kit.World(keys=keys)
    world.ledger.fates.extend(kit.Fate(kind, delay_ms) for kind, delay_ms in fates)
    world.ledger.read_fates.extend(kit.Fate(kind) for kind in read_fates)
    schedule = Schedule(kit, world)
    told = kit.run(schedule.play(steps))
    effects = len(world.ledger.entries)
    record = world.record(schedule.request)
    assert effects <= 1
    # What was told as done is done; what was told as without effect never was done by that execution.
    assert effects == 1 or all(result.status is not Status.OK for result in told)
    if record is None or record.state is ActionState.ADMITTED:
        assert effects == 0
    else:
        assert record.state is ActionState.FINISHED
        assert record.result.status is (Status.OK if effects else Status.ERROR)
