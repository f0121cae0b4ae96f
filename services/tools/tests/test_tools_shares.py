"""Whose trouble is whose: budgets of retries, what a breaker counts, and how often an outcome is looked for."""

import asyncio
import dataclasses
import itertools
from contextlib import suppress

import pytest
from msgspec.structs import replace
from ringback_tools.domain.catalogue import FallbackRule, SideEffect
from ringback_tools.domain.results import ErrorCode, FallbackKind, Result, Status
from ringback_tools.ports import LostRace
from ringback_tools.usecases.journaling import Scribe
from ringback_tools.usecases.reconciler import CAP_MS

READ, WRITE = "get_reservation", "cancel_reservation"


def without_breaker(world):
    for name in (READ, WRITE):
        world.change(name, breaker=replace(world.tool(name).breaker, failures_max=10_000, rate_max=1.1))


async def spent(world, kit, service):
    """Ask until a failure is not repeated any more."""
    world.ledger.read_fates.extend([kit.Fate("away")] * 1_000)
    for ordinal in range(1, 201):
        if (await kit.result(service, world.request(READ, ordinal=ordinal))).attempts == 1:
            world.ledger.read_fates.clear()
            return
    raise AssertionError("the budget of retries has no end")


def test_one_tenants_retries_leave_another_tenant_its_own(world, kit):
    without_breaker(world)

    async def scene():
        service = world.replica()
        await spent(world, kit, service)
        world.ledger.read_fates.extend([kit.Fate("away")])
        return await kit.result(service, world.request(READ, ordinal=999, tenant="other"))

    result = kit.run(scene())
    assert (result.status, result.attempts) == (Status.OK, 2)


def test_one_tools_retries_leave_another_tool_its_own(world, kit):
    without_breaker(world)

    async def scene():
        service = world.replica()
        await spent(world, kit, service)
        world.ledger.fates.extend([kit.Fate("away")])
        return await kit.result(service, world.request(WRITE))

    result = kit.run(scene())
    assert (result.status, result.attempts) == (Status.OK, 2)


def test_a_systems_own_no_is_an_answer_and_opens_no_breaker(world, kit):
    world.change(READ, breaker=replace(world.tool(READ).breaker, failures_max=2, rate_calls_min=2))

    async def scene():
        service = world.replica()
        asked = [world.request(READ, ordinal=n, arguments={"reservation_id": "111111"}) for n in range(1, 11)]
        return [await kit.result(service, each) for each in asked]

    results = kit.run(scene())
    assert {result.error_code for result in results} == {ErrorCode.NOT_FOUND}
    assert results[-1].open_breakers == ()
    assert len(world.ledger.calls) == 10


@pytest.mark.parametrize("effect", [SideEffect.WRITE, SideEffect.IRREVERSIBLE])
def test_whatever_changes_the_world_needs_a_proof(world, kit, effect):
    world.change(WRITE, side_effect=effect)
    result = kit.run(kit.result(world.replica(), world.request(WRITE, proof=False)))
    assert (result.error_code, world.ledger.calls) == (ErrorCode.FORBIDDEN, [])


def test_a_lost_answer_of_a_keyed_write_is_looked_for_before_it_is_sent_again(world, kit):
    world.ledger.fates.append(kit.Fate("drop_after"))
    assert kit.run(kit.result(world.replica(), world.request())).status is Status.OK
    assert [method for method, _ in world.ledger.calls] == ["POST", "GET"]


async def reconciled(world, kit, *, for_ms):
    """What the background makes of a write whose answer was lost, and when it looked."""
    looked_ms = []
    serve = world.ledger.call

    async def call(one):
        looked_ms.append(world.clock.elapsed_ms())
        return await serve(one)

    world.ledger.call = call
    service = world.replica()
    background = asyncio.create_task(service.reconciler.run())
    told = await kit.result(service, world.request())
    looked_ms.clear()
    await kit.passed(for_ms)
    background.cancel()
    return told, looked_ms


