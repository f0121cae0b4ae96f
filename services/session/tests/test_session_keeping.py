"""The record of a session: compare-and-set, journal within a time, outbox, one owner."""

import asyncio

import msgspec
import pytest
from ringback.session.v1 import record_pb2
from ringback_errors import Conflict, Fenced, Unavailable
from ringback_events import MemoryBroker, MemoryBus, WriteUnknown
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned, Record
from ringback_session.usecases.keeping import GATHER_MS, UNWRITTEN_MS_MAX, Keeper
from ringback_session.usecases.leases import Lease, Leases
from ringback_testkit import FakeClock

PINNED = Pinned(
    tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="reservations"
)


def fact(seq, *, epoch=1, kind="session_ended"):
    body = {"reason": "x", "turns": 1} if kind == "session_ended" else {"reason": "x"}
    if kind == "consent_answered":
        body = {
            "consent_id": "con_1",
            "action_id": "act_1",
            "reading": "yes",
            "utterance": "yes",
            "reason": "yes",
        }
    return Publish(kind=kind, seq=seq, epoch=epoch, turn_id="", agent="", at_ms=1, body=body)


class FactsTwin:
    def __init__(self):
        self.published = []

    def publish(self, published, pinned, on_ack):
        self.published.append((published, on_ack))

    def hurry(self, session_id):
        pass


class Moody:
    """A bucket whose next writes fail as told: away, or with or without effect and no answer."""

    def __init__(self, bucket):
        self._bucket = bucket
        self.moods = []
        self.gate = None

    async def update(self, key, value, **options):
        if self.gate is not None:
            await self.gate.wait()
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "away":
            raise Unavailable("away")
        if mood == "lost":
            raise WriteUnknown("no answer")
        written = await self._bucket.update(key, value, **options)
        if mood == "silent":
            raise WriteUnknown("no answer")
        return written

    def __getattr__(self, name):
        return getattr(self._bucket, name)


@pytest.fixture
async def shelf():
    """Records over the bus's twin, with a mood."""
    bus = MemoryBus(MemoryBroker())
    records = RecordsInBucket(bus, FakeClock(), Leases(Lease("lease_1", "session-0", 0, 30_000)))
    records._bucket = Moody(records._bucket)
    yield records
    await bus.close()


async def made(shelf, *, owner="session-0", epoch=1):
    return await shelf.create(Record(session_id="sess_1", tenant="local", epoch=epoch, owner=owner))


def keeper(shelf, record, **more):
    clock = FakeClock()
    values = {
        "record": record,
        "records": shelf,
        "facts": FactsTwin(),
        "clock": clock,
        "pinned": PINNED,
        "take_snapshot": lambda: b"state",
        "on_fenced": lambda: None,
    }
    return Keeper(**values | more)


async def test_a_record_comes_back_as_it_was_written(shelf):
    record = await made(shelf)
    record.outbox = [fact(1), fact(2)]
    record.token_hashes = [b"a", b"b"]
    record.snapshot = b"state"
    await shelf.save(record)
    found = await shelf.load("sess_1")
    assert (found.snapshot, found.token_hashes, found.owner) == (b"state", [b"a", b"b"], "session-0")
    assert [(entry.epoch, entry.seq, entry.kind) for entry in found.outbox] == [
        (1, 1, "session_ended"),
        (1, 2, "session_ended"),
    ]
    assert await shelf.load("sess_2") is None


async def test_a_token_leads_to_its_session(shelf):
    await shelf.bind_token(b"\1\2", "sess_1")
    assert await shelf.find_by_token(b"\1\2") == "sess_1"
    assert await shelf.find_by_token(b"\1\3") is None


async def test_of_two_owners_one_is_fenced(shelf):
    first = await made(shelf)
    second = await shelf.load("sess_1")
    second.owner, second.epoch = "session-1", 2
    await shelf.save(second)
    with pytest.raises(Fenced):
        await shelf.save(first)


async def test_a_write_without_an_answer_that_happened_is_known_by_reading(shelf):
    record = await made(shelf)
    shelf._bucket.moods = ["silent"]
    record.snapshot = b"new"
    saved = await shelf.save(record)
    assert (await shelf.load("sess_1")).snapshot == b"new"
    assert await shelf.save(saved)


