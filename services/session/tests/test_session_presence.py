"""Who holds which session, as other replicas come to know it: from the summaries of records, never from the records."""

import asyncio

import pytest
from ringback.session.v1 import record_pb2
from ringback_errors import Unavailable
from ringback_events import MemoryBroker, MemoryBus
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.ports import Record
from ringback_session.usecases.leases import Lease, Leases
from ringback_testkit import FakeClock

SNAPSHOT = b"a long conversation " * 5_000
# What a replica is sent of one write of a record, whatever the call has said so far.
SUMMARY_CHARS_MAX = 600


class Cut:
    """A bucket that can not be read for a while."""

    def __init__(self, bucket):
        self._bucket = bucket
        self.away = False

    async def get(self, key, **options):
        if self.away:
            raise Unavailable("away")
        return await self._bucket.get(key, **options)

    def __getattr__(self, name):
        return getattr(self._bucket, name)


class Replica:
    def __init__(self, broker, name):
        self.bus = MemoryBus(broker)
        lease = Lease(lease_id=f"lease_{name}", owner=name, beat=0, lease_ms=15_000)
        self.records = RecordsInBucket(self.bus, FakeClock(), Leases(lease))
        self.records._bucket = self.bucket = Cut(self.records._bucket)
        self.name = name

    async def takes(self, **fields):
        record = Record(
            session_id="sess_1",
            tenant="local",
            epoch=1,
            owner=self.name,
            owner_address="10.0.0.7:7801",
            snapshot=SNAPSHOT,
            token_hashes=[b"t" * 32],
            **fields,
        )
        return await self.records.create(record)


@pytest.fixture
async def broker():
    return MemoryBroker()


@pytest.fixture
async def owner(broker):
    made = Replica(broker, "session-1")
    yield made
    await made.bus.close()


@pytest.fixture
async def other(broker):
    made = Replica(broker, "session-2")
    await made.records.watch()
    yield made
    await made.bus.close()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


def without_summary(record, **fields):
    """The record as a release writes it that knows no summaries."""
    return record_pb2.SessionRecord(
        session_id=record.session_id, tenant=record.tenant, epoch=record.epoch, owner=record.owner, **fields
    ).SerializeToString()


async def test_a_replica_is_sent_who_holds_a_session_and_nothing_of_its_conversation(owner, other):
    sent = []

    async def seen(key, entry):
        sent.append(entry)

    await other.bus.bucket("sessions").watch("record.", seen, summaries=True)
    record = await owner.takes()
    await owner.records.save(record)
    await settled()
    assert [entry.value for entry in sent] == [b"", b""]
    assert max(len(entry.summary) for entry in sent) < SUMMARY_CHARS_MAX
    found = other.records.find("sess_1")
    assert (found.tenant, found.epoch, found.owner) == ("local", 1, "session-1")
    assert (found.owner_address, found.lease_id) == ("10.0.0.7:7801", "lease_session-1")
    assert found.revision == sent[-1].revision
    assert (await other.records.load("sess_1")).snapshot == SNAPSHOT


async def test_a_session_that_has_ended_is_nobodys(owner, other):
    record = await owner.takes()
    await settled()
    assert [found.session_id for found in other.records.of_tenant("local")] == ["sess_1"]
    record.ended = True
    await owner.records.save(record)
    await settled()
    assert other.records.find("sess_1") is None
    assert other.records.of_tenant("local") == []


async def test_the_record_of_an_owner_that_writes_no_summary_is_read(owner, other):
    record = await owner.takes()
    await owner.bucket.put("record.sess_1", without_summary(record, lease_until_ms=1))
    await settled()
    found = other.records.find("sess_1")
    assert (found.owner, found.lease_id) == ("session-1", "")
    assert [one.session_id for one in await other.records.expired(for_ms=0)] == ["sess_1"]


async def test_records_without_summaries_that_are_there_at_the_start_are_not_read_one_by_one(broker, owner):
    record = await owner.takes()
    for number in range(200):
        record.session_id = f"sess_{number}"
        await owner.bucket.put(f"record.{record.session_id}", without_summary(record, ended=number % 2 == 1))
    heir = Replica(broker, "session-3")
    heir.bucket.away = True
    await heir.records.watch()
    assert len(heir.records.of_tenant("local")) == 100
    heir.bucket.away = False
    assert len(await heir.records.expired(for_ms=0)) == 100
    await heir.bus.close()


async def test_a_record_that_could_not_be_read_is_read_before_it_is_said_what_expired(owner, other):
    record = await owner.takes()
    await settled()
    other.bucket.away = True
    await owner.bucket.put("record.sess_1", without_summary(record, lease_until_ms=1))
    await settled()
    with pytest.raises(Unavailable):
        await other.records.expired(for_ms=0)
    other.bucket.away = False
    assert [one.session_id for one in await other.records.expired(for_ms=0)] == ["sess_1"]


async def test_what_was_read_late_takes_nothing_back(owner, other):
    record = await owner.takes()
    late = await other.bucket.get("record.sess_1")
    taken = await owner.records.save(record)
    await settled()
    other.records._note(record_pb2.SessionRecord.FromString(late.value), late.revision)
    assert other.records.find("sess_1").revision == taken.revision
