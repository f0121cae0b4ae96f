"""Erasure: the outcomes of a session that is over go; what runs, waits or is looked into stays, and the epoch, too."""

import pytest
from msgspec.structs import replace
from ringback_errors import InvalidInput
from ringback_events import MemoryBus, load_topology
from ringback_tools.adapters.facts import NoFacts
from ringback_tools.adapters.journal import KvJournal
from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord
from ringback_tools.domain.results import ErrorCode, Result, Status
from ringback_tools.ports import LostRace
from ringback_tools.usecases.erasing import ABANDONED_MS, QUEUED_MS, Erased, Erasing

NOW_MS = 1_800_000_000_000
DONE = OutcomeRecord(
    tenant="local",
    session_id="sess_1",
    action_id="act_1",
    epoch=1,
    tool="cancel",
    tool_version="1.0",
    arguments_json='{"reservation_id": "482915"}',
    arguments_digest="sha256:0",
    pack_digest="sha256:1",
    state=ActionState.FINISHED,
    owner="tools#1",
    result=Result(status=Status.OK, data_json="{}"),
    updated_at_ms=NOW_MS,
)
UNKNOWN = replace(DONE, result=Result(status=Status.UNKNOWN_OUTCOME, error_code=ErrorCode.UNKNOWN_OUTCOME))


class Now:
    def now_ms(self):
        return NOW_MS


@pytest.fixture(params=["memory", "bus"])
async def journal(request):
    if request.param == "memory":
        yield MemoryJournal()
        return
    bus = MemoryBus()
    await bus.ensure(load_topology(), "tools")
    yield KvJournal(bus.bucket("outcomes"))
    await bus.close()


def erasing(journal, *, open_here=(), facts=None):
    return Erasing(
        journal=journal,
        clock=Now(),
        facts=facts or NoFacts(),
        open_here=lambda session, action: (session, action) in open_here,
    )


async def test_each_erasure_is_told_for_the_audit_with_who_asked(journal):
    facts = NoFacts()
    await journal.create(DONE)
    erased = await erasing(journal, facts=facts).erase("local", "sess_1", actor="bo@host")
    assert facts.erased == [("local", "sess_1", erased.removed, 0, "bo@host")]
    await erasing(journal, facts=facts).erase("local", "sess_1", actor="bo@host")
    assert len(facts.erased) == 1
    with pytest.raises(InvalidInput, match="actor"):
        await erasing(journal).erase("local", "sess_1", actor="b" * 129)


async def test_finished_outcomes_and_the_epoch_go_and_other_sessions_stay(journal):
    for record in (DONE, replace(DONE, action_id="act_2"), replace(DONE, session_id="sess_10")):
        await journal.fence(record.session_id, epoch=1)
        await journal.create(record)
    assert await erasing(journal).erase("local", "sess_1") == Erased(found=3, removed=3, left=0)
    assert await journal.of_session("sess_1") == []
    assert not await journal.has_epoch("sess_1")
    assert len(await journal.of_session("sess_10")) == 1
    assert await journal.has_epoch("sess_10")
    assert await erasing(journal).erase("local", "sess_1") == Erased(found=0, removed=0, left=0)


@pytest.mark.parametrize(
    "kept",
    [
        replace(DONE, state=ActionState.ATTEMPTING, result=None),
        replace(DONE, state=ActionState.ADMITTED, result=None, updated_at_ms=NOW_MS - ABANDONED_MS + 1),
        replace(DONE, state=ActionState.ADMITTED, result=None, owner="", updated_at_ms=NOW_MS - ABANDONED_MS),
        replace(DONE, late_fact_due=True),
    ],
    ids=["attempting", "admitted", "queued", "not yet told"],
)
async def test_what_is_still_needed_counts_as_left_and_keeps_the_epoch(journal, kept):
    await journal.fence("sess_1", epoch=1)
    await journal.create(kept)
    await journal.create(replace(DONE, action_id="act_2"))
    assert await erasing(journal).erase("local", "sess_1") == Erased(found=3, removed=1, left=2)
    assert [stored.record.action_id for stored in await journal.of_session("sess_1")] == ["act_1"]


async def test_an_outcome_not_known_stays_while_it_is_looked_into_and_goes_when_nobody_can_find_out(journal):
    await journal.create(UNKNOWN)
    looked_into = erasing(journal, open_here={("sess_1", "act_1")})
    assert (await looked_into.erase("local", "sess_1")).left == 1
    assert await erasing(journal).erase("local", "sess_1") == Erased(found=1, removed=1, left=0)


@pytest.mark.parametrize(("owner", "waits_ms"), [("tools#1", ABANDONED_MS), ("", QUEUED_MS)])
async def test_an_action_that_nobody_will_begin_any_more_goes(journal, owner, waits_ms):
    waited = {"result": None, "owner": owner, "updated_at_ms": NOW_MS - waits_ms}
    await journal.create(replace(DONE, state=ActionState.ADMITTED, **waited))
    assert (await erasing(journal).erase("local", "sess_1")).left == 0


async def test_another_tenants_session_is_not_found(journal):
    await journal.create(DONE)
    assert await erasing(journal).erase("other", "sess_1") == Erased(found=0, removed=0, left=0)
    assert len(await journal.of_session("sess_1")) == 1


async def test_a_removal_does_not_take_away_what_was_written_since(journal):
    stored = await journal.create(DONE)
    await journal.update(stored, replace(DONE, late_fact_due=True))
    with pytest.raises(LostRace):
        await journal.remove(stored)
    assert len(await journal.of_session("sess_1")) == 1


async def test_a_session_can_act_again_after_its_epoch_was_forgotten(journal):
    await journal.fence("sess_1", epoch=3)
    await journal.forget_epoch("sess_1")
    await journal.fence("sess_1", epoch=1)
    assert await journal.has_epoch("sess_1")
