"""Admission: a live call goes before background work, and a slow system gets fewer calls at once, never none."""

import asyncio

import pytest
from ringback_errors import Overloaded
from ringback_tools.domain.breaker import BreakerRule
from ringback_tools.domain.catalogue import Limits
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
            slots.release(duration_ms=1, congested=False)
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
            slots.release(duration_ms=1, congested=False)
            await kit.passed(1)
        await asyncio.gather(*tasks)
        return refused, got[len(refused) :]

    refused, served = kit.run(scene())
    assert [name for name, _ in sorted(refused)] == [1, 3]
    assert any("a live call took the place" in why for _, why in refused)
    assert served == [(2, "slot"), (0, "slot")]


def test_slow_answers_lower_the_limit_to_its_floor_and_quick_ones_raise_it_again(bulkhead, kit):
    async def scene():
        slots, seen = bulkhead(concurrency_max=8, concurrency_min=2, slow_ms=100), []

        async def answered(duration_ms):
            while slots.free:
                await slots.acquire(LIVE, wait_ms=0)
            slots.release(duration_ms=duration_ms, congested=False)
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
