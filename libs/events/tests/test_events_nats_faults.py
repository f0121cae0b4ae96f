"""What a real server can do to us: appear late, freeze, lose a consumer, refuse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg
from ringback_errors import ConfigError, Conflict
from ringback_events import (
    BusAway,
    Delivery,
    Entry,
    NatsBus,
    PublisherLimits,
    WriteUnknown,
    connect,
    event_subject,
    load_topology,
)
from ringback_events.topology import Topology
from ringback_events.topology import load_topology as load_text
from ringback_testkit import NatsServer, free_port

pytestmark = pytest.mark.stack
SUBJECT = event_subject("local", "sess_a", "x")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    with NatsServer.start(tmp_path) as made:
        yield made


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[NatsBus]:
    made = await connect(
        server.url, name="test", limits=PublisherLimits(ack_timeout_ms=300, retry_base_ms=1, retry_max_ms=20)
    )
    for service in ("session", "tools", "policy", "memory"):
        await made.ensure(load_topology(), service)
    yield made
    await made.close()


async def test_a_server_that_appears_late_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = NatsServer.start(tmp_path)
    url = server.url
    server.stop()
    caplog.set_level(logging.WARNING)
    connecting = asyncio.create_task(connect(url, name="late", wait_ms=20_000))
    while not caplog.records:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(server.restart)
    bus = await connecting
    await bus.probe()
    await bus.close()
    server.stop()
    assert url.removeprefix("nats://") in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_server_that_never_appears_is_named_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"RINGBACK_NATS_URL: a NATS server expected at nats://127.0.0.1:\d+, not"
    ):
        await connect(f"nats://127.0.0.1:{free_port()}", name="t", wait_ms=200, spool_dir=tmp_path / "s")
    # The spool is free again for the next try.
    with pytest.raises(ConfigError, match="RINGBACK_NATS_URL"):
        await connect(f"nats://127.0.0.1:{free_port()}", name="t", wait_ms=200, spool_dir=tmp_path / "s")


@pytest.mark.parametrize("url", ["", "127.0.0.1", "http://127.0.0.1:1", "nats://", "nats://h:99999"])
async def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="RINGBACK_NATS_URL: nats://host:port expected"):
        await connect(url, name="t", wait_ms=100)


async def test_a_password_in_the_address_is_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        await connect(f"nats://me:hunter2@127.0.0.1:{free_port()}", name="t", wait_ms=200)
    assert "hunter2" not in str(caught.value)


async def test_a_write_in_doubt_is_settled_by_compare_and_set(bus: NatsBus, server: NatsServer) -> None:
    bucket = bus.bucket("sessions")
    revision = await bucket.create("sess_a", b"1")
    server.pause()
    with pytest.raises(WriteUnknown, match="read before deciding"):
        await bucket.update("sess_a", b"2", revision=revision, timeout_ms=100)
    server.resume()
    # A read may still overtake the write in doubt; a compare-and-set at the same revision cannot be overtaken.
    await bucket.get("sess_a", timeout_ms=5_000)
    try:
        await bucket.update("sess_a", b"3", revision=revision, timeout_ms=5_000)
    except Conflict:
        expected = b"2"
    else:
        expected = b"3"
    entry = await bucket.get("sess_a", timeout_ms=5_000)
    assert entry is not None
    assert entry.value == expected


async def test_a_request_that_was_given_up_leaves_nothing_and_its_late_answer_goes_to_nobody(
    bus: NatsBus, server: NatsServer
) -> None:
    bucket = bus.bucket("sessions")
    replies = bus._link._replies
    server.pause()
    late = [asyncio.create_task(bucket.put(f"late{n}", b"1", timeout_ms=60_000)) for n in range(3)]
    with pytest.raises(WriteUnknown):
        await bucket.put("later", b"1", timeout_ms=100)
    assert replies.waiting == 3
    for task in late[:2]:
        task.cancel()
    await asyncio.gather(*late[:2], return_exceptions=True)
    assert replies.waiting == 1
    server.resume()
    assert await late[2] > 0
    # Answers of one connection come in order: the ones given up have passed by now.
    entry = await bucket.get("late0", timeout_ms=5_000)
    assert entry is not None
    assert entry.value == b"1"
    assert replies.waiting == 0


async def test_a_frozen_server_costs_a_delay_and_no_message(
    bus: NatsBus, server: NatsServer, wait_until: Any
) -> None:
    seen: list[bytes] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.payload)

    await bus.consume("EVENTS", durable="d", handler=handle)
    server.pause()
    for n in range(30):
        bus.publish(SUBJECT, b"%d" % n, msg_id=str(n))
    await wait_until(lambda: bus.stats.last_error.startswith("no acknowledgement"))
    server.resume()
    await bus.flush(10_000)
    await wait_until(lambda: len(seen) == 30)
    assert seen == [b"%d" % n for n in range(30)]


async def test_a_consumer_that_was_deleted_is_made_again(bus: NatsBus, wait_until: Any) -> None:
    seen: list[bytes] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.payload)

    await bus.consume("EVENTS", durable="d", handler=handle, start="new")
    await bus.ephemeral("ringback.events.>", handle)
    await bus.publish_now(SUBJECT, b"1", msg_id="1")
    await wait_until(lambda: len(seen) == 2)
    consumers = (await bus._link.api("CONSUMER.NAMES.EVENTS", {}, timeout_ms=2_000))["consumers"]
    for name in consumers:
        await bus._link.api(f"CONSUMER.DELETE.EVENTS.{name}", timeout_ms=2_000)
    await bus.publish_now(SUBJECT, b"2", msg_id="2")
    # The tail goes on after what it had; a durable that somebody deleted begins anew, as it was declared.
    await wait_until(lambda: seen.count(b"2") >= 1)


async def test_consuming_from_a_stream_that_does_not_exist_says_so(server: NatsServer) -> None:
    bus = await connect(server.url, name="t")

    async def handle(delivery: Delivery) -> None:
        raise AssertionError

    with pytest.raises(BusAway, match="stream not found"):
        await bus.consume("EVENTS", durable="d", handler=handle)
    await bus.close()


async def test_publishing_waits_for_a_stream_that_comes_later(server: NatsServer) -> None:
    bus = await connect(server.url, name="t", limits=PublisherLimits(retry_base_ms=5, retry_max_ms=20))
    bus.publish(SUBJECT, b"x", msg_id="1")
    while not bus.stats.last_error:
        await asyncio.sleep(0.002)
    assert "no stream takes it" in bus.stats.last_error
    await bus.ensure(load_topology(), "session")
    await bus.flush(5_000)
    await bus.close()


async def test_ensure_adjusts_what_is_declared_otherwise(bus: NatsBus) -> None:
    changed = _changed_topology()
    await bus.ensure(changed, "session")
    info = await bus._link.api("STREAM.INFO.EVENTS", timeout_ms=2_000)
    assert info["config"]["max_bytes"] == 512 * 1024 * 1024


async def test_ensure_says_what_is_missing_when_the_server_is_away(bus: NatsBus, server: NatsServer) -> None:
    await asyncio.to_thread(server.kill)
    with pytest.raises(BusAway, match=r"does not give EVENTS"):
        await bus.ensure(load_topology(), "session", timeout_ms=200)


async def test_nothing_can_be_removed_from_the_audit_stream(bus: NatsBus) -> None:
    from ringback_events.nats_link import ApiError

    await bus.publish_now("ringback.audit.local.decision", b"x", msg_id="1")
    with pytest.raises(ApiError):
        await bus._link.api("STREAM.PURGE.AUDIT", timeout_ms=2_000)
    with pytest.raises(ApiError):
        await bus._link.api("STREAM.MSG.DELETE.AUDIT", {"seq": 1}, timeout_ms=2_000)


async def test_three_copies_on_one_server_is_told_at_the_start(server: NatsServer) -> None:
    bus = await connect(server.url, name="t")
    with pytest.raises((ConfigError, BusAway), match="EVENTS"):
        await bus.ensure(load_topology().with_replicas(3), "session", timeout_ms=300)
    await bus.close()


def _changed_topology() -> Topology:
    from importlib import resources

    text = resources.files("ringback_events").joinpath("topology.yaml").read_text("utf-8")
    return load_text(text.replace("bytes_max_mib: 1024", "bytes_max_mib: 512"))


async def test_a_small_object_that_has_not_changed_is_read_without_a_consumer(
    server: NatsServer, bus: NatsBus
) -> None:
    made: list[str] = []

    async def seen(message: Msg) -> None:
        made.append(message.subject)

    async with await nats.connect(server.url) as watcher:
        await watcher.subscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED.OBJ_packs.>", cb=seen)
        await watcher.flush()
        reader, writer = bus.objects("packs"), bus.objects("packs")
        await writer.put("head.name", b"1")
        assert await reader.get("head.name") == b"1"
        await watcher.flush()
        before = len(made)
        for _ in range(5):
            assert await reader.get("head.name") == b"1"
        await watcher.flush()
        assert len(made) == before
        await writer.put("head.name", b"2")
        assert await reader.get("head.name") == b"2"
        store = await watcher.jetstream().object_store("packs")
        await store.delete("head.name")
        assert await reader.get("head.name") is None


async def test_who_watches_summaries_is_not_sent_the_values(server: NatsServer, bus: NatsBus) -> None:
    sent: dict[bool, int] = {}
    for summaries in (False, True):
        told: list[Entry | None] = []

        async def handle(key: str, entry: Entry | None, to: list[Entry | None] = told) -> None:
            to.append(entry)

        watcher = await connect(server.url, name="watcher")
        watch = await watcher.bucket("sessions").watch(f"{summaries}.", handle, summaries=summaries)
        for number in range(20):
            await bus.bucket("sessions").put(f"{summaries}.{number}", bytes(100_000), summary=f"{number}")
        while len(told) < 20:
            await asyncio.sleep(0.01)
        sent[summaries] = int(watcher._link.nc.stats["in_bytes"])
        await watch.close()
        await watcher.close()
    assert sent[False] >= 2_000_000
    assert sent[True] < 20_000
