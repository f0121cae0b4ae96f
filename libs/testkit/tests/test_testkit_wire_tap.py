"""The tap reads what passes, and changes nothing of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from ringback_testkit.wire_tap import Tap
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)
        if json.loads(message)["type"] == "last":
            await connection.close(4000, "enough")


@pytest.fixture
async def port():
    async with serve(_echo, "127.0.0.1", 0, compression=None) as server:
        yield server.sockets[0].getsockname()[1]


async def test_events_of_both_sides_are_read_in_the_order_they_passed(port):
    async with Tap(port) as tap:
        async with connect(
            f"ws://127.0.0.1:{tap.port}/some/path", additional_headers={"X-Who": "me"}
        ) as client:
            for event in ({"type": "first", "audio": "A" * 200_000}, {"type": "last"}):
                await client.send(json.dumps(event))
                assert json.loads(await client.recv()) == event
            with pytest.raises(ConnectionClosed):
                await client.recv()
        [wire] = tap.wires
    assert [(seen.type, seen.from_server) for seen in wire.seen] == [
        ("first", False),
        ("first", True),
        ("last", False),
        ("last", True),
    ]
    assert [seen.at_s for seen in wire.seen] == sorted(seen.at_s for seen in wire.seen)
    assert wire.request.startswith("GET /some/path ")
    assert "X-Who: me" in wire.request
    assert " 101 " in wire.response
    assert "4000" in wire.closes[0]
    assert not wire.problem


async def test_a_message_in_parts_is_one_event(port):
    async with Tap(port) as tap:
        async with connect(f"ws://127.0.0.1:{tap.port}/") as client:
            await client.send(['{"type":', '"parts"}'])
            assert json.loads(await client.recv()) == {"type": "parts"}
        [wire] = tap.wires
    assert [seen.type for seen in wire.seen] == ["parts", "parts"]


async def test_a_refused_upgrade_passes_too():
    async def refuse(connection, request):
        return connection.respond(401, "no")

    async with serve(_echo, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        async with Tap(port) as tap:
            with pytest.raises(InvalidStatus):
                async with connect(f"ws://127.0.0.1:{tap.port}/"):
                    pass
            assert " 401 " in tap.wires[0].response
            assert not tap.wires[0].seen


async def test_what_cannot_be_read_passes_all_the_same():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\n\r\n\xff\xff\xff")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Tap(server.sockets[0].getsockname()[1]) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(b"\xff\xff\xff")
        writer.close()
        await writer.wait_closed()
        assert tap.wires[0].problem
