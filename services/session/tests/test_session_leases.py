"""Leases of processes: who is taken for dead, and who never is, whatever the clocks say."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback.session.v1 import record_pb2
from ringback_errors import Fenced, Unavailable
from ringback_events import MemoryBroker, MemoryBus
from ringback_session.adapters.leases_kv import LeasesInBucket
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.ports import Record
from ringback_session.usecases.leases import KNOWN_MAX, Lease, Leases, beat_every_ms
from ringback_testkit import FakeClock

LEASE_MS = 15_000
BEAT_MS = beat_every_ms(LEASE_MS)
WINDOW_MS = 30_000
# A beat of the other's may just have been missed, or come just before one of ours.
EXPIRED_MS = LEASE_MS + WINDOW_MS + BEAT_MS


class Process:
    """A process of session as far as leases go: its clock, its way to the bus, its watches."""

    def __init__(self, broker, name, *, lease_ms=LEASE_MS, now_ms=1_700_000_000_000):
        self.clock = FakeClock(now_ms)
        self.bus = MemoryBus(broker)
        self.leases = LeasesInBucket(self.bus, self.clock, owner=name, lease_ms=lease_ms)
        self.records = RecordsInBucket(self.bus, self.clock, self.leases.known)
        self.name = name

    async def starts(self):
        await self.leases.watch()
        await self.records.watch()
        await self.leases.renew()
        return self

    async def takes(self, session_id="sess_1"):
        record = Record(session_id=session_id, tenant="local", epoch=1, owner=self.name, snapshot=b"state")
        record = await self.records.create(record)
        await settled()
        return record

    async def expired(self, **but):
        return [present.session_id for present in await self.records.expired(for_ms=WINDOW_MS, **but)]

    def held(self):
        return [found.session_id for found in self.records.of_tenant("local") if self.records.leased(found)]


class Bus:
    """One server, and processes that beat side by side."""

    def __init__(self):
        self.broker = MemoryBroker()
        self.made = []

    async def process(self, name, **more):
        process = Process(self.broker, name, **more)
        self.made.append(process)
        return await process.starts()

    async def beats(self, *processes, ms):
        """So much time goes by, in which these processes renew their leases; others do not."""
        for _ in range(ms // BEAT_MS):
            for process in processes:
                with suppress(Unavailable):
                    await process.leases.renew()
            await settled()

    async def close(self):
        for process in self.made:
            await process.bus.close()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def bus():
    made = Bus()
    yield made
    await made.close()


async def test_a_session_that_writes_nothing_is_held_for_as_long_as_its_process_renews_its_lease(bus):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    record = await one.takes()
    await bus.beats(one, other, ms=600_000)
    assert await other.expired() == []
    assert other.held() == ["sess_1"]
    assert (await other.records.load("sess_1")).revision == record.revision


async def test_a_killed_owners_session_expires_after_its_lease_and_the_window(bus):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    await one.takes()
    await bus.beats(one, other, ms=60_000)
    await bus.beats(other, ms=LEASE_MS - BEAT_MS)
    assert other.held() == ["sess_1"]
    await bus.beats(other, ms=2 * BEAT_MS)
    assert other.held() == []
    await bus.beats(other, ms=WINDOW_MS - 2 * BEAT_MS)
    assert await other.expired() == []
    await bus.beats(other, ms=2 * BEAT_MS)
    assert await other.expired() == ["sess_1"]


async def test_an_owner_that_stood_still_past_its_lease_is_fenced_by_the_record_and_holds_what_nobody_took(
    bus,
):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    first, second = await one.takes("sess_1"), await one.takes("sess_2")
    await bus.beats(other, ms=EXPIRED_MS)
    assert await other.expired() == ["sess_1", "sess_2"]
    taken = await other.records.load("sess_1")
    taken.epoch, taken.owner = 2, "session-2"
    await other.records.save(taken)
    # It goes on as if nothing had been.
    await bus.beats(one, other, ms=BEAT_MS)
    with pytest.raises(Fenced):
        await one.records.save(first)
    assert one.records.find("sess_1").epoch == 2
    assert await one.records.save(second)
    assert await other.expired(but=("sess_1",)) == []


async def test_who_stood_still_itself_takes_nobody_for_dead(bus):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    await one.takes()
    await bus.beats(one, other, ms=60_000)
    # The other one stands still for an hour, and so does what it watches; then all of it comes at once.
    for _ in range(720):
        await one.leases.renew()
    other.clock.advance(3_600_000)
    assert await other.expired() == []
    await other.leases.renew()
    await settled()
    assert await other.expired() == []
    assert other.held() == ["sess_1"]


async def test_nobody_is_taken_for_dead_while_the_bus_was_away(bus):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    await one.takes()
    await bus.beats(one, other, ms=60_000)
    bus.broker.stop()
    for process in (one, other):
        process.clock.advance(3_600_000)
    await bus.beats(one, other, ms=3_600_000)
    bus.broker.start()
    # Who comes back first has not heard of the others for an hour, and neither of itself.
    await bus.beats(other, ms=LEASE_MS)
    assert await other.expired() == []
    await bus.beats(one, other, ms=60_000)
    assert await other.expired() == []
    assert other.held() == ["sess_1"]


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
async def test_a_clock_that_jumps_or_is_wrong_expires_nothing_and_keeps_nothing_alive(bus, jump_ms):
    one = await bus.process("session-1", now_ms=1_700_000_000_000 + jump_ms)
    other = await bus.process("session-2")
    await one.takes()
    await bus.beats(one, other, ms=60_000)
    assert await other.expired() == []
    if jump_ms > 0:
        other.clock.advance(2 * jump_ms)
        assert await other.expired() == []
    await bus.beats(other, ms=EXPIRED_MS)
    assert await other.expired() == ["sess_1"]


async def test_a_process_that_starts_again_under_its_name_keeps_nothing_of_the_one_before_alive(bus):
    await (await bus.process("session-1")).takes()
    again = await bus.process("session-1")
    await bus.beats(again, ms=LEASE_MS + WINDOW_MS - BEAT_MS)
    assert await again.expired() == []
    await bus.beats(again, ms=2 * BEAT_MS)
    assert await again.expired() == ["sess_1"]


async def test_who_starts_among_dead_and_living_gives_each_a_whole_lease_before_it_judges(bus):
    dead, living = await bus.process("session-1"), await bus.process("session-2")
    await dead.takes("sess_1")
    await living.takes("sess_2")
    await bus.beats(living, ms=300_000)
    fresh = await bus.process("session-3")
    assert sorted(fresh.held()) == ["sess_1", "sess_2"]
    await bus.beats(fresh, living, ms=EXPIRED_MS)
    assert await fresh.expired() == ["sess_1"]
    assert fresh.held() == ["sess_2"]


async def test_what_a_living_process_let_go_of_expires_like_that_of_a_dead_one(bus):
    one = await bus.process("session-1")
    await one.takes("sess_1")
    await one.takes("sess_2")
    await bus.beats(one, ms=EXPIRED_MS)
    assert await one.expired(but=("sess_2",)) == ["sess_1"]


async def test_a_session_whose_processs_lease_nobody_knows_is_looked_after_too(bus):
    one, other = Process(bus.broker, "session-1"), await bus.process("session-2")
    bus.made.append(one)
    await one.takes()
    await bus.beats(other, ms=2 * BEAT_MS)
    assert other.held() == ["sess_1"]
    await bus.beats(other, ms=LEASE_MS + WINDOW_MS)
    assert await other.expired() == ["sess_1"]


async def test_the_record_of_a_release_without_leases_of_processes_is_judged_by_its_own(bus):
    other = await bus.process("session-2")
    old = record_pb2.SessionRecord(
        schema_version=1,
        session_id="sess_1",
        tenant="local",
        epoch=1,
        owner="session-1",
        lease_until_ms=other.clock.now_ms() + LEASE_MS,
    )
    await other.bus.bucket("sessions").create("record.sess_1", old.SerializeToString())
    await bus.beats(other, ms=BEAT_MS)
    assert other.held() == ["sess_1"]
    other.clock.advance(LEASE_MS + 1)
    assert other.held() == []
    assert await other.expired() == []
    other.clock.advance(WINDOW_MS)
    assert await other.expired() == ["sess_1"]
    taken = await other.records.load("sess_1")
    taken.epoch, taken.owner = 2, "session-2"
    await other.records.save(taken)
    await settled()
    assert await other.expired() == []


async def test_a_release_without_leases_of_processes_leaves_ours_alone_for_longer_than_they_go_unwritten(bus):
    one = await bus.process("session-1")
    await one.takes()
    entry = await one.bus.bucket("sessions").get("record.sess_1")
    record = record_pb2.SessionRecord.FromString(entry.value)
    assert record.lease_until_ms - one.clock.now_ms() == 600_000


async def test_a_lease_that_cannot_be_read_is_passed_over(bus):
    one, other = await bus.process("session-1"), await bus.process("session-2")
    await one.takes()
    await other.bus.bucket("sessions").put("lease.broken", b"\xff\xff")
    await other.bus.bucket("sessions").put("lease.gone", b"")
    await other.bus.bucket("sessions").delete("lease.gone")
    await bus.beats(one, other, ms=60_000)
    assert other.held() == ["sess_1"]
    assert other.bus.stats.handler_errors == 0


async def test_the_lease_is_renewed_until_the_process_stops_also_after_the_bus_was_away(bus):
    one = await bus.process("session-1", lease_ms=600)
    bus.broker.stop()
    renewing = asyncio.ensure_future(one.leases.renew_forever())
    await settled()
    bus.broker.start()
    heard_ms = one.leases.known.heard_ms
    async with asyncio.timeout(25):
        while one.leases.known.heard_ms < heard_ms + 600:
            await asyncio.sleep(0.01)
    renewing.cancel()


def lease(lease_id, beat=0, lease_ms=LEASE_MS):
    return Lease(lease_id=lease_id, owner="x", beat=beat, lease_ms=lease_ms)


def test_a_beat_counts_once_however_often_it_is_told():
    leases = Leases(lease("own"))
    beat = leases.renewed()
    assert leases.heard_ms == 0
    for _ in range(3):
        leases.heard(beat)
    assert leases.heard_ms == BEAT_MS


def test_some_beats_may_be_lost_before_a_lease_runs_out():
    for lease_ms in (500, 2_000, LEASE_MS, 600_000):
        assert beat_every_ms(lease_ms) * 3 <= lease_ms
    assert beat_every_ms(600_000) == 5_000


def test_processes_that_came_and_went_are_forgotten_the_oldest_first():
    leases = Leases(lease("own"))
    for number in range(2 * KNOWN_MAX):
        leases.heard(lease(f"lease_{number}"))
    assert len(leases._others) == KNOWN_MAX
    assert "lease_0" not in leases._others


@given(st.lists(st.sampled_from(["own", "other", "written"]), max_size=60))
def test_a_lease_never_runs_out_sooner_than_it_lasts_after_the_last_sign_of_its_process(signs):
    leases, written_ms, last_ms = Leases(lease("own")), 0, 0
    leases.heard(lease("other"))
    for sign in signs:
        match sign:
            case "own":
                leases.heard(leases.renewed())
            case "other":
                leases.heard(lease("other"))
                last_ms = leases.heard_ms
            case "written":
                written_ms = last_ms = leases.heard_ms
        assert leases.expired_ms("other", written_ms=written_ms) == leases.heard_ms - last_ms - LEASE_MS
