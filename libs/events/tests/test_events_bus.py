"""What every bus promises: the same suite for the one in memory and the one on a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ringback_errors import Forbidden, InvalidInput, Unavailable
from ringback_events import (
    Bus,
    BusAway,
    ConsumePolicy,
    Delivery,
    PublisherLimits,
    SpoolFull,
    event_subject,
    fact_subject,
    load_topology,
    parked_subject,
    session_events,
)

SUBJECT = event_subject("local", "sess_a", "user_turn_ended")
FAST = ConsumePolicy(deliveries_max=3, outage_deliveries_max=6, backoff_ms=(1, 2), drain_ms=2_000)


class Collector:
    """A handler that keeps what it got."""

    def __init__(self) -> None:
        self.seen: list[Delivery] = []

    async def __call__(self, delivery: Delivery) -> None:
        self.seen.append(delivery)

    @property
    def payloads(self) -> list[bytes]:
        return [delivery.payload for delivery in self.seen]


def numbered(count: int, *, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


def publish_all(bus: Bus, payloads: list[bytes], *, subject: str = SUBJECT) -> None:
    for payload in payloads:
        bus.publish(subject, payload, msg_id=f"{subject}:{payload.decode()}")


async def test_messages_arrive_in_order_and_once(bus: Bus, wait_until: Any) -> None:
    got = Collector()
    await bus.consume("EVENTS", durable="d", handler=got)
    publish_all(bus, numbered(700))
    await bus.flush(10_000)
    await wait_until(lambda: len(got.seen) >= 700)
    assert got.payloads == numbered(700)
    assert bus.unacked == 0


async def test_on_ack_runs_once_the_stream_has_it(bus: Bus) -> None:
    acked: list[str] = []
    bus.publish(SUBJECT, b"x", msg_id="1", on_ack=lambda: acked.append("1"))
    assert acked == []
    await bus.flush()
    assert acked == ["1"]


async def test_a_repeated_id_is_stored_once(bus: Bus) -> None:
    first = await bus.publish_now(SUBJECT, b"x", msg_id="same")
    assert await bus.publish_now(SUBJECT, b"x", msg_id="same") == first
    bus.publish(SUBJECT, b"x", msg_id="same")
    await bus.flush()
    assert await bus.publish_now(SUBJECT, b"y", msg_id="other") == first + 1


async def test_a_delivery_tells_where_it_stands(bus: Bus, wait_until: Any) -> None:
    got = Collector()
    bus.publish(SUBJECT, b"x", msg_id="m1", headers={"Colour": "red"})
    await bus.flush()
    await bus.consume("EVENTS", durable="d", handler=got)
    await wait_until(lambda: got.seen)
    delivery = got.seen[0]
    assert (delivery.subject, delivery.payload, delivery.stream_seq) == (SUBJECT, b"x", 1)
    assert delivery.headers["Colour"] == "red"
    assert delivery.headers["Nats-Msg-Id"] == "m1"
    assert (delivery.deliveries, delivery.redelivered, delivery.lag) == (1, False, 0)
    assert delivery.stored_at_ms > 1_600_000_000_000


async def test_a_durable_goes_on_where_it_stopped(bus: Bus, wait_until: Any) -> None:
    first, second = Collector(), Collector()
    subscription = await bus.consume("EVENTS", durable="d", handler=first)
    publish_all(bus, numbered(3))
    await wait_until(lambda: len(first.seen) == 3)
    await subscription.close()
    publish_all(bus, numbered(3, start=3))
    await bus.flush()
    await bus.consume("EVENTS", durable="d", handler=second)
    await wait_until(lambda: len(second.seen) == 3)
    assert second.payloads == numbered(3, start=3)


async def test_two_replicas_share_a_durable(world: Any, wait_until: Any) -> None:
    buses = [await world.bus(), await world.bus()]
    seen: list[bytes] = []
    both = asyncio.Event()
    holders: set[int] = set()

    def handler(which: int) -> Any:
        async def handle(delivery: Delivery) -> None:
            holders.add(which)
            if len(holders) == 2:
                both.set()
            async with asyncio.timeout(10):
                await both.wait()
            seen.append(delivery.payload)

        return handle

    for which, bus in enumerate(buses):
        await bus.consume("EVENTS", durable="d", handler=handler(which))
    publish_all(buses[0], numbered(40))
    await wait_until(lambda: len(seen) == 40)
    assert sorted(seen) == sorted(numbered(40))


async def test_start_new_skips_what_was_there(bus: Bus, wait_until: Any) -> None:
    await bus.publish_now(SUBJECT, b"old", msg_id="old")
    got = Collector()
    await bus.consume("EVENTS", durable="d", handler=got, start="new")
    await bus.publish_now(SUBJECT, b"new", msg_id="new")
    await wait_until(lambda: got.seen)
    assert got.payloads == [b"new"]


async def test_a_filter_lets_through_only_its_subjects(bus: Bus, wait_until: Any) -> None:
    got = Collector()
    await bus.consume("EVENTS", durable="d", handler=got, filter_subject=session_events("local", "sess_b"))
    await bus.publish_now(SUBJECT, b"a", msg_id="1")
    await bus.publish_now(event_subject("local", "sess_b", "x"), b"b", msg_id="2")
    await wait_until(lambda: got.seen)
    assert got.payloads == [b"b"]


async def test_a_failed_message_comes_again(bus: Bus, wait_until: Any) -> None:
    tries: list[int] = []

    async def flaky(delivery: Delivery) -> None:
        tries.append(delivery.deliveries)
        if len(tries) < 3:
            raise Unavailable("not yet")

    await bus.consume("EVENTS", durable="d", handler=flaky, policy=FAST)
    await bus.publish_now(SUBJECT, b"x", msg_id="1")
    await wait_until(lambda: len(tries) == 3)
    assert tries == [1, 2, 3]
    assert bus.stats.handler_errors == 2
    assert bus.stats.parked == 0


@pytest.mark.parametrize(
    ("error", "deliveries"), [(Forbidden("no"), 3), (ValueError("no"), 3), (Unavailable("no"), 6)]
)
async def test_a_message_that_cannot_be_handled_is_parked(
    bus: Bus, wait_until: Any, error: Exception, deliveries: int
) -> None:
    tries = 0
    parked, others = Collector(), Collector()

    async def handle(delivery: Delivery) -> None:
        nonlocal tries
        if delivery.payload == b"poison":
            tries += 1
            raise error
        await others(delivery)

    await bus.ephemeral(parked_subject("EVENTS", "d"), parked)
    await bus.consume("EVENTS", durable="d", handler=handle, policy=FAST)
    bus.publish(SUBJECT, b"poison", msg_id="1", headers={"Colour": "red"})
    bus.publish(SUBJECT, b"fine", msg_id="2")
    await wait_until(lambda: parked.seen and others.seen)
    assert tries == deliveries
    copy = parked.seen[0]
    assert copy.payload == b"poison"
    assert copy.headers["Ringback-Parked-Subject"] == SUBJECT
    assert copy.headers["Ringback-Parked-Reason"] == f"{type(error).__name__}: no"
    assert copy.headers["Ringback-Parked-Deliveries"] == str(deliveries)
    assert copy.headers["Colour"] == "red"
    await wait_until(lambda: bus.stats.parked == 1)


async def test_handlers_run_side_by_side_up_to_the_concurrency(bus: Bus, wait_until: Any) -> None:
    running = most = done = 0
    gate = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        done += 1

    await bus.consume("EVENTS", durable="d", handler=handle, concurrency=3)
    publish_all(bus, numbered(9))
    await wait_until(lambda: running == 3)
    await bus.flush()
    gate.set()
    await wait_until(lambda: done == 9)
    assert most == 3


async def test_closing_finishes_what_runs_and_gives_back_the_rest(bus: Bus, wait_until: Any) -> None:
    started, gate = asyncio.Event(), asyncio.Event()
    finished: list[bytes] = []

    async def slow(delivery: Delivery) -> None:
        started.set()
        await gate.wait()
        finished.append(delivery.payload)

    subscription = await bus.consume("EVENTS", durable="d", handler=slow, policy=FAST)
    publish_all(bus, numbered(5))
    await bus.flush()
    await started.wait()
    closing = asyncio.create_task(subscription.close())
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert finished == [b"0"]
    rest = Collector()
    await bus.consume("EVENTS", durable="d", handler=rest)
    await wait_until(lambda: len(rest.seen) == 4)
    assert sorted(rest.payloads) == numbered(4, start=1)


async def test_a_live_tail_gets_what_comes_and_survives_a_failing_handler(bus: Bus, wait_until: Any) -> None:
    seen: list[bytes] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.payload)
        if delivery.payload == b"1":
            raise ValueError("a handler's fault")

    await bus.publish_now(fact_subject("tools", "local", "sess_a"), b"0", msg_id="0")
    tail = await bus.ephemeral("ringback.facts.*.local.>", handle)
    for text in (b"1", b"2"):
        await bus.publish_now(fact_subject("tools", "local", "sess_a"), text, msg_id=text.decode())
    await wait_until(lambda: len(seen) == 2)
    assert seen == [b"1", b"2"]
    assert bus.stats.handler_errors == 1
    await tail.close()


async def test_a_live_tail_can_begin_at_the_beginning(bus: Bus, wait_until: Any) -> None:
    got = Collector()
    publish_all(bus, numbered(3))
    await bus.flush()
    await bus.ephemeral("ringback.events.>", got, start="all")
    await wait_until(lambda: len(got.seen) == 3)
    assert got.payloads == numbered(3)


async def test_what_is_published_while_the_server_is_away_comes_in_order_before_newer(
    world: Any, wait_until: Any, tmp_path: Path
) -> None:
    bus = await world.bus(spool_dir=tmp_path / "spool")
    got, tail = Collector(), Collector()
    await bus.consume("EVENTS", durable="d", handler=got)
    await bus.ephemeral("ringback.events.>", tail)
    acked: list[bytes] = []
    publish_all(bus, numbered(10))
    await bus.flush()
    await wait_until(lambda: len(got.seen) == 10 and len(tail.seen) == 10)
    await world.server_gone()
    assert not bus.connected
    for payload in numbered(20, start=10):
        bus.publish(SUBJECT, payload, msg_id=payload.decode(), on_ack=lambda p=payload: acked.append(p))  # type: ignore[misc]
    assert bus.unacked == 20
    with pytest.raises(Unavailable, match="not acknowledged"):
        await bus.flush(50)
    await world.server_back()
    publish_all(bus, numbered(10, start=30))
    await bus.flush(15_000)
    await wait_until(lambda: len(set(got.payloads)) >= 40 and len(tail.seen) >= 40)
    assert list(dict.fromkeys(got.payloads)) == numbered(40)
    assert tail.payloads == numbered(40)
    assert acked == numbered(20, start=10)
    assert bus.unacked == 0


async def test_the_spool_survives_the_process(world: Any, wait_until: Any, tmp_path: Path) -> None:
    before = await world.bus(spool_dir=tmp_path / "spool")
    await world.server_gone()
    publish_all(before, numbered(5))
    await before.close()
    await world.server_back()
    after = await world.bus(spool_dir=tmp_path / "spool")
    got = Collector()
    await after.consume("EVENTS", durable="d", handler=got)
    publish_all(after, numbered(5, start=5))
    await wait_until(lambda: len(got.seen) == 10)
    assert got.payloads == numbered(10)


async def test_a_full_spool_is_a_typed_error_and_a_count(world: Any) -> None:
    bus = await world.bus()
    await world.server_gone()
    bus._publisher._spool._bytes_max = 10_000
    with pytest.raises(SpoolFull, match="full"):
        publish_all(bus, numbered(1_000))
    assert bus.stats.spool_full == 1
    kept = bus.unacked
    assert 0 < kept < 1_000
    await world.server_back()
    await bus.flush(15_000)
    assert bus.stats.acked == kept


async def test_a_small_window_still_delivers_everything_in_order(world: Any, wait_until: Any) -> None:
    bus = await world.bus(limits=PublisherLimits(window_messages_max=2))
    got = Collector()
    await bus.consume("EVENTS", durable="d", handler=got)
    publish_all(bus, numbered(50))
    await bus.flush(10_000)
    await wait_until(lambda: len(got.seen) == 50)
    assert got.payloads == numbered(50)


@pytest.mark.parametrize(
    ("subject", "field"),
    [
        ("ringback.nothing.x", "subject"),
        ("ringback.events.a b.c", "subject"),
        ("ringback.events.*.x", "subject"),
    ],
)
async def test_a_subject_that_no_stream_takes_is_refused_at_once(bus: Bus, subject: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bus.publish(subject, b"", msg_id="1")
    assert caught.value.field == field


async def test_what_a_stream_would_not_take_is_refused_at_once(bus: Bus) -> None:
    with pytest.raises(InvalidInput, match=r"payload: at most"):
        bus.publish(SUBJECT, b"x" * 2_000_000, msg_id="1")
    with pytest.raises(InvalidInput, match="msg_id"):
        bus.publish(SUBJECT, b"", msg_id="")
    with pytest.raises(InvalidInput, match="headers"):
        bus.publish(SUBJECT, b"", msg_id="1", headers={"A": "line\r\nbreak"})


async def test_while_the_server_is_away_every_question_is_answered_with_bus_away(world: Any) -> None:
    bus = await world.bus()
    await world.server_gone()
    bucket, objects = bus.bucket("sessions"), bus.objects("packs")
    for ask in (
        lambda: bus.probe(),
        lambda: bus.publish_now(SUBJECT, b"", msg_id="1"),
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b""),
        lambda: bucket.keys(),
        lambda: objects.get("a"),
        lambda: objects.put("a", b""),
        lambda: objects.list(),
    ):
        with pytest.raises(BusAway):
            await ask()
    await world.server_back()
    await bus.probe()
    assert await bucket.get("a") is None


async def test_ensure_may_be_called_by_many_at_once(world: Any) -> None:
    buses = [await world.bus() for _ in range(3)]
    await asyncio.gather(*(bus.ensure(load_topology(), "session") for bus in buses for _ in range(3)))


async def test_an_undeclared_name_is_refused(bus: Bus) -> None:
    with pytest.raises(InvalidInput, match="bucket: one of sessions"):
        bus.bucket("nothing")
    with pytest.raises(InvalidInput, match="objects: one of packs"):
        bus.objects("nothing")
    with pytest.raises(InvalidInput, match="stream: one of EVENTS"):
        await bus.consume("NOTHING", durable="d", handler=Collector())


async def test_a_closed_bus_takes_nothing_more(world: Any) -> None:
    bus = await world.bus()
    await bus.close()
    await bus.close()
    assert not bus.connected
    with pytest.raises(BusAway, match="closed"):
        bus.publish(SUBJECT, b"", msg_id="1")
