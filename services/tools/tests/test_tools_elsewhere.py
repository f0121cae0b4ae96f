"""An action that another replica runs: stopped from here, heard from here, never told as stopped if it goes on."""

import asyncio

import pytest
from ringback_errors import InvalidInput
from ringback_tools.adapters.siblings import BusSiblings, LocalSiblings
from ringback_tools.domain.catalogue import Limits
from ringback_tools.domain.notes import Note, Said, StopAsked, Stopped
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.usecases.execution import Progress
from ringback_tools.wire_notes import note_from_bytes, note_to_bytes

KEY = ("local", "sess_1", "act_1")


class Talking:
    """A ledger that says a word after half a second of its two."""

    def __init__(self, ledger, kit):
        self._ledger, self._kit = ledger, kit

    async def call(self, call):
        await self._kit.passed(500)
        if call.progress is not None:
            call.progress("Half is done.")
        await self._kit.passed(1_500)
        return await self._ledger.call(call)


@pytest.fixture
def replicas(world):
    """As many replicas as are asked for; each hears what the others tell."""

    def made(count, **changes):
        ways = [LocalSiblings() for _ in range(count)]
        made = [world.replica(f"tools-{n}", siblings=way, **changes) for n, way in enumerate(ways)]
        for way, own in zip(ways, made, strict=True):
            way.others = [each.executor.heard for each in made if each is not own]
        return made

    return made


def test_a_live_read_is_stopped_by_a_replica_that_does_not_run_it(world, replicas, kit):
    world.ledger.read_fates.append(kit.Fate("hang"))
    request = world.request("get_reservation")

    async def scene():
        one, two = replicas(2)
        reading = asyncio.create_task(kit.result(one, request))
        await kit.passed(500)
        assert not await two.executor.cancel(request.key, epoch=0)
        assert await two.executor.cancel(request.key, epoch=1)
        read = await reading
        assert not await two.executor.cancel(request.key, epoch=1)
        return read

    assert kit.run(scene()).error_code is ErrorCode.CANCELLED


def test_a_sent_write_finishes_and_whoever_follows_it_elsewhere_is_not_told_that_it_was_stopped(
    world, replicas, kit
):
    world.ledger.fates.append(kit.Fate(delay_ms=2_000))
    request = world.request()

    async def scene():
        one, two = replicas(2)
        writing = asyncio.create_task(kit.result(one, request))
        await kit.passed(200)
        following = asyncio.create_task(kit.result(two, request))
        await kit.passed(200)
        assert not await two.executor.cancel(request.key, epoch=1)
        return await writing, await following

    wrote, followed = kit.run(scene())
    assert (wrote.status, followed.status) == (Status.OK, Status.OK)
    assert len(world.ledger.entries) == 1


def test_a_write_that_waits_for_its_slot_elsewhere_is_stopped_for_all_who_follow_it(world, replicas, kit):
    world.change("cancel_reservation", limits=Limits(concurrency_max=1, queue_max=4))
    world.ledger.fates.append(kit.Fate(delay_ms=1_000))
    request = world.request(arguments={"reservation_id": "290754"})

    async def scene():
        one, two = replicas(2)
        first = asyncio.create_task(kit.result(one, world.request()))
        await kit.passed(100)
        waiting = asyncio.create_task(kit.result(one, request))
        await kit.passed(100)
        assert await two.executor.cancel(request.key, epoch=1)
        await first
        return await waiting

    assert kit.run(scene()).error_code is ErrorCode.CANCELLED
    assert world.ledger.entries == [("482915", world.request().action_id)]


def test_what_a_write_says_of_its_progress_is_heard_on_every_replica_that_follows_it(world, replicas, kit):
    request = world.request()

    async def scene():
        one, two, three = replicas(3, connectors=Talking(world.ledger, kit))
        running = asyncio.create_task(kit.events(one, request))
        await kit.passed(100)
        following = asyncio.create_task(kit.events(two, request))
        await running
        return await following, three.executor.running

    events, idle = kit.run(scene())
    assert [event.message for event in events if isinstance(event, Progress) and event.message] == [
        "Half is done."
    ]
    assert events[-1].result.status is Status.OK
    assert idle == 0
    assert world.record(request).state is ActionState.FINISHED


@pytest.mark.parametrize("body", [StopAsked(7), Stopped(), Said("Half is done.")])
def test_a_note_is_read_as_it_was_told(body):
    assert note_from_bytes(note_to_bytes(Note(KEY, body), replica="tools-1#a")) == (
        "tools-1#a",
        Note(KEY, body),
    )


def test_a_note_of_a_kind_that_is_not_known_here_is_left_and_garbage_is_named():
    assert note_from_bytes(b"") == ("", None)
    with pytest.raises(InvalidInput, match="ReplicaNote"):
        note_from_bytes(b"\xff\xff")


def test_without_a_bus_nothing_is_told_later():
    class Away:
        connected = False

    BusSiblings(Away(), owner="tools-1#a").tell(Note(KEY, Stopped()))
