"""The publisher against a transport that fails as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_errors import Unavailable
from ringback_events import BusAway, MemorySpool, PublisherLimits, SpoolFull
from ringback_events.bus import BusStats
from ringback_events.message import Message
from ringback_events.publisher import Publisher

QUICK = PublisherLimits(window_messages_max=8, ack_timeout_ms=50, retry_base_ms=1, retry_max_ms=2)


def message(number: int) -> Message:
    return Message("ringback.events.a.b.c", b"%d" % number, f"id-{number}")


class Transport:
    """Keeps what was sent, drops repetitions by id as a stream does, and answers as it is told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.stored: list[str] = []
        self.tokens: list[tuple[int, str]] = []
        self.answers = True
        self.away = False
        self.refuse: set[str] = set()
        self.fail_next = 0
        self.publisher: Publisher

    async def __call__(self, token: int, sent: Message) -> None:
        if self.away:
            raise BusAway("away")
        self.sent.append(sent.msg_id)
        self.tokens.append((token, sent.msg_id))
        if self.fail_next:
            self.fail_next -= 1
            self.publisher.failed(token, "not now")
        elif sent.msg_id in self.refuse:
            self.publisher.refused(token, "never")
        else:
            if sent.msg_id not in self.stored:
                self.stored.append(sent.msg_id)
            if self.answers:
                self.publisher.acked(token)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport()
    made.publisher = Publisher(made, spool=MemorySpool(bytes_max=10_000), stats=BusStats(), limits=QUICK)
    made.publisher.start()
    yield made
    made.answers, made.away = True, False
    await made.publisher.close(1_000)


async def test_nothing_is_sent_before_the_transport_is_there(transport: Transport) -> None:
    transport.publisher.submit(message(1))
    await asyncio.sleep(0)
    assert transport.sent == []
    transport.publisher.connected()
    await transport.publisher.flush(1_000)
    assert transport.stored == ["id-1"]


async def test_without_an_answer_everything_is_sent_again_from_the_oldest(
    transport: Transport, wait_until: Any
) -> None:
    transport.publisher.connected()
    transport.answers = False
    for n in range(3):
        transport.publisher.submit(message(n))
    await wait_until(lambda: len(transport.sent) == 3)
    transport.answers = True
    await transport.publisher.flush(5_000)
    assert transport.sent[3:6] == ["id-0", "id-1", "id-2"]
    assert transport.stored == ["id-0", "id-1", "id-2"]


async def test_a_late_answer_to_an_earlier_try_counts(transport: Transport, wait_until: Any) -> None:
    transport.publisher.connected()
    transport.answers = False
    transport.publisher.submit(message(1))
    await wait_until(lambda: len(transport.tokens) >= 2)
    transport.publisher.acked(transport.tokens[0][0])
    await transport.publisher.flush(1_000)


async def test_a_failing_stream_is_tried_again_until_it_takes_all_in_order(transport: Transport) -> None:
    transport.publisher.connected()
    transport.fail_next = 5
    for n in range(20):
        transport.publisher.submit(message(n))
    await transport.publisher.flush(5_000)
    assert transport.stored[-1] == "id-19"
    assert sorted(transport.stored) == sorted(f"id-{n}" for n in range(20))


async def test_a_message_that_is_refused_for_good_does_not_stop_the_others(transport: Transport) -> None:
    spool = MemorySpool()
    stats = BusStats()
    transport.publisher = Publisher(transport, spool=spool, stats=stats, limits=QUICK)
    transport.publisher.start()
    transport.refuse = {"id-1"}
    transport.publisher.connected()
    acked: list[int] = []
    for n in range(3):
        transport.publisher.submit(message(n), on_ack=lambda n=n: acked.append(n))  # type: ignore[misc]
    await transport.publisher.flush(1_000)
    assert transport.stored == ["id-0", "id-2"]
    assert acked == [0, 2]
    assert (stats.refused, stats.acked) == (1, 2)
    assert spool.refused[0][1] == "never"


async def test_a_callback_that_fails_hurts_nobody(transport: Transport) -> None:
    def bad() -> None:
        raise ValueError("a callback's fault")

    transport.publisher.connected()
    transport.publisher.submit(message(1), on_ack=bad)
    transport.publisher.submit(message(2))
    await transport.publisher.flush(1_000)
    assert transport.stored == ["id-1", "id-2"]


async def test_flush_says_how_many_wait(transport: Transport) -> None:
    for n in range(3):
        transport.publisher.submit(message(n))
    with pytest.raises(Unavailable, match="3 messages not acknowledged within 5 ms"):
        await transport.publisher.flush(5)


async def test_a_disk_that_cannot_be_written_loses_nothing_that_was_taken(transport: Transport) -> None:
    class FullDisk(MemorySpool):
        def append(self, message: Message, *, force: bool = False) -> int:
            raise SpoolFull("spool: cannot write")

    transport.publisher = Publisher(transport, spool=FullDisk(), stats=BusStats(), limits=QUICK)
    transport.publisher.start()
    transport.publisher.connected()
    transport.away = True
    for n in range(3):
        transport.publisher.submit(message(n))
    transport.publisher.disconnected()
    with pytest.raises(SpoolFull):
        transport.publisher.submit(message(3))
    transport.away = False
    transport.publisher.connected()
    await transport.publisher.flush(1_000)
    assert transport.stored == ["id-0", "id-1", "id-2"]


STEP = st.sampled_from(
    ["publish", "keep", "publish", "publish", "gone", "back", "mute", "answer", "fail", "turn"]
)


@given(steps=st.lists(STEP, max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_all_that_was_taken_arrives_in_order(steps: list[str]) -> None:
    asyncio.run(_run(steps))


async def _run(steps: list[str]) -> None:
    transport = Transport()
    transport.publisher = publisher = Publisher(
        transport, spool=MemorySpool(), stats=BusStats(), limits=QUICK
    )
    publisher.start()
    acked: list[str] = []
    taken = 0
    for step in steps:
        match step:
            case "publish" | "keep":
                taken += 1
                publisher.submit(
                    message(taken),
                    on_ack=lambda n=taken: acked.append(f"id-{n}"),  # type: ignore[misc]
                    durable=step == "keep",
                )
            case "gone":
                transport.away = True
                publisher.disconnected()
            case "back":
                transport.away = False
                publisher.connected()
            case "mute":
                transport.answers = False
            case "answer":
                transport.answers = True
            case "fail":
                transport.fail_next = 1
            case _:
                await asyncio.sleep(0)
    transport.away, transport.answers, transport.fail_next = False, True, 0
    publisher.connected()
    await publisher.flush(10_000)
    expected = [f"id-{n}" for n in range(1, taken + 1)]
    assert sorted(transport.stored) == sorted(expected)
    assert sorted(acked) == sorted(expected)
    if "fail" not in steps:
        assert transport.stored == expected
    assert publisher.unacked == 0
    await publisher.close(0)
