"""Erasure: what is purged is gone for every reader, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest
from ringback_errors import InvalidInput
from ringback_events import Bus, Delivery, audit_subject, event_subject, session_events

ONE = event_subject("local", "sess_1", "user_turn_ended")
TWO = event_subject("local", "sess_2", "user_turn_ended")


async def _stored(bus: Bus, subject: str) -> list[Delivery]:
    found: list[Delivery] = []
    marker = event_subject("local", "sess_mark", "mark")
    await bus.publish_now(marker, b"", msg_id=f"mark-{subject}-{id(found)}")
    ended = asyncio.Event()

    async def take(delivery: Delivery) -> None:
        if delivery.subject == marker:
            ended.set()
        else:
            found.append(delivery)

    reading = await bus.ephemeral("ringback.events.>", take, start="all")
    async with asyncio.timeout(10):
        await ended.wait()
    await reading.close()
    await bus.purge(marker)
    return [one for one in found if one.subject.startswith(subject.removesuffix(">"))]


async def test_a_purge_takes_one_sessions_facts_and_leaves_the_others(bus: Bus) -> None:
    for number in range(3):
        await bus.publish_now(ONE, b"1", msg_id=f"1:{number}")
        await bus.publish_now(TWO, b"2", msg_id=f"2:{number}")
    assert await bus.purge(session_events("local", "sess_1")) == 3
    assert await bus.purge(session_events("local", "sess_1")) == 0
    assert await _stored(bus, session_events("local", "sess_1")) == []
    assert len(await _stored(bus, session_events("local", "sess_2"))) == 3


async def test_one_message_is_erased_by_its_number_and_erasing_it_again_is_no_error(bus: Bus) -> None:
    first = await bus.publish_now(ONE, b"first", msg_id="first")
    await bus.publish_now(ONE, b"second", msg_id="second")
    await bus.erase("EVENTS", first)
    await bus.erase("EVENTS", first)
    left = await _stored(bus, session_events("local", "sess_1"))
    assert [one.payload for one in left] == [b"second"]


async def test_nothing_is_removed_from_an_append_only_stream(bus: Bus) -> None:
    with pytest.raises(InvalidInput, match="append-only"):
        await bus.purge(audit_subject("local", "decision"))