async def test_a_write_without_an_answer_that_did_not_happen_is_unavailable_and_may_be_repeated(shelf):
    record = await made(shelf)
    record.snapshot = b"new"
    shelf._bucket.moods = ["lost"]
    with pytest.raises(Unavailable):
        await shelf.save(record)
    assert await shelf.save(record)


async def test_of_two_claims_of_one_replica_to_what_both_read_only_one_holds(shelf):
    read = await made(shelf)
    await shelf.claim(msgspec.structs.replace(read, epoch=2, token_hashes=[b"one"]))
    with pytest.raises(Conflict):
        await shelf.claim(msgspec.structs.replace(read, epoch=2, token_hashes=[b"two"]))
    assert (await shelf.load("sess_1")).token_hashes == [b"one"]


async def test_a_late_write_of_our_own_is_no_other_owner(shelf):
    record = await made(shelf)
    late = await shelf.load("sess_1")
    await shelf.save(late)
    assert await shelf.save(record)


async def test_a_write_takes_the_state_along_and_says_who_holds_it(shelf):
    kept = keeper(shelf, await made(shelf))
    await kept.write()
    entry = await shelf._bucket.get("record.sess_1")
    written = record_pb2.SessionRecord.FromString(entry.value)
    assert (written.snapshot, written.lease_id) == (b"state", "lease_1")
    # For a release that judges by the record alone: as long as an idle call may go unwritten, and longer.
    assert written.lease_until_ms > FakeClock().now_ms() + 2 * UNWRITTEN_MS_MAX


async def test_facts_leave_the_outbox_when_the_stream_has_them(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1))
    kept.publish(fact(2))
    facts.published[0][1]()
    await kept.write()
    assert [entry.seq for entry in (await shelf.load("sess_1")).outbox] == [2]


async def test_a_new_owner_publishes_what_was_not_acknowledged(shelf):
    kept = keeper(shelf, await made(shelf))
    kept.publish(fact(1))
    await kept.write()
    facts = FactsTwin()
    heir = keeper(shelf, await shelf.load("sess_1"), facts=facts)
    heir.republish()
    heir.publish(fact(1, epoch=2))
    assert [(entry.epoch, entry.seq) for entry, _ in facts.published] == [(1, 1), (2, 1)]
    await heir.write()
    assert len((await shelf.load("sess_1")).outbox) == 2


def told(facts):
    return [entry.seq for entry, _ in facts.published]


async def test_an_answer_to_a_read_back_is_told_once_the_record_holds_it_and_in_order(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1))
    kept.publish(fact(2, kind="consent_answered"))
    kept.publish(fact(3))
    assert told(facts) == [1]
    shelf._bucket.moods = ["away"]
    with pytest.raises(Unavailable):
        await kept.write()
    assert told(facts) == [1]
    await kept.write()
    assert told(facts) == [1, 2, 3]
    assert [entry.seq for entry in (await shelf.load("sess_1")).outbox] == [1, 2, 3]
    kept.publish(fact(4))
    assert told(facts) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["escalated_to_person", "task_opened"])
async def test_a_person_is_asked_once_the_record_holds_it_and_the_next_owner_tells_the_same_fact(shelf, kind):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1, kind=kind))
    assert told(facts) == [], "who dies now leaves the asking to the next owner, who asks once"
    await kept.write()
    assert told(facts) == [1]
    heir = keeper(shelf, await shelf.load("sess_1"), facts=(again := FactsTwin()))
    heir.republish()
    ((first, _),), ((second, _),) = facts.published, again.published
    assert (first.kind, first.epoch, first.seq) == (second.kind, second.epoch, second.seq)


async def test_what_waits_for_a_write_is_told_before_the_record_says_that_the_call_has_ended(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1, kind="consent_answered"))
    kept.publish(fact(2))
    # The write that says it has no answer: who is killed now has told everything.
    shelf._bucket.moods = ["", "silent"]
    assert await kept.write_last(0)
    assert told(facts) == [1, 2]
    shelf._bucket.moods = ["", "lost"]
    other = keeper(shelf, await shelf.load("sess_1"), facts=(heard := FactsTwin()))
    other.publish(fact(3, kind="consent_answered"))
    await other.write_last(0)
    assert told(heard) == [3]


