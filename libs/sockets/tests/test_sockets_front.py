"""One port for WebSockets, health checks and requests with a body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_sockets import (
    HttpAnswer,
    HttpRequest,
    RealtimeLink,
    accepted,
    dial,
    front,
    json_answer,
    listen,
    read_upgrade,
    text_answer,
)
from ringback_sockets.http import BODY_BYTES_MAX, BadRequestError, read_head


def _admit(request):
    upgrade = read_upgrade(request)
    if not upgrade.websocket:
        return text_answer("ok\n")
    link = RealtimeLink()
    link.take(lambda message: link.send(message.upper()))
    return accepted(upgrade, link)


async def _echo(request: HttpRequest) -> HttpAnswer:
    if request.path == "/fault":
        raise RuntimeError("secret words")
    return json_answer({"path": request.path, "key": request.key, "size": len(request.body)})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server, port = await listen(_admit, host="127.0.0.1", port=0, on_request=_echo)
    yield port
    server.close()


async def _ask(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_websocket_opens_as_without_the_front(port: int) -> None:
    link = await dial(f"ws://127.0.0.1:{port}/v1", link=RealtimeLink())
    link.send(b"hello" * 10_000)
    async with asyncio.timeout(5):
        async for message in link.messages():
            assert message == b"HELLO" * 10_000
            break
    link.close()
    await link.wait_closed()


async def test_a_plain_get_is_answered(port: int) -> None:
    answer = await _ask(port, b"GE", b"T /healthz HTTP/1.1\r\nHost: x\r\n", b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_request_with_a_body_is_read_whole_and_answered_once(port: int) -> None:
    head = b"POST /v1/x%20y/?q=1 HTTP/1.1\r\nAuthorization: Bearer k1\r\nContent-Length: 40000\r\n\r\n"
    answer = await _ask(port, head, b"a" * 20_000, b"b" * 20_000)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"path":"/v1/x y","key":"k1","size":40000}')
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"POST / HTTP/1.1\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n", 400),
        ("NONSENSE\r\n\r\n", 400),
        ("POST /fault HTTP/1.1\r\n\r\n", 500),
    ],
)
async def test_what_cannot_be_served_is_refused_in_the_protocols_shape(
    port: int, head: str, status: int
) -> None:
    answer = await _ask(port, head.encode())
    assert answer.startswith(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode())
    assert b'"error"' in answer
    assert b"secret" not in answer


async def test_a_head_without_end_is_refused(port: int) -> None:
    answer = await _ask(port, b"POST / HTTP/1.1\r\n", b"X: " + b"a" * 20_000)
    assert answer.startswith(b"HTTP/1.1 431")


@given(st.binary(max_size=300))
def test_reading_a_head_is_total(head: bytes) -> None:
    try:
        request, length = read_head(head)
    except BadRequestError:
        return
    assert 0 <= length <= BODY_BYTES_MAX
    assert request.body == b""


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # It is given up at the loop's next turn, in which no reader can have taken so much.
    monkeypatch.setattr(front, "TAKEN_S", 0.0)

    async def long(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(HTTPStatus.OK, bytes(64 << 20))

    server, port = await listen(_admit, host="127.0.0.1", port=0, on_request=long)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(25):
            await reader.readexactly(64 << 20)
    writer.close()
    server.close()
