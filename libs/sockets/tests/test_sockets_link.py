"""Connections between a link of ours and a raw peer, or two links, on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from picows import WSUpgradeRequest
from ringback_errors import ConfigError, Unavailable
from ringback_realtime import Close
from ringback_sockets import (
    FRAME_BYTES_MAX,
    Closed,
    RealtimeLink,
    UpgradeRefused,
    accepted,
    dial,
    listen,
    read_upgrade,
    refusal,
    text_answer,
)
from ringback_sockets.link import _echo
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10


class Inbox:
    """What a link handed over."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.closes: list[Closed] = []
        self._changed = asyncio.Event()

    def take(self, link: RealtimeLink) -> None:
        link.take(self._message, self._close)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_closed(self) -> Closed:
        await self.until(lambda: bool(self.closes))
        return self.closes[0]

    def _message(self, message: bytes) -> None:
        self.messages.append(message)
        self._changed.set()

    def _close(self, closed: Closed) -> None:
        self.closes.append(closed)
        self._changed.set()


class Listening:
    """A server that hands out the links it opens."""

    def __init__(self, **options: int) -> None:
        self._options = options
        self._opened: asyncio.Queue[RealtimeLink] = asyncio.Queue()
        self._links: list[RealtimeLink] = []
        self.url = ""

    def admit(self, request: WSUpgradeRequest) -> object:
        upgrade = read_upgrade(request)
        match upgrade.path:
            case "/healthz":
                return text_answer("ok\n")
            case "/broken":
                raise RuntimeError("secret detail")
            case "/full":
                return refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE, code="full", message="All taken.", retry_after_s=2
                )
        link = RealtimeLink(on_open=self._on_open, **self._options)
        return accepted(upgrade, link, headers={"Ringback-Session-Id": "sess_1"})

    async def link(self) -> RealtimeLink:
        """The server's end of the next connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._opened.get()

    async def dial(self, *, outbox_bytes_max: int = 1 << 30) -> RealtimeLink:
        """The client's end of a connection."""
        link = await dial(self.url, link=RealtimeLink(outbox_bytes_max=outbox_bytes_max))
        self._links.append(link)
        return link

    async def end(self) -> None:
        for link in self._links:
            link.abort()
        async with asyncio.timeout(PATIENCE_S):
            for link in self._links:
                await link.wait_closed()

    def _on_open(self, link: RealtimeLink) -> None:
        self._links.append(link)
        self._opened.put_nowait(link)


@asynccontextmanager
async def listening(**options: int) -> AsyncIterator[Listening]:
    it = Listening(**options)
    server, port = await listen(it.admit, host="127.0.0.1", port=0)  # type: ignore[arg-type]
    it.url = f"ws://127.0.0.1:{port}"
    try:
        yield it
    finally:
        server.close()
        await it.end()


async def raw(url: str, **options: object) -> ClientConnection:
    return await connect(url, proxy=None, **options)  # type: ignore[arg-type]


