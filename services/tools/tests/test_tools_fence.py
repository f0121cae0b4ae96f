"""A write begins by one compare-and-set beside its fence: what is stored when either fails, and what it costs."""

import asyncio

from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.ports import JournalAway


class Counting(MemoryJournal):
    """Counts writes, and fails the fence on order."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.fence_fails = False

    async def fence(self, session_id, *, epoch):
        self.calls.append("fence")
        await asyncio.sleep(0)
        if self.fence_fails:
            raise JournalAway("no answer")
        await super().fence(session_id, epoch=epoch)

    async def get(self, session_id, action_id):
        self.calls.append("get")
        return await super().get(session_id, action_id)

    async def create(self, record):
        self.calls.append("create")
        return await super().create(record)

    async def update(self, stored, record):
        self.calls.append("update")
        return await super().update(stored, record)


def test_a_new_write_costs_two_compare_and_sets_and_a_fence_and_no_read(world, kit):
    world.journal = Counting()
    result = kit.run(kit.result(world.replica(), world.request()))
    assert result.status is Status.OK
    assert sorted(world.journal.calls) == ["create", "fence", "update"]


def test_a_write_of_an_old_owner_is_withdrawn_before_it_is_sent(world, kit):
    world.journal = Counting()

    async def scene():
        service = world.replica()
        await world.journal.fence(world.request().session_id, epoch=3)
        refused = await kit.result(service, world.request(epoch=2))
        assert refused.error_code is ErrorCode.FENCED
        record = world.record(world.request())
        assert (record.state, record.attempt) == (ActionState.ADMITTED, 0)
        assert world.ledger.calls == []
        began_ms = world.clock.elapsed_ms()
        done = await kit.result(world.replica("tools-2"), world.request(epoch=3))
        return done, world.clock.elapsed_ms() - began_ms

    done, took_ms = kit.run(scene())
    assert done.status is Status.OK
    assert took_ms < 100, "nobody waits for the deadline of an attempt that was never sent"
    assert len(world.ledger.entries) == 1


def test_a_fence_that_cannot_be_passed_sends_nothing(world, kit):
    world.journal = Counting()
    world.journal.fence_fails = True

    async def scene():
        service = world.replica()
        away = await kit.result(service, world.request())
        assert (away.status, away.error_code) == (Status.ERROR, ErrorCode.TOOL_UNAVAILABLE)
        assert world.ledger.calls == []
        world.journal.fence_fails = False
        await kit.passed(1)
        return await kit.result(service, world.request())

    assert kit.run(scene()).status is Status.OK
    assert len(world.ledger.entries) == 1


def test_a_tool_that_nobody_can_settle_is_admitted_first(keyless, kit):
    keyless.change("cancel_reservation", check=None)
    keyless.journal = Counting()
    result = kit.run(kit.result(keyless.replica(), keyless.request()))
    assert result.status is Status.OK
    assert sorted(keyless.journal.calls) == ["create", "fence", "update", "update"]


def test_a_stored_outcome_is_returned_also_while_the_breaker_is_open_or_every_slot_is_taken(world, kit):
    async def scene():
        service = world.replica()
        await kit.result(service, world.request())
        service.switches.turn("cancel_reservation", off=True, reason="audit")
        return await kit.result(service, world.request())

    again = kit.run(scene())
    assert again.already_done
    assert len(world.ledger.entries) == 1
