"""A cut network passes nothing and tells nobody; mended, what was sent arrives."""

import asyncio
from contextlib import suppress

import pytest
from ringback_testkit.partition import Partition

BOUND_S = 25


@pytest.fixture
async def echo():
    begun, ended = [], []

    async def answer(reader, writer):
        begun.append(writer)
        with suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.transport.abort()
        ended.append(writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], ended
    server.close()
    async with asyncio.timeout(BOUND_S):
        while len(ended) < len(begun):
            await asyncio.sleep(0.01)


async def heard(reader):
    async with asyncio.timeout(BOUND_S):
        return await reader.read(1000)


async def test_what_is_sent_into_a_cut_arrives_once_it_is_mended(echo):
    port, _ = echo
    async with Partition(port) as network:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"one")
        assert await heard(reader) == b"one"
        network.cut()
        writer.write(b"two")
        later = asyncio.ensure_future(reader.read(1000))
        late, late_writer = await asyncio.open_connection("127.0.0.1", network.port)
        late_writer.write(b"three")
        for _ in range(50):
            await asyncio.sleep(0)
        assert not later.done()
        network.mend()
        assert await asyncio.wait_for(later, BOUND_S) == b"two"
        assert await heard(late) == b"three"
        for each in (writer, late_writer):
            each.close()
            await each.wait_closed()


async def test_the_end_of_one_side_is_the_end_of_the_other(echo):
    port, ended = echo
    async with Partition(port) as network:
        _, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(BOUND_S):
            while not ended:
                await asyncio.sleep(0.01)


async def test_leaving_ends_what_is_still_open_and_leaves_nothing_behind(echo):
    port, _ = echo
    async with Partition(port) as network:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"one")
        assert await heard(reader) == b"one"
        network.cut()
        _, waiting = await asyncio.open_connection("127.0.0.1", network.port)
    with suppress(ConnectionResetError):
        assert await heard(reader) == b""
    for each in (writer, waiting):
        each.transport.abort()
