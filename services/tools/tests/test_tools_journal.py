"""The journal, in memory and on the bus's twin: the same promises."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from ringback_errors import Fenced
from ringback_events import MemoryBus, WriteUnknown, load_topology
from ringback_tools.adapters.journal import KvJournal
from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord
from ringback_tools.domain.results import ErrorCode, FallbackGiven, FallbackKind, Result, Status
from ringback_tools.ports import JournalAway, LostRace
from ringback_tools.wire import record_from_bytes, record_to_bytes

RECORD = OutcomeRecord(
    tenant="local",
    session_id="sess_1",
    action_id="act_1",
    epoch=1,
    tool="cancel",
    tool_version="1.0",
    arguments_json="{}",
    arguments_digest="sha256:0",
    pack_digest="sha256:1",
)


@pytest.fixture(params=["memory", "bus"])
async def two(request):
    """Two journals over one store, as two replicas have them."""
    if request.param == "memory":
        journal = MemoryJournal()
        yield journal, journal
        return
    bus = MemoryBus()
    await bus.ensure(load_topology(), "tools")
    yield KvJournal(bus.bucket("outcomes")), KvJournal(bus.bucket("outcomes"))
    await bus.close()


async def test_a_record_is_created_once_and_changed_by_whoever_read_it_last(two):
    one, other = two
    assert await one.get("sess_1", "act_1") is None
    stored = await one.create(RECORD)
    with pytest.raises(LostRace):
        await other.create(RECORD)
    changed = await other.update(stored, replace(RECORD, attempt=1))
    with pytest.raises(LostRace):
        await one.update(stored, replace(RECORD, attempt=2))
    found = await one.get("sess_1", "act_1")
    assert (found.record.attempt, found.revision) == (1, changed.revision)
    assert changed.revision > stored.revision


async def test_the_highest_epoch_fences_on_every_replica(two):
    one, other = two
    await one.fence("sess_1", epoch=1)
    await other.fence("sess_1", epoch=1)
    await one.fence("sess_1", epoch=1)
    await other.fence("sess_1", epoch=3)
    with pytest.raises(Fenced):
        await one.fence("sess_1", epoch=2)
    await one.fence("sess_1", epoch=3)
    await one.fence("sess_2", epoch=1)


async def test_following_gives_what_there_is_and_every_change(two):
    one, other = two
    seen = asyncio.Queue()
    await one.fence("sess_1", epoch=1)
    stored = await one.create(RECORD)
    await other.follow(seen.put_nowait)
    async with asyncio.timeout(5):
        assert (await seen.get()).record == RECORD
        await one.update(stored, replace(RECORD, state=ActionState.ATTEMPTING, attempt=1))
        assert (await seen.get()).record.attempt == 1
    assert seen.empty()


class Forgetful:
    """A bucket whose writes lose their answers."""

    def __init__(self, bucket, *, stores):
        self._bucket, self._stores = bucket, stores

    async def create(self, key, value, **options):
        if self._stores:
            await self._bucket.create(key, value, **options)
        raise WriteUnknown("no answer")

    async def update(self, key, value, **options):
        if self._stores:
            await self._bucket.update(key, value, **options)
        raise WriteUnknown("no answer")

    def __getattr__(self, name):
        return getattr(self._bucket, name)


@pytest.mark.parametrize("stores", [True, False])
async def test_a_write_whose_answer_was_lost_is_read_back(stores):
    bus = MemoryBus()
    await bus.ensure(load_topology(), "tools")
    bucket = bus.bucket("outcomes")
    forgetful = KvJournal(Forgetful(bucket, stores=stores))
    if stores:
        stored = await forgetful.create(RECORD)
        changed = await forgetful.update(stored, replace(RECORD, attempt=1))
        assert (await KvJournal(bucket).get("sess_1", "act_1")).revision == changed.revision
        await forgetful.fence("sess_1", epoch=2)
    else:
        with pytest.raises(JournalAway):
            await forgetful.create(RECORD)
        stored = await KvJournal(bucket).create(RECORD)
        with pytest.raises(JournalAway):
            await forgetful.update(stored, replace(RECORD, attempt=1))
        await KvJournal(bucket).update(stored, replace(RECORD, attempt=2))
        with pytest.raises(LostRace):
            await forgetful.update(stored, replace(RECORD, attempt=1))
    await bus.close()


async def test_a_bus_that_is_away_is_a_journal_that_is_away():
    bus = MemoryBus()
    await bus.ensure(load_topology(), "tools")
    journal = KvJournal(bus.bucket("outcomes"))
    bus.broker.stop()
    for work in (
        journal.get("sess_1", "act_1"),
        journal.create(RECORD),
        journal.fence("sess_1", epoch=1),
        journal.follow(lambda stored: None),
    ):
        with pytest.raises(JournalAway):
            await work
    bus.broker.start()
    await bus.close()


TEXT = st.text(max_size=20)
RESULTS = st.builds(
    Result,
    status=st.sampled_from(Status),
    data_json=TEXT,
    truncated=st.booleans(),
    confidence=st.floats(0, 1),
    error_code=st.none() | st.sampled_from(ErrorCode),
    message=TEXT,
    retryable=st.booleans(),
    trace_id=TEXT,
    attempts=st.integers(0, 9),
    fallback=st.none() | st.builds(FallbackGiven, st.sampled_from(FallbackKind), TEXT, st.integers(0, 9)),
    duration_ms=st.floats(0, 1e6),
    detail=TEXT,
)
RECORDS = st.builds(
    OutcomeRecord,
    tenant=TEXT,
    session_id=TEXT,
    action_id=TEXT,
    epoch=st.integers(0, 2**60),
    tool=TEXT,
    tool_version=TEXT,
    arguments_json=TEXT,
    arguments_digest=TEXT,
    pack_digest=TEXT,
    state=st.sampled_from(ActionState),
    attempt=st.integers(0, 99),
    owner=TEXT,
    attempt_deadline_ms=st.integers(0, 2**60),
    result=st.none() | RESULTS,
    decision_id=TEXT,
    updated_at_ms=st.integers(0, 2**60),
    late_fact_due=st.booleans(),
)


@given(RECORDS)
def test_a_record_survives_its_stored_form(record):
    assert record_from_bytes(record_to_bytes(record)) == record


async def test_fences_that_come_together_share_a_write_that_began_after_they_came():
    bus = MemoryBus()
    bucket = bus.bucket("outcomes")
    writes = []

    class Slow:
        """A bucket whose writes take a turn of the loop, counted."""

        async def get(self, key, *, timeout_ms):
            return await bucket.get(key)

        async def create(self, key, value, *, timeout_ms):
            return await self._later(bucket.create(key, value))

        async def update(self, key, value, *, revision, timeout_ms):
            return await self._later(bucket.update(key, value, revision=revision))

        async def _later(self, write):
            writes.append(1)
            await asyncio.sleep(0)
            return await write

    journal = KvJournal(Slow())
    try:
        await asyncio.gather(*(journal.fence("sess_1", epoch=2) for _ in range(50)))
        assert len(writes) == 2
        results = await asyncio.gather(
            *(journal.fence("sess_1", epoch=epoch) for epoch in (2, 3, 2, 3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), type(None), Fenced, type(None)]
        assert journal._turns == {}
    finally:
        await bus.close()
