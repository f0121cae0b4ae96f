"""What every bucket and object store promises: the same suite for the one in memory and the one on a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ringback_errors import Conflict, InvalidInput
from ringback_events import Bus, Entry


async def test_compare_and_set(bus: Bus) -> None:
    bucket = bus.bucket("sessions")
    assert await bucket.get("sess_a") is None
    first = await bucket.create("sess_a", b"1")
    with pytest.raises(Conflict):
        await bucket.create("sess_a", b"2")
    second = await bucket.update("sess_a", b"2", revision=first)
    assert second > first
    with pytest.raises(Conflict):
        await bucket.update("sess_a", b"3", revision=first)
    assert await bucket.get("sess_a") == Entry(b"2", second)
    with pytest.raises(Conflict):
        await bucket.delete("sess_a", revision=first)
    await bucket.delete("sess_a", revision=second)
    assert await bucket.get("sess_a") is None
    third = await bucket.create("sess_a", b"4")
    with pytest.raises(Conflict):
        await bucket.update("sess_a", b"5", revision=second)
    assert await bucket.get("sess_a") == Entry(b"4", third)


async def test_only_one_of_many_wins_a_compare_and_set(bus: Bus) -> None:
    bucket = bus.bucket("outcomes")
    revision = await bucket.create("epoch/sess_a", b"0")
    results = await asyncio.gather(
        *(bucket.update("epoch/sess_a", b"%d" % n, revision=revision) for n in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_keys_by_prefix_without_the_deleted(bus: Bus) -> None:
    bucket = bus.bucket("outcomes")
    for key in ("sess_a.act_1", "sess_a.act_2", "sess_ab.act_3", "sess_b.act_4"):
        await bucket.put(key, b"x")
    await bucket.delete("sess_a.act_2")
    assert await bucket.keys("sess_a.") == ["sess_a.act_1"]
    assert await bucket.keys("sess_a") == ["sess_a.act_1", "sess_ab.act_3"]
    assert await bucket.keys() == ["sess_a.act_1", "sess_ab.act_3", "sess_b.act_4"]
    assert await bucket.keys("nothing.") == []


async def test_an_empty_value_is_a_value(bus: Bus) -> None:
    bucket = bus.bucket("policy")
    revision = await bucket.put("a", b"")
    assert await bucket.get("a") == Entry(b"", revision)


@pytest.mark.parametrize("key", ["", ".a", "a.", "a..b", "a b", "a*", "a>", "ä", "a" * 300])
async def test_a_key_that_is_none_is_refused(bus: Bus, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await bus.bucket("sessions").put(key, b"")
    assert caught.value.field == "key"


async def test_a_value_above_the_bound_is_refused(bus: Bus) -> None:
    with pytest.raises(InvalidInput, match="value: at most"):
        await bus.bucket("callers").put("a", b"x" * 300_000)


async def test_a_watch_tells_what_is_there_then_every_change(world: Any, wait_until: Any) -> None:
    bus = await world.bus()
    bucket = bus.bucket("policy")
    await bucket.put("active.a", b"1")
    await bucket.put("active.gone", b"1")
    await bucket.delete("active.gone")
    await bucket.put("other", b"1")
    seen: list[tuple[str, bytes | None]] = []

    async def handle(key: str, entry: Entry | None) -> None:
        seen.append((key, entry.value if entry else None))

    watch = await bucket.watch("active.", handle)
    assert seen == [("active.a", b"1")]
    await bucket.put("active.a", b"2")
    await bucket.put("other", b"2")
    await bucket.delete("active.a")
    await wait_until(lambda: len(seen) == 3)
    await world.server_gone()
    await world.server_back()
    await bucket.put("active.b", b"3")
    await wait_until(lambda: len(seen) == 4)
    assert seen[1:] == [("active.a", b"2"), ("active.a", None), ("active.b", b"3")]
    await watch.close()


async def test_a_watch_with_a_pace_tells_the_last_value_of_each_key_in_the_end(
    world: Any, wait_until: Any
) -> None:
    bus = await world.bus()
    bucket = bus.bucket("policy")
    await bucket.put("a", b"0")
    seen: dict[str, bytes | None] = {}

    async def handle(key: str, entry: Entry | None) -> None:
        seen[key] = entry.value if entry else None

    watch = await bucket.watch("", handle, pace_ms=20)
    assert seen == {"a": b"0"}
    for n in range(1, 301):
        await bucket.put(f"b{n % 7}", b"%d" % n)
    await bucket.delete("a")
    await wait_until(lambda: seen.get("a", b"") is None)
    assert {int(value or 0) for key, value in seen.items() if key != "a"} == set(range(294, 301))
    await world.server_gone()
    await world.server_back()
    await bucket.put("a", b"1")
    await wait_until(lambda: seen["a"] == b"1")
    await watch.close()


async def test_objects_are_kept_and_replaced(bus: Bus) -> None:
    objects = bus.objects("packs")
    assert await objects.get("a") is None
    assert await objects.list() == []
    await objects.put("a", b"x" * 400_000)
    await objects.put("head.name", b"1")
    await objects.put("head.name", b"2")
    await objects.put("empty", b"")
    assert await objects.get("a") == b"x" * 400_000
    assert await objects.get("head.name") == b"2"
    assert await objects.get("empty") == b""
    assert await objects.list() == ["a", "empty", "head.name"]


async def test_a_watch_of_summaries_is_told_of_changes_without_their_values(
    bus: Bus, wait_until: Any
) -> None:
    bucket = bus.bucket("sessions")
    told: list[tuple[str, Entry | None]] = []

    async def handle(key: str, entry: Entry | None) -> None:
        told.append((key, entry))

    first = await bucket.put("r.a", b"x" * 1_000, summary="a:1")
    watch = await bucket.watch("r.", handle, summaries=True)
    assert told == [("r.a", Entry(b"", first, "a:1"))]
    made = await bucket.create("r.b", b"y", summary="b:1")
    await wait_until(lambda: told[-1] == ("r.b", Entry(b"", made, "b:1")))
    changed = await bucket.update("r.a", b"z", revision=first, summary="a:2")
    await wait_until(lambda: told[-1] == ("r.a", Entry(b"", changed, "a:2")))
    bare = await bucket.put("r.b", b"written by who knows no summaries")
    await wait_until(lambda: told[-1] == ("r.b", Entry(b"", bare)))
    await bucket.delete("r.a")
    await wait_until(lambda: told[-1] == ("r.a", None))
    assert await bucket.get("r.b") == Entry(b"written by who knows no summaries", bare)
    await watch.close()


@pytest.mark.parametrize("summary", ["two words", "a\nb", "é", "x" * 1_025])
async def test_a_summary_that_no_header_can_carry_is_refused(bus: Bus, summary: str) -> None:
    bucket = bus.bucket("sessions")
    with pytest.raises(InvalidInput, match="summary"):
        await bucket.put("a", b"1", summary=summary)
    assert await bucket.get("a") is None
