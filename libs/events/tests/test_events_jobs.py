"""A work queue: what is done is gone, what is too much is refused, and how long the oldest waits is known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ringback_errors import Overloaded
from ringback_events import (
    ALL_CONTROL,
    Backlog,
    ConsumePolicy,
    Delivery,
    MemoryBroker,
    MemoryBus,
    control_subject,
    job_subject,
    load_topology,
)

SUBJECT = job_subject("tools", "local")


async def test_work_goes_when_it_is_done_and_the_backlog_says_what_waits(world: Any, wait_until: Any) -> None:
    bus = await world.bus()
    assert await bus.backlog("JOBS", durable="tools") == Backlog()
    begun, go = asyncio.Event(), asyncio.Event()
    done: list[bytes] = []

    async def work(delivery: Delivery) -> None:
        begun.set()
        await go.wait()
        done.append(delivery.payload)

    policy = ConsumePolicy(drain_ms=100)
    subscription = await bus.consume(
        "JOBS", durable="tools", handler=work, max_ack_pending=1, batch_max=1, policy=policy
    )
    for n in range(3):
        await bus.publish_now(SUBJECT, b"%d" % n, msg_id=f"act_{n}")
    await asyncio.wait_for(begun.wait(), 10)
    waiting = await bus.backlog("JOBS", durable="tools")
    assert waiting.waiting == 2
    assert waiting.oldest_at_ms > 1_600_000_000_000
    go.set()
    await wait_until(lambda: len(done) == 3)
    assert (await bus.backlog("JOBS", durable="tools")).waiting == 0
    await subscription.close()
    again: list[bytes] = []

    async def late(delivery: Delivery) -> None:
        again.append(delivery.payload)

    await bus.publish_now(SUBJECT, b"last", msg_id="act_last")
    await bus.consume("JOBS", durable="tools", handler=late)
    await wait_until(lambda: bool(again))
    assert again == [b"last"]


async def test_a_full_queue_refuses_what_comes_on_top() -> None:
    text = """
streams:
  JOBS: {subjects: ["ringback.jobs.>"], owner: tools, needed_by: [], description: d, work_queue: true,
         age_max_hours: 1, bytes_max_mib: 1, messages_max: 2, message_max_kib: 1, duplicate_window_s: 1}
"""
    bus = MemoryBus(MemoryBroker(topology=load_topology(text)))
    try:
        for n in range(2):
            await bus.publish_now(SUBJECT, b"x", msg_id=f"act_{n}")
        with pytest.raises(Overloaded):
            await bus.publish_now(SUBJECT, b"x", msg_id="act_3")
    finally:
        await bus.close()


async def test_a_tail_says_when_it_has_caught_up(world: Any) -> None:
    bus = await world.bus()
    for n in range(3):
        await bus.publish_now(control_subject("tool_disabled"), b"%d" % n, msg_id=f"ctl_{n}")
    seen: list[bytes] = []

    async def take(delivery: Delivery) -> None:
        seen.append(delivery.payload)

    tail = await bus.ephemeral(ALL_CONTROL, take, start="all")
    await tail.wait_caught_up()
    assert seen == [b"0", b"1", b"2"]