async def closed_with(peer: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await peer.recv()
        except ConnectionClosed:
            return peer.close_code, peer.close_reason


async def test_fragments_come_as_one_message() -> None:
    async with listening() as it:
        peer, inbox = await raw(it.url), Inbox()
        inbox.take(await it.link())
        await peer.send(["one ", "two ", "three"])
        await peer.send("four")
        await inbox.until(lambda: len(inbox.messages) == 2)
        assert inbox.messages == [b"one two three", b"four"]
        await peer.close()


@pytest.mark.parametrize("pieces", [1, 8])
async def test_a_message_that_is_too_big_closes_with_1009_and_says_so_on_both_sides(pieces: int) -> None:
    async with listening() as it:
        peer, inbox = await raw(it.url), Inbox()
        inbox.take(await it.link())
        piece = "x" * (FRAME_BYTES_MAX // pieces + 1)
        with contextlib.suppress(ConnectionClosed):
            await peer.send(piece if pieces == 1 else iter([piece] * pieces))
        code, reason = await closed_with(peer)
        assert (code, "max" in str(reason) or "at most" in str(reason)) == (1009, True)
        assert (await inbox.until_closed()).code == 1009
        assert inbox.messages == []


async def test_a_message_of_fifteen_mebibytes_in_base64_is_taken() -> None:
    async with listening() as it:
        link = await it.dial()
        inbox = Inbox()
        inbox.take(await it.link())
        link.send(b"x" * (20 * 1024 * 1024))
        await inbox.until(lambda: bool(inbox.messages))
        assert len(inbox.messages[0]) == 20 * 1024 * 1024
        link.close()


async def test_a_reader_that_lets_too_much_pile_up_is_closed_with_a_reason() -> None:
    async with listening(outbox_bytes_max=256 * 1024) as it:
        peer, inbox = await raw(it.url, max_queue=1), Inbox()
        link = await it.link()
        inbox.take(link)
        while link.open:
            link.send(b"x" * 65_536)
        link.send(b"after the end")
        code, reason = await closed_with(peer)
        assert (code, str(reason)[:11]) == (1008, "slow_reader")
        assert (await inbox.until_closed()).code == 1008


async def test_a_reader_that_stands_still_is_closed_and_whoever_waits_for_room_goes_on() -> None:
    async with listening(slow_reader_ms=50) as it:
        peer = await raw(it.url, max_queue=1)
        link = await it.link()
        async with asyncio.timeout(PATIENCE_S):
            while link.open:
                link.send(b"x" * 65_536)
                await link.room()
        assert (await closed_with(peer))[0] == 1008


async def test_a_reader_that_catches_up_is_sent_the_rest_in_order() -> None:
    async with listening(slow_reader_ms=60_000) as it:
        peer = await raw(it.url, max_queue=4)
        link = await it.link()

        async def send() -> None:
            for number in range(200):
                await link.room()
                link.send(b"%03d" % number + b"x" * 65_536)
            link.close()

        sending = asyncio.ensure_future(send())
        got = [str(message)[:3] async for message in peer]
        await sending
        assert got == [f"{number:03d}" for number in range(200)]


async def test_early_messages_wait_in_order() -> None:
    async with listening() as it:
        peer = await raw(it.url)
        link, inbox = await it.link(), Inbox()
        for number in range(5):
            await peer.send(str(number))
        await peer.close()
        async with asyncio.timeout(PATIENCE_S):
            await link.transport.wait_disconnected()
        inbox.take(link)
        assert inbox.messages == [b"0", b"1", b"2", b"3", b"4"]
        assert inbox.closes == [Closed(1000, "")]


async def test_a_peer_that_sends_faster_than_is_taken_is_slowed_down_and_loses_nothing() -> None:
    async with listening() as it:
        peer = await it.dial()
        link = await it.link()
        sent = [b"%04d" % number + b"x" * 65_536 for number in range(300)]
        for message in sent:
            peer.send(message)
        peer.close()
        got = []
        async with asyncio.timeout(PATIENCE_S):
            async for message in link.messages():
                got.append(message)
        assert got == sent


async def test_after_an_own_close_there_are_no_more_messages() -> None:
    async with listening() as it:
        peer = await raw(it.url)
        link = await it.link()
        for number in range(3):
            await peer.send(str(number))
        got = []
        async with asyncio.timeout(PATIENCE_S):
            async for message in link.messages():
                got.append(message)
                link.close(Close(4001, "enough"))
        assert got == [b"0"]
        assert await closed_with(peer) == (4001, "enough")


async def test_a_peer_that_vanishes_is_1006_once() -> None:
    async with listening() as it:
        peer, inbox = await it.dial(), Inbox()
        link = await it.link()
        inbox.take(link)
        peer.abort()
        assert await inbox.until_closed() == Closed(1006, "the connection was lost")
        link.close()
        link.abort()
        link.send(b"nobody there")
        assert len(inbox.closes) == 1
        assert not link.open


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4000])
@pytest.mark.parametrize("by", ["server", "client"])
async def test_both_sides_of_a_close_know_its_code_and_reason(code: int, by: str) -> None:
    async with listening() as it:
        one, other = Inbox(), Inbox()
        client = await it.dial()
        server = await it.link()
        one.take(client)
        other.take(server)
        closing = server if by == "server" else client
        closing.close(Close(code, "because"))
        closing.close(Close(1011, "a second time"))
        assert await one.until_closed() == await other.until_closed() == Closed(code, "because")
        assert len(one.closes) == len(other.closes) == 1


