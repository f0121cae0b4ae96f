"""Admission: a live call goes before background work, and a slow system gets fewer calls at once, never none."""

import asyncio

import pytest
from ringback_errors import Overloaded
from ringback_tools.domain.breaker import BreakerRule
from ringback_tools.domain.catalogue import Limits, RetryRule
from ringback_tools.usecases.bulkheads import Bulkhead
from ringback_tools.usecases.execution import Priority

LIVE, BACKGROUND = Priority.LIVE_CALL, Priority.BACKGROUND


@pytest.fixture
def bulkhead(world):
    def made(*, slow_ms=0, **limits):
        world.change("get_reservation", limits=Limits(**limits), breaker=BreakerRule(slow_ms=slow_ms))
        return Bulkhead(tool=world.tool("get_reservation"), clock=world.clock)

    return made


async def queued(bulkhead, *priorities, got):
    """One waiting call of each priority, in this order; `got` tells who got a slot, or that it was refused."""

    async def wait(name, priority):
        try:
            await bulkhead.acquire(priority, wait_ms=60_000)
        except Overloaded as refused:
            got.append((name, str(refused)))
        else:
            got.append((name, "slot"))

    tasks = []
    for number, priority in enumerate(priorities):
        tasks.append(asyncio.create_task(wait(number, priority)))
        await asyncio.sleep(0)
    return tasks


def test_a_live_call_gets_the_next_slot_before_background_work_that_came_first(bulkhead, kit):
    async def scene():
        slots, got = bulkhead(concurrency_max=1, queue_max=4), []
        await slots.acquire(LIVE, wait_ms=0)
        tasks = await queued(slots, BACKGROUND, BACKGROUND, LIVE, LIVE, got=got)
        for _ in tasks:
            slots.release()
            await kit.passed(1)
        return got

    assert [name for name, _ in kit.run(scene())] == [2, 3, 0, 1]


def test_a_live_call_takes_the_place_of_the_last_background_work_in_a_full_queue_and_not_the_other_way(
    bulkhead, kit
):
    async def scene():
        slots, got = bulkhead(concurrency_max=1, queue_max=2), []
        await slots.acquire(LIVE, wait_ms=0)
        tasks = await queued(slots, BACKGROUND, BACKGROUND, LIVE, BACKGROUND, got=got)
        await kit.passed(1)
        refused = list(got)
        for _ in range(2):
            slots.release()
            await kit.passed(1)
        await asyncio.gather(*tasks)
        return refused, got[len(refused) :]

    refused, served = kit.run(scene())
    assert [name for name, _ in sorted(refused)] == [1, 3]
    assert any("a live call took the place" in why for _, why in refused)
    assert served == [(2, "slot"), (0, "slot")]


def test_latency_alone_takes_no_slot_where_no_limit_is_declared_and_failures_do(bulkhead, kit):
    async def scene():
        slots = bulkhead(concurrency_max=8, concurrency_min=2)

        async def ended(duration_ms, *, congested=False):
            while slots.free:
                await slots.acquire(LIVE, wait_ms=0)
            slots.learn(duration_ms=duration_ms, congested=congested)
            slots.release()
            await kit.passed(1_000)
            return slots.slots

        uneven = [await ended(duration_ms) for duration_ms in (8, 900, 8, 8, 60_000, 8, 300)]
        return uneven, await ended(8, congested=True)

    uneven, after_failure = kit.run(scene())
    assert uneven == [8] * 7
    assert after_failure < 8


def test_slow_answers_lower_the_limit_to_its_floor_and_quick_ones_raise_it_again(bulkhead, kit):
    async def scene():
        slots, seen = bulkhead(concurrency_max=8, concurrency_min=2, slow_ms=100), []

        async def answered(duration_ms):
            while slots.free:
                await slots.acquire(LIVE, wait_ms=0)
            slots.learn(duration_ms=duration_ms, congested=False)
            slots.release()
            seen.append(slots.slots)

        for _ in range(6):
            await answered(500)
            await kit.passed(1_000)
        lowest = seen[-1]
        for _ in range(60):
            await answered(10)
        return seen[:6], lowest, seen[-1]

    falling, lowest, risen = kit.run(scene())
    assert falling == sorted(falling, reverse=True)
    assert (lowest, risen) == (2, 8)


@pytest.mark.parametrize(("kind", "at_once"), [("ok", 8), ("busy", 5), ("refuse", 5)])
def test_a_system_that_fails_or_says_it_is_asked_too_much_gets_fewer_calls_at_once(world, kit, kind, at_once):
    limits = Limits(concurrency_max=8, concurrency_min=2)
    world.change("get_reservation", limits=limits, retry=RetryRule(attempts_max=1))

    async def scene():
        service, ledger = world.replica(), world.ledger

        def asked(ordinal):
            return kit.result(service, world.request("get_reservation", ordinal=ordinal, proof=False))

        ledger.read_fates.append(kit.Fate(kind))
        await asked(1)
        ledger.calls.clear()
        ledger.read_fates.extend([kit.Fate("ok", delay_ms=500)] * 8)
        calls = [asyncio.create_task(asked(ordinal)) for ordinal in range(2, 10)]
        await kit.passed(100)
        begun = len(ledger.calls)
        await asyncio.gather(*calls)
        return begun

    assert kit.run(scene()) == at_once
