"""A caller comes back to another replica while its owner lives: the owner writes down what it knows and lets go."""

import asyncio
import logging

import pytest
from ringback_errors import NotFound, Unavailable
from ringback_session.adapters.records_kv import RecordsInBucket
from session_call_kit import append, client_event
from test_session_admin import Replica, world
from test_session_calls import asks_to_cancel

__all__ = ["world"]


def typed(call, text):
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    call.client_frame(client_event("conversation.item.create", item=item))


def heard(call):
    return [entry.text for entry in call.state.history]


def seqs(world, epoch):
    return sorted(fact.seq for fact in world.facts() if fact.epoch == epoch)


class StoreAway(RecordsInBucket):
    """One replica's way to the store, which a test cuts."""

    away = False

    async def save(self, record):
        if self.away:
            raise Unavailable("the store is away")
        return await super().save(record)


@pytest.fixture
async def owner(world):
    replica = Replica(world, "session-1")
    await replica.open()
    yield replica
    await replica.close()


@pytest.fixture
async def heir(world):
    replica = Replica(world, "session-2")
    await replica.open()
    yield replica
    await replica.close()


async def test_the_heir_begins_with_what_the_living_owner_had_not_written_yet(world, owner, heir):
    first, old = await world.start(calls=owner.calls)
    typed(first, "My name is Ada.")
    before = await world.record()
    assert b"Ada" not in before.snapshot
    second, _client = await world.resume(calls=heir.calls)
    assert heard(second) == ["My name is Ada."]
    assert (second.state.epoch, first.over) == (2, True)
    assert old.closed[0] == 4409
    assert not owner.calls.running
    assert seqs(world, 1) == list(range(1, first.state.seq + 1)), "what was said is published whole"


async def test_an_owner_that_is_gone_is_not_waited_for(world, owner, heir):
    first, _old = await world.start(calls=owner.calls)
    owner.stop.set()
    await owner.serving
    second, _client = await world.resume(calls=heir.calls)
    assert second.state.epoch == 2
    assert not first.over, "it learns of it when it writes"
    with pytest.raises(Exception, match="another replica"):
        await first.keeper.write()
    assert first.over


async def test_an_owner_that_does_not_answer_is_waited_for_within_a_bound(world, owner, heir, caplog):
    first, old = await world.start(calls=owner.calls)
    await first.keeper._lock.acquire()
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(20):
            second, _client = await world.resume(calls=heir.calls)
    assert "resumed without its owner" in caplog.text
    assert second.state.epoch == 2
    first.keeper._lock.release()
    await world.until(lambda: first.over)
    assert old.closed[0] == 4409


async def test_an_owner_that_cannot_write_stays_the_owner_until_it_is_fenced(world, heir):
    owner = Replica(world, "session-1")
    records = StoreAway(world.bus, world.clock, world.leases)
    owner.calls = world.replica("session-1", records=records)
    await owner.open()
    first, _old = await world.start(calls=owner.calls)
    records.away = True
    with pytest.raises(Unavailable):
        await owner.calls.release("sess_1", epoch=1, token_hash=b"t1")
    assert not first.over
    second, _client = await world.resume(calls=heir.calls)
    assert second.state.epoch == 2
    records.away = False
    with pytest.raises(Exception, match="another replica"):
        await first.keeper.write()
    assert first.over
    await owner.close()


async def test_a_token_that_the_owner_knows_as_spent_resumes_nothing_elsewhere(world, owner, heir):
    await world.start(calls=owner.calls)
    call, client = await world.resume(token=b"t1", new=b"t2", calls=owner.calls)
    await call.keeper.write()
    typed(call, "Here I am.")
    assert b"t1" in (await world.record()).token_hashes, "the record does not know it yet"
    with pytest.raises(NotFound):
        await world.resume(token=b"t1", new=b"t3", calls=heir.calls)
    assert not call.over
    assert client.closed is None


@pytest.mark.parametrize(("session_id", "epoch"), [("sess_1", 2), ("sess_2", 1)])
async def test_only_the_owner_of_that_epoch_lets_go(world, owner, session_id, epoch):
    call, _client = await world.start(calls=owner.calls)
    with pytest.raises(NotFound, match="does not hold"):
        await owner.calls.release(session_id, epoch=epoch, token_hash=b"t1")
    assert not call.over


async def test_what_comes_after_the_last_write_is_not_answered(world, owner):
    call, client = await world.start(calls=owner.calls)
    releasing = asyncio.ensure_future(owner.calls.release("sess_1", epoch=1, token_hash=b"t1"))
    await world.until(lambda: call.over)
    client.news()
    typed(call, "Too late.")
    assert client.types() == []
    assert await releasing
    assert b"Too late" not in (await world.record()).snapshot


async def test_a_drain_and_an_heir_at_once_are_one_hand_over(world, owner, heir):
    first, _old = await world.start(calls=owner.calls)
    typed(first, "My name is Ada.")
    draining = asyncio.ensure_future(owner.calls.drain(0))
    second, _client = await world.resume(calls=heir.calls)
    async with asyncio.timeout(20):
        await draining
    assert heard(second) == ["My name is Ada."]
    assert first.over


async def test_a_write_that_was_under_way_is_attached_to_by_the_heir(world, owner, heir):
    """The owner only watches it; the heir asks for the same action and gets its outcome."""
    world.tools.hold = asyncio.Event()
    call, _old = await world.start(calls=owner.calls)
    call.client_frame(append())
    await asks_to_cancel(world)
    for _ in range(50):
        call.client_frame(append())
    world.upstream.hears("Yes.")
    await world.until(lambda: len(world.tools.executed) == 1)
    await world.resume(calls=heir.calls)
    await world.until(lambda: len(world.tools.executed) == 2)
    world.tools.hold.set()
    await world.until(lambda: bool(world.facts("action_finished")))
    (first, by_owner), (second, by_heir) = world.tools.executed
    assert first.action_id == second.action_id
    assert (by_owner.epoch, by_heir.epoch) == (1, 2)
    assert [fact.epoch for fact in world.facts("action_finished")] == [2]
