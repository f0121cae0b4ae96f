"""The `openai` package, unmodified, through session: by text and by audio, with zero error events."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from ringback_cli.caller import CallerVoice
from ringback_speech import load_voice
from ringback_testkit.running_stack import RunningStack

pytestmark = pytest.mark.voice
FRAME_BYTES = 1920
PATIENCE_S = 30.0
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City name", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
    },
}


def _client(running: RunningStack, path: str = "") -> AsyncOpenAI:
    base = running.stack.addresses.realtime_url
    if path:
        base = base.removesuffix("/v1") + path
    return AsyncOpenAI(api_key=running.stack.api_key, base_url=base)


async def _until(connection: Any, kind: str, seen: list[Any]) -> Any:
    """Collect events up to the first of a kind."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in connection:
            seen.append(event)
            if event.type == kind:
                return event
    raise AssertionError(f"the connection ended before {kind}")


def _no_errors(seen: list[Any]) -> None:
    errors = [event for event in seen if event.type == "error"]
    assert not errors, errors


def _say(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


@pytest.mark.parametrize("path", ["", "/p/airline/v1", "/p/passthrough/v1"])
async def test_a_text_conversation_has_no_error_events(running: RunningStack, path: str) -> None:
    seen: list[Any] = []
    async with _client(running, path).realtime.connect(model="gpt-realtime") as connection:
        await _until(connection, "session.created", seen)
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await _until(connection, "session.updated", seen)
        await connection.conversation.item.create(item=_say("Hello there"))
        await connection.response.create()
        done = await _until(connection, "response.done", seen)
    _no_errors(seen)
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].text
    assert [event.type for event in seen[:2]] == ["session.created", "session.updated"]


async def test_the_blocking_client_has_a_conversation_without_error_events(running: RunningStack) -> None:
    def converse() -> list[Any]:
        client = OpenAI(api_key=running.stack.api_key, base_url=running.stack.addresses.realtime_url)
        seen: list[Any] = []
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            connection.conversation.item.create(item=_say("Please look up reservation 482915."))
            connection.response.create()
            while not seen or seen[-1].type != "response.done":
                seen.append(connection.recv())
        return seen

    async with asyncio.timeout(PATIENCE_S):
        seen = await asyncio.to_thread(converse)
    _no_errors(seen)
    assert "Boston" in seen[-1].response.output[0].content[0].text


async def test_a_typed_cancellation_asks_for_the_id_and_reads_back(running: RunningStack) -> None:
    seen: list[Any] = []
    async with _client(running).realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await _until(connection, "session.updated", seen)
        texts = []
        for line in ("I want to cancel my reservation", "562 708", "no"):
            await connection.conversation.item.create(item=_say(line))
            await connection.response.create()
            done = await _until(connection, "response.done", seen)
            texts.append(" ".join(part.text or "" for item in done.response.output for part in item.content))
    _no_errors(seen)
    assert "reservation id" in texts[0].lower()
    assert texts[1], "something is said about the reservation"
    refunded = [row for row in await running.backend.ledger() if row.get("reservation_id") == "562708"]
    assert not refunded, "without a yes nothing happens"
    assert not any(event.type.startswith("response.function_call") for event in seen), (
        "tools that the platform runs stay invisible"
    )


async def test_a_client_tool_reaches_the_client_of_the_plain_relay(running: RunningStack) -> None:
    seen: list[Any] = []
    async with _client(running, "/p/passthrough/v1").realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL]}
        )
        await _until(connection, "session.updated", seen)
        await connection.conversation.item.create(item=_say("What is the weather in Paris?"))
        await connection.response.create()
        call = await _until(connection, "response.function_call_arguments.done", seen)
        await _until(connection, "response.done", seen)
        assert call.name == "get_weather"
        await connection.conversation.item.create(
            item={
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": '{"message": "It is sunny in Paris."}',
            }
        )
        await connection.response.create()
        done = await _until(connection, "response.done", seen)
    _no_errors(seen)
    assert "sunny" in done.response.output[0].content[0].text


@pytest.mark.parametrize("path", ["/v1", "/p/passthrough/v1"])
async def test_a_spoken_conversation_has_no_error_events(running: RunningStack, path: str) -> None:
    voice = CallerVoice(seed=3)
    question = await asyncio.to_thread(voice.speak, "Hello, how can you help me?")
    silence = bytes(24_000 * 2)
    seen: list[Any] = []
    spoken = bytearray()
    async with _client(running, path).realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        await _until(connection, "session.updated", seen)
        audio = question + silence
        for at in range(0, len(audio), FRAME_BYTES):
            chunk = base64.b64encode(audio[at : at + FRAME_BYTES]).decode()
            await connection.input_audio_buffer.append(audio=chunk)
        heard = await _until(connection, "conversation.item.input_audio_transcription.completed", seen)
        assert "help" in heard.transcript.lower()
        while True:
            await _until(connection, "response.done", seen)
            answers = [event for event in seen if event.type == "response.output_audio_transcript.done"]
            if any(_follows(seen, answer, heard) for answer in answers):
                break
        for event in seen:
            if event.type == "response.output_audio.delta":
                spoken += base64.b64decode(event.delta)
    _no_errors(seen)
    assert len(spoken) > 24_000, "the answer is audible"
    transcript = load_voice().recogniser.transcribe(bytes(spoken[-24_000 * 2 * 10 :]))
    assert transcript.text.strip(), "the answer can be understood"


def _follows(seen: list[Any], later: Any, earlier: Any) -> bool:
    return seen.index(later) > seen.index(earlier)
