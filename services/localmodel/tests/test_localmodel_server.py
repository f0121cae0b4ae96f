"""The server on a loopback port: admission, health, limits, and that one session's end is nobody else's."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from ringback_errors import ConfigError
from ringback_localmodel.adapters.speech import Mouth
from ringback_localmodel.adapters.twins import ScriptedBrain
from ringback_localmodel.bootstrap import session_factory
from ringback_localmodel.domain.context import Call, Context, Say
from ringback_localmodel.ports import Brain
from ringback_localmodel.server.realtime_server import RealtimeServer
from ringback_localmodel.settings import LocalModelSettings
from ringback_sockets import FRAME_BYTES_MAX
from ringback_speech import InferencePool, tone_voice
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


class Running:
    def __init__(self, server: RealtimeServer, port: int) -> None:
        self.server = server
        self.http = f"http://127.0.0.1:{port}"
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"


class Prolix:
    """A brain that has much to say."""

    async def reply(self, context: Context) -> AsyncIterator[Say | Call]:
        for _ in range(400):
            yield Say("All of this has to be read by somebody, and it goes on and on.")


@asynccontextmanager
async def running(brain: Brain | None = None, **settings: Any) -> AsyncIterator[Running]:
    wanted = LocalModelSettings(port=0, drain_ms=0, **settings)
    pool = InferencePool(threads=1, waiting_max=64)
    server = RealtimeServer(wanted)
    port = await server.listen()
    brain = brain or ScriptedBrain()
    voice = tone_voice()
    mouth = Mouth(voice, pool=pool)
    server.open_for(session_factory(wanted, voice=voice, pool=pool, brain=brain), mouth=mouth)
    try:
        yield Running(server, port)
    finally:
        await server.drain(drain_ms=0)
        pool.close()


async def next_event(socket: ClientConnection, kind: str | None = None) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if kind in (None, event["type"]):
                return event


async def closed_with(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


async def status_of(connecting: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await connecting()
    return refused.value.response.status_code


async def test_health_says_ready_only_when_sessions_can_be_made() -> None:
    server = RealtimeServer(LocalModelSettings(port=0))
    port = await server.listen()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 503
    assert await status_of(lambda: _open(f"ws://127.0.0.1:{port}/v1/realtime")) == 503
    await server.drain(drain_ms=0)
    async with running() as it, httpx.AsyncClient() as client:
        assert (await client.get(f"{it.http}/healthz")).status_code == 200
        assert (await client.get(f"{it.http}/elsewhere")).status_code == 404


async def _open(url: str, **options: Any) -> ClientConnection:
    return await connect(url, proxy=None, **options)


async def test_a_key_is_asked_for_when_one_is_set() -> None:
    async with running(key="right") as it:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}):
            assert await status_of(lambda headers=headers: _open(it.url, additional_headers=headers)) == 401  # type: ignore[misc]
        socket = await _open(it.url, additional_headers={"Authorization": "Bearer right"})
        assert (await next_event(socket))["type"] == "session.created"
        await socket.close()


async def test_a_browsers_subprotocols_carry_the_key_and_realtime_is_selected() -> None:
    async with running(key="right") as it:
        offered = ["realtime", "openai-insecure-api-key.right", "openai-agents-sdk.0.20"]
        socket = await _open(it.url, subprotocols=offered)
        assert socket.subprotocol == "realtime"
        await socket.close()


async def test_the_model_is_the_clients_or_the_default() -> None:
    async with running(model="house") as it:
        for query, model in (("", "house"), ("?model=gpt-realtime", "gpt-realtime")):
            socket = await _open(it.url + query)
            assert (await next_event(socket))["session"]["model"] == model
            await socket.close()


async def test_sessions_are_bounded_and_a_place_becomes_free_again() -> None:
    async with running(sessions_max=1) as it:
        first = await _open(it.url)
        await next_event(first)
        assert await status_of(lambda: _open(it.url)) == 503
        await first.close()
        async with asyncio.timeout(5):
            await it.server.wait_for_sessions(at_most=0)
        second = await _open(it.url)
        assert (await next_event(second))["type"] == "session.created"
        await second.close()


async def test_a_frame_that_is_too_big_closes_with_a_reason_and_hurts_nobody_else() -> None:
    async with running() as it:
        bad, good = await _open(it.url), await _open(it.url)
        with contextlib.suppress(ConnectionClosed):
            await bad.send("x" * (FRAME_BYTES_MAX + 1))
        code, reason = await closed_with(bad)
        assert code == 1009
        assert "max" in str(reason)
        await next_event(good)
        await good.send('{"type":"session.update","session":{"type":"realtime","instructions":"still here"}}')
        assert (await next_event(good))["session"]["instructions"] == "still here"
        await good.close()


async def test_a_large_append_in_fragments_is_taken() -> None:
    async with running() as it:
        socket = await _open(it.url)
        await socket.send(
            '{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":null}}}}'
        )
        half = "AAAA" * (2 * 1024 * 1024 // 4)
        await socket.send(iter(['{"type":"input_audio_buffer.append","audio":"', half, half, '"}']))
        await socket.send('{"type":"input_audio_buffer.commit"}')
        assert (await next_event(socket, "input_audio_buffer.committed"))["item_id"]
        await socket.close()


async def test_a_client_that_does_not_read_is_cut_off_with_a_reason() -> None:
    async with running(Prolix(), slow_reader_ms=200) as it:
        slow, other = await _open(it.url, max_queue=1), await _open(it.url)
        await slow.send('{"type":"response.create"}')
        await other.send('{"type":"session.update","session":{"type":"realtime"}}')
        await next_event(other, "session.updated")
        async with asyncio.timeout(20):
            await it.server.wait_for_sessions(at_most=1)
        assert (await closed_with(slow))[0] == 1008
        await other.close()


async def test_a_session_ends_at_its_limit_with_an_error_and_a_close() -> None:
    async with running(session_ms_max=1_000) as it:
        socket = await _open(it.url)
        assert (await next_event(socket, "error"))["error"]["code"] == "session_expired"
        code, reason = await closed_with(socket)
        assert (code, "maximum duration" in str(reason)) == (1001, True)


async def test_draining_closes_what_is_left_and_admits_nobody() -> None:
    async with running() as it:
        socket = await _open(it.url)
        await next_event(socket)
        await it.server.drain(drain_ms=0)
        assert (await closed_with(socket))[0] == 1001


async def test_the_openai_client_talks_to_it_by_text() -> None:
    async with running(ScriptedBrain([Say("Good day to you.")])) as it:
        client = AsyncOpenAI(api_key="any", base_url=f"{it.http}/v1")
        async with client.realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            content: Any = [{"type": "input_text", "text": "Hello"}]
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            await connection.response.create()
            async for event in connection:
                assert event.type != "error"
                if event.type == "response.output_text.done":
                    assert event.text == "Good day to you."
                if event.type == "response.done":
                    break
        await client.close()


async def test_a_port_in_use_is_one_clear_line() -> None:
    async with running() as it:
        port = int(it.http.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: it is in use"):
            await RealtimeServer(LocalModelSettings(port=port)).listen()


async def test_the_process_refuses_bad_settings_with_one_line_and_code_2() -> None:
    environ = {**os.environ, "RINGBACK_PORT": "many"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringback_localmodel", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert said.decode().strip().splitlines() == [
        "cannot start: RINGBACK_PORT: expected a whole number from 0 to 65535"
    ]