async def test_a_record_is_not_ended_over_what_waits_to_be_written(shelf):
    kept = keeper(shelf, await made(shelf), facts=FactsTwin())
    kept.publish(fact(1, kind="consent_answered"))
    shelf._bucket.moods = ["away"]
    assert await kept.write_last(0)
    assert not (await shelf.load("sess_1")).ended, "nobody would look into it again"


async def test_what_comes_while_a_write_is_under_way_waits_for_the_next_one(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1, kind="consent_answered"))
    shelf._bucket.gate = asyncio.Event()
    writing = asyncio.ensure_future(kept.write())
    await asyncio.sleep(0)
    kept.publish(fact(2))
    shelf._bucket.gate.set()
    await writing
    assert told(facts) == [1]
    await kept.write()
    assert told(facts) == [1, 2]


async def test_an_owner_that_is_none_any_more_tells_of_no_answer(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1, kind="consent_answered"))
    other = await shelf.load("sess_1")
    other.owner, other.epoch = "session-1", 2
    await shelf.save(other)
    with pytest.raises(Fenced):
        await kept.write()
    kept.close(fenced=True)
    assert told(facts) == []


async def test_a_call_that_ends_while_the_store_is_away_tells_all_the_same(shelf):
    facts = FactsTwin()
    kept = keeper(shelf, await made(shelf), facts=facts)
    kept.publish(fact(1, kind="consent_answered"))
    kept.close(fenced=False)
    assert told(facts) == [1]


async def test_fencing_ends_the_ownership_once(shelf):
    fenced = []
    kept = keeper(shelf, await made(shelf), on_fenced=lambda: fenced.append(1))
    other = await shelf.load("sess_1")
    other.owner, other.epoch = "session-1", 2
    await shelf.save(other)
    for _ in range(2):
        with pytest.raises(Fenced):
            await kept.write()
    assert fenced == [1]
    assert (await shelf.load("sess_1")).owner == "session-1"


async def test_the_journal_waits_for_a_store_that_comes_back(shelf):
    kept = keeper(shelf, await made(shelf))
    shelf._bucket.moods = ["away"]
    assert await kept.write_within(10_000)


async def test_the_journal_gives_up_when_its_time_is_over(shelf):
    clock = FakeClock()
    kept = keeper(shelf, await made(shelf), clock=clock)
    shelf._bucket.moods = ["away"] * 5
    assert not await kept.write_within(0)


async def test_what_is_set_while_a_write_is_under_way_is_in_the_next_one(shelf):
    kept = keeper(shelf, await made(shelf))
    shelf._bucket.gate = asyncio.Event()
    under_way = asyncio.ensure_future(kept.write())
    await asyncio.sleep(0)
    kept.ended = True
    kept.token_hashes = [b"new"]
    shelf._bucket.gate.set()
    await under_way
    await kept.write()
    found = await shelf.load("sess_1")
    assert found.ended
    assert found.token_hashes == [b"new"]


async def test_what_must_be_written_at_once_is_left_to_the_next_write_while_the_store_is_away(shelf):
    one = keeper(shelf, await made(shelf), take_snapshot=lambda: b"asked")
    shelf._bucket.moods = ["away"]
    await one.write_or_retry()
    assert (await shelf.load("sess_1")).snapshot != b"asked"
    running = asyncio.ensure_future(one.run())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3 * GATHER_MS / 1000):
            await running
    assert (await shelf.load("sess_1")).snapshot == b"asked"


async def test_a_record_that_does_not_fit_is_no_reason_to_drop_the_call(shelf):
    kept = keeper(shelf, await made(shelf), take_snapshot=lambda: b"x" * 2_000_000)
    with pytest.raises(Unavailable):
        await kept.write()


async def test_a_journal_serves_whoever_asked_for_a_write_before(shelf):
    one = keeper(shelf, await made(shelf))
    one.soon()
    running = asyncio.ensure_future(one.run())
    await asyncio.sleep(0)
    await one.write()
    revision = one.record.revision
    # Longer than writes are gathered for.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * GATHER_MS / 1000):
            await running
    assert one.record.revision == revision


async def test_a_write_that_nobody_waits_for_lets_an_action_go_first_within_a_bound(shelf):
    one = keeper(shelf, await made(shelf))
    with one.pressing(), one.pressing():
        waiting = asyncio.ensure_future(one.give_way())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    with one.pressing():
        await one.give_way()
