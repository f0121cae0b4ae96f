"""Refusals of a burst go out behind what has a place, in portions; a single one is told at once."""

import asyncio
import dataclasses

from msgspec.structs import replace
from ringback_tools.domain.catalogue import Limits
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.usecases.last_in_line import EVERY_MS, PORTION, LastInLine


def test_a_call_of_another_tool_is_answered_before_the_burst_that_came_ahead_of_it_is_refused(world, kit):
    reading = world.tool("get_reservation")
    world.catalogue.all += (dataclasses.replace(reading, name="look_again"),)
    world.change("get_reservation", limits=Limits(concurrency_max=1, queue_max=0))
    world.ledger.read_fates.append(kit.Fate("hang"))
    refused = []

    async def one(service, n):
        result = await kit.result(service, replace(world.request("get_reservation"), action_id=f"act_{n}"))
        refused.append(result.error_code)

    async def scene():
        service = world.replica()
        hanging = asyncio.create_task(one(service, 0))
        await kit.passed(1)
        burst = [asyncio.create_task(one(service, n)) for n in range(1, 1_000)]
        await asyncio.sleep(0)
        other = await kit.result(service, world.request("look_again"))
        before = len(refused)
        began_ms = world.clock.elapsed_ms()
        await asyncio.wait(burst)
        took_ms = world.clock.elapsed_ms() - began_ms
        hanging.cancel()
        return other, before, took_ms

    other, before, took_ms = kit.run(scene())
    assert other.status is Status.OK
    assert before <= 2 * PORTION
    assert refused == [ErrorCode.OVERLOADED] * 999
    assert took_ms <= 1_000 * EVERY_MS / PORTION


def test_a_few_refusals_wait_for_nobody_and_the_rest_keeps_its_order(world, kit):
    line, gone = LastInLine(), []

    async def one(n):
        await line.turn()
        gone.append((n, round(world.clock.elapsed_ms())))

    async def scene():
        await asyncio.gather(*(one(n) for n in range(2 * PORTION + 1)))
        await kit.passed(10 * EVERY_MS)
        began_ms = world.clock.elapsed_ms()
        await line.turn()
        return world.clock.elapsed_ms() - began_ms

    assert kit.run(scene()) == 0
    portions = [0] * PORTION + [EVERY_MS] * PORTION + [2 * EVERY_MS]
    assert gone == list(enumerate(portions))


def test_no_more_wait_than_stated_and_whoever_left_keeps_nobody_waiting(world, kit):
    line = LastInLine(waiting_max=3)

    async def scene():
        turns = [asyncio.create_task(line.turn()) for _ in range(PORTION + 5)]
        await asyncio.sleep(0)
        done = [turn.done() for turn in turns]
        turns[PORTION].cancel()
        turns[PORTION + 1].cancel()
        await kit.passed(EVERY_MS)
        return done, turns[PORTION + 2].done()

    at_once, then = kit.run(scene())
    assert at_once == [True] * PORTION + [False] * 3 + [True] * 2
    assert then
