"""When a record is written: soon after anything happened, and of a call in which nothing does, hardly ever."""

import asyncio

from ringback_events import MemoryBroker, MemoryBus
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.ports import Pinned, Record
from ringback_session.simulation.virtual_loop import run_virtually
from ringback_session.usecases.keeping import BEHIND_MS_MAX, GATHER_MS, UNWRITTEN_MS_MAX, Keeper
from ringback_session.usecases.leases import Lease, Leases
from ringback_testkit import FakeClock

PINNED = Pinned(tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="a")


class Quiet:
    """One record that is kept, in virtual time, with the writes of it counted."""

    async def opens(self):
        self.bus = MemoryBus(MemoryBroker())
        records = RecordsInBucket(self.bus, FakeClock(), Leases(Lease("lease_1", "session-0", 0, 15_000)))
        record = await records.create(Record(session_id="sess_1", tenant="local", epoch=1, owner="session-0"))
        self.keeper = Keeper(
            record=record,
            records=records,
            facts=None,
            clock=FakeClock(),
            pinned=PINNED,
            take_snapshot=lambda: b"state",
            on_fenced=lambda: None,
        )
        self.first = record.revision
        self.running = asyncio.ensure_future(self.keeper.run())

    async def passes(self, ms):
        """Virtual time goes by."""
        loop = asyncio.get_running_loop()
        due = loop.create_future()
        loop.call_later(ms / 1000, due.set_result, None)
        await due

    @property
    def writes(self):
        return self.keeper.record.revision - self.first

    async def closes(self):
        self.running.cancel()
        await self.bus.close()


def in_virtual_time(work):
    async def whole(loop):
        quiet = Quiet()
        await quiet.opens()
        await work(quiet)
        await quiet.closes()

    run_virtually(whole, seed=1)


def test_a_call_in_which_nothing_happens_is_not_written():
    async def work(quiet):
        await quiet.passes(UNWRITTEN_MS_MAX - 1_000)
        assert quiet.writes == 0

    in_virtual_time(work)


def test_now_and_then_it_is_so_that_a_release_which_judges_by_the_record_leaves_it_alone():
    async def work(quiet):
        await quiet.passes(10 * UNWRITTEN_MS_MAX)
        assert 9 <= quiet.writes <= 10

    in_virtual_time(work)


def test_what_happened_is_in_the_record_soon_without_being_asked_for():
    async def work(quiet):
        await quiet.passes(60_000)
        quiet.keeper.stirred()
        await quiet.passes(BEHIND_MS_MAX - 100)
        assert quiet.writes == 0
        await quiet.passes(200 + GATHER_MS)
        assert quiet.writes == 1
        await quiet.passes(60_000)
        assert quiet.writes == 1

    in_virtual_time(work)


def test_a_call_in_which_something_happens_all_the_time_is_written_no_oftener_than_that():
    async def work(quiet):
        for _ in range(600):
            quiet.keeper.stirred()
            await quiet.passes(100)
        assert 60_000 // BEHIND_MS_MAX - 2 <= quiet.writes <= 60_000 // BEHIND_MS_MAX

    in_virtual_time(work)


def test_what_is_asked_for_is_written_at_once_and_only_once():
    async def work(quiet):
        await quiet.passes(60_000)
        quiet.keeper.stirred()
        quiet.keeper.soon()
        await quiet.passes(2 * GATHER_MS)
        assert quiet.writes == 1
        await quiet.passes(60_000)
        assert quiet.writes == 1

    in_virtual_time(work)


def test_a_journal_in_between_leaves_nothing_to_write():
    async def work(quiet):
        quiet.keeper.stirred()
        await quiet.passes(1_000)
        await quiet.keeper.write()
        await quiet.passes(60_000)
        assert quiet.writes == 1

    in_virtual_time(work)
