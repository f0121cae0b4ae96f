"""Bursts: what comes together is passed on together, in order, and nothing waits when the burst is over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from picows import WSUpgradeRequest
from ringback_realtime import Close
from ringback_sockets import RealtimeLink, accepted, dial, listen, read_upgrade
from ringback_sockets.bursts import Bursts
from ringback_sockets.link import _BURSTS

PATIENCE_S = 10
BIG = b"x" * 2_000
pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="only Linux holds segments back")


@asynccontextmanager
async def two_ends() -> AsyncIterator[tuple[RealtimeLink, RealtimeLink]]:
    """The client's end and the server's."""
    opened: asyncio.Queue[RealtimeLink] = asyncio.Queue()

    def admit(request: WSUpgradeRequest) -> object:
        return accepted(read_upgrade(request), RealtimeLink(on_open=opened.put_nowait))

    server, port = await listen(admit, host="127.0.0.1", port=0)  # type: ignore[arg-type]
    near = await dial(f"ws://127.0.0.1:{port}", link=RealtimeLink())
    async with asyncio.timeout(PATIENCE_S):
        far = await opened.get()
    try:
        yield near, far
    finally:
        server.close()
        async with asyncio.timeout(PATIENCE_S):
            for link in (near, far):
                link.abort()
                await link.wait_closed()


def held(link: RealtimeLink) -> bool:
    return bool(link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))


async def gets(link: RealtimeLink, number: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        async for message in link.messages():
            found.append(message)
            if len(found) == number:
                return found
    return found


async def test_a_burst_is_passed_on_in_order_and_held_until_its_last_message() -> None:
    async with two_ends() as (near, far):
        seen: list[bool] = []

        def echo(message: bytes) -> None:
            far.send(message)
            seen.append(held(far))

        far.take(echo)
        sent = [b"%04d" % number + BIG for number in range(8)]
        for message in sent:
            near.send(message)
        assert await gets(near, len(sent)) == sent
        assert True in seen, "they came one by one"
        assert not held(far)
        assert not _BURSTS.waiting
        assert not _BURSTS.coming


async def test_nothing_waits_for_a_control_frame_behind_the_last_message() -> None:
    async with two_ends() as (near, far):
        far.take(far.send)
        near.send(BIG)
        near.send(BIG)
        near.transport.send_ping(b"still there")
        assert await gets(near, 2) == [BIG, BIG]
        assert not held(far)
        assert not _BURSTS.waiting


async def test_a_burst_that_is_cut_short_holds_nothing_back() -> None:
    async with two_ends() as (near, far):

        def last_word(message: bytes) -> None:
            far.send(message)
            far.close(Close(1000, "enough"))

        far.take(last_word)
        for _ in range(4):
            near.send(BIG)
        assert await gets(near, 4) == [BIG]
        assert (await near.wait_closed()).reason == "enough"
        assert not _BURSTS.waiting
        assert not _BURSTS.coming


def test_a_socket_that_is_gone_stops_nobody() -> None:
    gone = socket.socket()
    gone.close()
    bursts = Bursts()
    bursts.hold(gone)
    bursts.hold(None)
    bursts.end()
    assert not bursts.waiting
