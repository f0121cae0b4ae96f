"""The short way of requests and answers: nothing is lost or mixed up, however the bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import BadHeaderError, BadSubjectError
from ringback_errors import Conflict, Unavailable
from ringback_events import NatsBus, WriteUnknown, connect, event_subject, load_topology
from ringback_events.nats_lane import UNSENT_BYTES_MAX, Lane, whole_answers
from ringback_testkit import NatsServer

OURS = b"MSG _INBOX.a."
# What the system itself holds between two sockets of one machine, generously.
SOCKET_BYTES = 16 * 1024 * 1024

_payloads = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"MSG _INBOX.a.1 1 0\r\n\r\n"])
_ours = st.builds(lambda n, data: (b"_INBOX.a.%d" % n, data, b""), st.integers(0, 99), _payloads)
_others = st.builds(
    lambda subject, data, reply: (subject, data, reply),
    st.sampled_from([b"_INBOX.ab.1", b"ringback.x", b"_INBOX"]),
    _payloads,
    st.sampled_from([b"", b" $JS.ACK.1"]),
)


def _wire(message: tuple[bytes, bytes, bytes]) -> bytes:
    subject, data, reply = message
    return b"MSG %s 3%s %d\r\n%s\r\n" % (subject, reply, len(data), data)


@given(st.lists(_ours | _others | st.just(None), max_size=12), st.integers(0, 2_000))
def test_a_chunk_gives_the_answers_it_begins_with_and_leaves_the_rest_whole(
    messages: list[tuple[bytes, bytes, bytes] | None], cut: int
) -> None:
    stream = b"".join(_wire(message) if message else b"PING\r\n" for message in messages)
    chunk = stream[:cut]
    answers, taken = whole_answers(chunk, OURS)
    expected, at = [], 0
    for message in messages:
        if (
            message is None
            or not message[0].startswith(b"_INBOX.a.")
            or at + len(_wire(message)) > len(chunk)
        ):
            break
        at += len(_wire(message))
        expected.append((message[0].decode(), message[1], None))
    assert answers == expected
    assert taken == at


@given(st.binary(max_size=80))
def test_no_bytes_are_taken_for_an_answer_by_mistake(data: bytes) -> None:
    answers, taken = whole_answers(OURS + data, OURS)
    assert taken == 0 or b"".join(b"\r\n%s\r\n" % answer.data for answer in answers) in OURS + data


class _Silent:
    is_closed = is_draining_pubs = False
    is_connected = True
    max_payload = 100


@pytest.mark.parametrize(
    ("subject", "headers", "error"),
    [
        ("a b", {}, BadSubjectError),
        ("a\r\nPUB x 0", {}, BadSubjectError),
        ("", {}, BadSubjectError),
        ("a", {"Name": "x\r\nOther: y"}, BadHeaderError),
        ("a", {"Na me": "x"}, BadHeaderError),
    ],
)
async def test_what_would_break_the_protocol_is_refused(
    subject: str, headers: dict[str, str], error: type[Exception]
) -> None:
    nc: Any = _Silent()
    lane = Lane(nc, "_INBOX.a.", lambda answer: None)
    assert not lane.attached
    with pytest.raises(error):
        lane.send(subject, "_INBOX.a.1", b"", headers)


@asynccontextmanager
async def _cutting(server: NatsServer) -> AsyncIterator[str]:
    """The server's address behind a hop that hands on what the server says in crumbs."""
    host, _, port = server.url.removeprefix("nats://").partition(":")
    open_writers: list[asyncio.StreamWriter] = []

    async def up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)

    async def down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = 1
        while data := await reader.read(size):
            writer.write(data)
            size = size % 61 + 7
            await asyncio.sleep(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        open_writers.extend([writer, back])
        # It ends with either side, or with the test.
        with suppress(asyncio.CancelledError, ConnectionError):
            await asyncio.gather(up(reader, back), down(there, writer))

    hop = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{hop.sockets[0].getsockname()[1]}"
    finally:
        hop.close()
        for writer in open_writers:
            writer.close()


async def _prepared(url: str) -> NatsBus:
    bus = await connect(url, name="test", wait_ms=20_000)
    for service in ("session", "tools"):
        await bus.ensure(load_topology(), service)
    return bus


async def _stands(bus: NatsBus) -> bool:
    try:
        await bus.probe()
    except Unavailable:
        return False
    return True


@pytest.mark.stack
async def test_answers_that_come_in_crumbs_among_messages_all_arrive(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def hear(delivery: Any) -> None:
        heard.append(delivery.payload)

    with NatsServer.start(tmp_path) as server:
        async with _cutting(server) as url:
            bus = await _prepared(url)
            await bus.ephemeral("ringback.events.>", hear)
            bucket = bus.bucket("outcomes")
            said = event_subject("local", "sess_a", "x")
            for n in range(40):
                bus.publish(said, b"%d" % n, msg_id=f"m{n}")
            writes = [bucket.create(f"k.{n}", b"%d" % n, timeout_ms=25_000) for n in range(40)]
            revisions = await asyncio.gather(*writes)
            assert len(set(revisions)) == 40
            with pytest.raises(Conflict):
                await bucket.create("k.7", b"again", timeout_ms=25_000)
            entry = await bucket.get("k.7", timeout_ms=25_000)
            assert entry is not None
            assert (entry.value, entry.revision) == (b"7", revisions[7])
            async with asyncio.timeout(25):
                while len(heard) < 40:
                    await asyncio.sleep(0.01)
            assert heard == [b"%d" % n for n in range(40)]
            await bus.close()


@pytest.mark.stack
async def test_the_short_way_is_there_again_after_a_break(tmp_path: Path) -> None:
    with NatsServer.start(tmp_path) as server:
        bus = await _prepared(server.url)
        lane = bus._link._replies._lane
        assert lane is not None
        assert lane.attached
        await bus.bucket("outcomes").put("a", b"1")
        server.stop()
        async with asyncio.timeout(25):
            while lane.attached and bus.connected:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(server.restart)
        async with asyncio.timeout(25):
            while not (lane.attached and await _stands(bus)):
                await asyncio.sleep(0.01)
        assert await bus.bucket("outcomes").put("a", b"2", timeout_ms=25_000) > 0
        await bus.close()


@pytest.mark.stack
async def test_a_failing_acknowledgement_leaves_the_connection_standing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with NatsServer.start(tmp_path) as server:
        bus = await _prepared(server.url)

        def fail(token: str, answer: Any) -> None:
            raise OSError("disk full")

        await bus._link._replies.open_acks(bus._link.nc, fail)
        await bus._link.post(
            event_subject("local", "sess_a", "x"), b"1", token="7", headers={"Nats-Msg-Id": "a"}
        )
        async with asyncio.timeout(25):
            while "disk full" not in caplog.text:
                await asyncio.sleep(0.01)
        assert await bus.bucket("outcomes").put("a", b"2", timeout_ms=25_000) > 0
        assert bus.connected
        assert bus.stats.disconnects == 0
        await bus.close()


@pytest.mark.stack
async def test_what_waits_for_a_server_that_does_not_read_is_bounded(tmp_path: Path) -> None:
    with NatsServer.start(tmp_path) as server:
        bus = await _prepared(server.url)
        bucket = bus.bucket("sessions")
        server.pause()
        try:
            outcomes: list[Any] = []
            for _ in range(48):
                # Each leaves before the next comes; none is answered.
                writing = asyncio.ensure_future(bucket.put("record.x", bytes(900_000), timeout_ms=2_000))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                outcomes.append(writing)
            told = await asyncio.gather(*outcomes, return_exceptions=True)
            unknown = [each for each in told if isinstance(each, WriteUnknown)]
            refused = [each for each in told if isinstance(each, Unavailable) and each not in unknown]
            assert len(refused) + len(unknown) == 48
            assert len(unknown) * 900_000 < UNSENT_BYTES_MAX + SOCKET_BYTES
        finally:
            server.resume()
        async with asyncio.timeout(20):
            while not await _stands(bus):
                await asyncio.sleep(0.05)
        await bucket.put("record.x", b"after", timeout_ms=20_000)
        await bus.close()