async def test_a_close_reaches_a_peer_that_keeps_sending() -> None:
    async with listening() as it:
        client, inbox = await it.dial(), Inbox()
        inbox.take(client)
        server = await it.link()
        for _ in range(200):
            client.send(b"x" * 32_768)
        server.close(Close(3000, "bad key"))
        assert await inbox.until_closed() == Closed(3000, "bad key")


async def test_a_close_without_a_code_is_1005_and_answered_alike() -> None:
    async with listening() as it:
        peer, inbox = await raw(it.url), Inbox()
        inbox.take(await it.link())
        await peer.close(code=1000)
        assert await inbox.until_closed() == Closed(1000, "")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rsplit(":", 1)[1]))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        bare = Inbox()
        bare.take(await it.link())
        writer.write(b"\x88\x80\x00\x00\x00\x00")
        assert await reader.read() == b"\x88\x00"
        assert await bare.until_closed() == Closed(1005, "")
        writer.close()


async def test_the_servers_headers_are_there_for_the_client() -> None:
    async with listening() as it:
        link = await it.dial()
        assert link.response_headers["ringback-session-id"] == "sess_1"
    assert RealtimeLink().response_headers == {}


async def test_a_port_in_use_is_a_config_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: it is in use: set RINGBACK_PORT"):
            await listen(lambda _: None, host="127.0.0.1", port=port)


async def test_a_refused_upgrade_says_why_and_when_to_come_back() -> None:
    async with listening() as it:
        with pytest.raises(UpgradeRefused, match="refused with HTTP 503: All taken") as refused:
            await dial(f"{it.url}/full", link=RealtimeLink())
        assert (refused.value.status, refused.value.said) == (503, "All taken.")
        assert refused.value.retry_after_ms == 2_000


async def test_a_fault_in_admission_is_a_500_without_its_text() -> None:
    async with listening() as it:
        with pytest.raises(UpgradeRefused, match="HTTP 500") as refused:
            await dial(f"{it.url}/broken", link=RealtimeLink())
        assert "secret" not in str(refused.value)


async def test_errors_of_dialling_name_the_server_and_no_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        url = f"ws://user:pw@{address}/r/token-123/v1/realtime?key=rb_secret"
        headers = {"Authorization": "Bearer rb_secret"}
        with pytest.raises(Unavailable, match="did not answer within 50 ms") as late:
            await dial(url, link=RealtimeLink(), headers=headers, timeout_ms=50)
    with pytest.raises(Unavailable, match="cannot connect") as away:
        await dial(url, link=RealtimeLink())
    with pytest.raises(Unavailable, match="cannot connect") as wrong:
        await dial("gopher://x/secret", link=RealtimeLink())
    for raised in (late, away, wrong):
        said = str(raised.value)
        assert not any(secret in said for secret in ("secret", "token-123", "pw"))
    assert address in str(late.value)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switching Pro"])
async def test_a_peer_that_hangs_up_before_it_has_answered_is_no_connection(said: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.transport.abort() if not said else writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="hung up before it answered"):
            await dial(f"ws://127.0.0.1:{port}/v1/realtime", link=RealtimeLink())


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"", b""),
        (b"\x03\xe8bye", b"\x03\xe8"),
        (b"\x0f\xa0", b"\x0f\xa0"),
        (b"\x03", b"\x03\xea"),
        (b"\x03\xed", b"\x03\xea"),
        (b"\x03\xee", b"\x03\xea"),
        (b"{}", b"\x03\xea"),
    ],
)
def test_a_close_is_answered_with_its_code_or_with_1002_if_that_may_not_be_sent(
    said: bytes, answered: bytes
) -> None:
    assert _echo(said) == answered