def test_the_background_does_not_believe_not_done_while_a_late_request_may_still_arrive(keyless, kit):
    check = dataclasses.replace(keyless.tool(WRITE).check, settle_ms=3_000)
    keyless.change(WRITE, attempt_timeout_ms=1_000, deadline_ms=1_200, check=check)
    # Booked after the caller was told "not known" and the background has looked once, and before it has settled.
    keyless.ledger.fates.append(kit.Fate(delay_ms=3_500))
    told, _ = kit.run(reconciled(keyless, kit, for_ms=600_000))
    assert told.status is Status.UNKNOWN_OUTCOME
    assert len(keyless.ledger.entries) == 1
    assert keyless.record(keyless.request()).result.status is Status.OK


def test_the_background_looks_ever_more_rarely(keyless, kit):
    keyless.ledger.fates.append(kit.Fate("apply_and_hang"))
    keyless.ledger.read_fates.extend([kit.Fate("refuse")] * 10_000)
    told, looked_ms = kit.run(reconciled(keyless, kit, for_ms=3_000_000))
    assert told.status is Status.UNKNOWN_OUTCOME
    gaps_ms = [after - before for before, after in itertools.pairwise(looked_ms)]
    assert 10 < len(looked_ms) < 40
    assert gaps_ms[-1] > 50 * gaps_ms[0]
    assert max(gaps_ms) <= CAP_MS + 5_000


def test_one_tenants_good_answer_stands_in_for_no_other_tenant(world, kit):
    world.change(READ, fallback=FallbackRule(kind=FallbackKind.CACHED, age_max_ms=60_000))
    without_breaker(world)

    async def scene():
        service = world.replica()
        await kit.result(service, world.request(READ))
        world.ledger.read_fates.extend([kit.Fate("away")] * 20)
        theirs = await kit.result(service, world.request(READ, ordinal=2, tenant="other"))
        return await kit.result(service, world.request(READ, ordinal=3)), theirs

    own, theirs = kit.run(scene())
    assert (own.status, own.fallback.kind) == (Status.OK, FallbackKind.CACHED)
    assert (theirs.status, theirs.error_code) == (Status.ERROR, ErrorCode.TOOL_UNAVAILABLE)


def test_an_outcome_that_is_not_known_promises_what_the_tool_promises(keyless, kit):
    keyless.change(WRITE, check=None)
    keyless.ledger.fates.append(kit.Fate("drop_after"))
    result = kit.run(kit.result(keyless.replica(), keyless.request()))
    assert result.status is Status.UNKNOWN_OUTCOME
    assert result.fallback.kind is keyless.tool(WRITE).fallback.kind is FallbackKind.CALLBACK
    assert result.fallback.message == result.message


async def raced(world, kit, *, meanwhile, definitive):
    """An outcome of ours over a record that somebody changed meanwhile."""
    request = world.request()
    service = world.replica()
    world.ledger.fates.append(kit.Fate("drop_after"))
    await kit.result(service, request)
    scribe = Scribe(journal=world.journal, clock=world.clock, owner="tools-9#1")
    before = await world.journal.get(request.session_id, request.action_id)
    await world.journal.update(before, replace(before.record, result=meanwhile))
    ours = replace(before.record.result, status=Status.OK, error_code=None, message="ours")
    with suppress(LostRace):
        await scribe.finish(before, ours, definitive=definitive)
    return world.record(request).result.message


@pytest.mark.parametrize(
    ("known", "definitive", "kept"),
    [(False, True, "ours"), (False, False, "theirs"), (True, True, "theirs"), (True, False, "theirs")],
)
def test_the_systems_own_word_wins_over_a_doubt_and_nothing_wins_over_a_known_outcome(
    keyless, kit, known, definitive, kept
):
    keyless.change(WRITE, check=None)
    status = Status.OK if known else Status.UNKNOWN_OUTCOME
    theirs = Result(status=status, message="theirs")
    assert kit.run(raced(keyless, kit, meanwhile=theirs, definitive=definitive)) == kept
