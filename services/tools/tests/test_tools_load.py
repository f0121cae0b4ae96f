"""A thousand calls at once: bounded, each with its own typed end, and other tools not hurt."""

import asyncio
import dataclasses

from msgspec.structs import replace
from ringback_tools.domain.catalogue import Limits
from ringback_tools.domain.results import ErrorCode, Status


def test_a_thousand_parallel_calls_end_typed_within_the_bounds_and_leave_others_alone(world, kit):
    limits = Limits(concurrency_max=10, queue_max=50)
    world.change(
        "get_reservation", limits=limits, fallback=dataclasses.replace(world.tool("get_reservation").fallback)
    )
    world.ledger.read_fates.extend([kit.Fate("ok", 200)] * 1_000)
    running, most = 0, 0
    call = world.ledger.call

    async def counted(one):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await call(one)
        finally:
            running -= 1

    world.ledger.call = counted

    async def scene():
        service = world.replica()
        many = [
            asyncio.create_task(
                kit.result(service, replace(world.request("get_reservation"), action_id=f"act_{n}"))
            )
            for n in range(1_000)
        ]
        await kit.passed(1)
        began_ms = world.clock.elapsed_ms()
        other = await kit.result(service, world.request("cancel_reservation"))
        took_ms = world.clock.elapsed_ms() - began_ms
        return await asyncio.gather(*many), other, took_ms, service

    results, other, took_ms, service = kit.run(scene())
    ended = [result.error_code for result in results]
    assert ended.count(None) == 60
    assert ended.count(ErrorCode.OVERLOADED) == 940
    assert most <= 11
    assert (other.status, took_ms < 50) == (Status.OK, True)
    assert service.executor.running == 0


def test_more_executions_than_a_replica_holds_are_refused_at_once(world, kit):
    async def scene():
        service = world.replica()
        service.executor._executions_max = 5
        world.ledger.read_fates.extend([kit.Fate("ok", 500)] * 5)
        tasks = [
            asyncio.create_task(
                kit.result(service, replace(world.request("get_reservation"), action_id=f"act_{n}"))
            )
            for n in range(9)
        ]
        return await asyncio.gather(*tasks)

    codes = [result.error_code for result in kit.run(scene())]
    assert codes.count(ErrorCode.OVERLOADED) == 4


def test_a_new_declaration_of_a_tools_limits_counts_without_a_restart(world, kit):
    world.change("get_reservation", limits=Limits(concurrency_max=1, queue_max=0))
    world.ledger.read_fates.extend([kit.Fate("ok", 200)] * 6)

    async def at_once(service, names):
        requests = (replace(world.request("get_reservation"), action_id=name) for name in names)
        return await asyncio.gather(*(kit.result(service, request) for request in requests))

    async def scene():
        service = world.replica()
        before = await at_once(service, ["act_1", "act_2", "act_3"])
        world.change("get_reservation", limits=Limits(concurrency_max=3, queue_max=0))
        return before, await at_once(service, ["act_4", "act_5", "act_6"])

    before, after = kit.run(scene())
    assert [result.error_code for result in before].count(ErrorCode.OVERLOADED) == 2
    assert [result.status for result in after] == [Status.OK] * 3
