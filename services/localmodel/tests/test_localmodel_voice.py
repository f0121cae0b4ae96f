"""A spoken conversation with real models: openai's client on one side, this server on the other."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import date
from difflib import SequenceMatcher
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from ringback_localmodel.adapters.dialogue_brain import DialogueBrain
from ringback_localmodel.adapters.speech import Mouth
from ringback_localmodel.bootstrap import session_factory
from ringback_localmodel.server.realtime_server import RealtimeServer
from ringback_localmodel.settings import LocalModelSettings
from ringback_speech import InferencePool, LocalVoice, load_voice, missing

pytestmark = [
    pytest.mark.voice,
    pytest.mark.skipif(missing() is not None, reason="the speech models are not installed"),
]
FRAME_BYTES = 1_920
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "book_repair",
        "description": "Book a repair of a bicycle in the workshop.",
        "parameters": {
            "type": "object",
            "properties": {
                "frame_number": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"},
                "day": {"type": "string", "format": "date", "title": "Drop-off day"},
                "part": {"type": "string", "enum": ["brakes", "chain", "wheel", "lights"]},
            },
            "required": ["frame_number", "day", "part"],
        },
    },
    {
        "type": "function",
        "name": "opening_hours",
        "description": "Tell when the shop is open.",
        "parameters": {"type": "object", "properties": {}},
    },
]
OUTPUTS = {
    "book_repair": {"message": "Your repair is booked. The price is forty dollars.", "pick_up": "Wednesday"},
    "opening_hours": {"hours": "nine to six"},
}


@pytest.fixture(scope="module")
def voice() -> Iterator[LocalVoice]:
    return load_voice()


@pytest.fixture
async def base_url(voice: LocalVoice) -> AsyncIterator[str]:
    settings = LocalModelSettings(port=0, drain_ms=0)
    pool = InferencePool(threads=2, waiting_max=64)
    server = RealtimeServer(settings)
    port = await server.listen()
    brain = DialogueBrain(today=lambda: date(2026, 11, 22))
    mouth = Mouth(voice, pool=pool)
    server.open_for(session_factory(settings, voice=voice, pool=pool, brain=brain), mouth=mouth)
    yield f"http://127.0.0.1:{port}/v1"
    await server.drain(drain_ms=0)
    pool.close()


class Caller:
    """Speaks, runs the tools it brought, and writes down what it understood of the answers."""

    def __init__(self, connection: AsyncRealtimeConnection, voice: LocalVoice) -> None:
        self._connection = connection
        self._voice = voice
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.heard_as: list[str] = []

    async def says(self, text: str) -> str:
        """Stream a turn, faster than real time; returns what the agent's voice was understood to say."""
        chunks = self._voice.synthesiser.stream(text, voice="caller")
        pcm = b"".join(chunk.pcm for chunk in chunks) + bytes(48_000)
        for start in range(0, len(pcm), FRAME_BYTES):
            audio = base64.b64encode(pcm[start : start + FRAME_BYTES]).decode()
            await self._connection.input_audio_buffer.append(audio=audio)
        return await self.answer()

    async def answer(self) -> str:
        """Follow the events to the end of a spoken answer."""
        audio, words = b"", ""
        async with asyncio.timeout(30):
            async for event in self._connection:
                assert event.type != "error", event
                match event.type:
                    case "conversation.item.input_audio_transcription.completed":
                        self.heard_as.append(event.transcript)
                    case "response.output_audio.delta":
                        audio += base64.b64decode(event.delta)
                    case "response.output_audio_transcript.done":
                        words = event.transcript
                    case "response.done" if event.response.status == "completed":
                        if not await self._ran_tools(event.response.output or []):
                            break
                    case "response.done":
                        audio, words = b"", ""
        spoken = self._voice.recogniser.transcribe(audio).text
        assert _alike(words, spoken), (words, spoken)
        return words

    async def _ran_tools(self, output: list[Any]) -> bool:
        calls = [item for item in output if item.type == "function_call"]
        for item in calls:
            self.calls.append((item.name, json.loads(item.arguments)))
            answer: Any = {
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": json.dumps(OUTPUTS[item.name]),
            }
            await self._connection.conversation.item.create(item=answer)
        if calls:
            await self._connection.response.create()
        return bool(calls)


def _alike(one: str, other: str) -> bool:
    """Whether the letters of the transcript are those that were understood from the audio, by and large."""
    said, understood = ("".join(re.findall(r"[a-z]+", text.lower())) for text in (one, other))
    return SequenceMatcher(None, said, understood, autojunk=False).ratio() >= 0.75


async def test_openais_client_holds_a_spoken_conversation(base_url: str, voice: LocalVoice) -> None:
    client = AsyncOpenAI(api_key="any", base_url=base_url)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        session: Any = {
            "type": "realtime",
            "instructions": "You are the assistant of a bicycle workshop.",
            "tools": TOOLS,
            "include": ["item.input_audio_transcription.logprobs"],
            "audio": {"input": {"transcription": {"model": "local"}}},
        }
        await connection.session.update(session=session)
        caller = Caller(connection, voice)
        assert (
            await caller.says("Hello, I want to book a repair for my bicycle.") == "What is the frame number?"
        )
        assert await caller.says("It is K X four seven one nine.") == "What is the drop-off day?"
        assert "brakes, chain, wheel or lights" in await caller.says("Tomorrow, please.")
        assert (await caller.says("The brakes.")).startswith("Your repair is booked.")
        assert caller.calls == [
            ("book_repair", {"frame_number": "KX4719", "day": "2026-11-23", "part": "brakes"})
        ]
        assert "Wednesday" in await caller.says("When is the pick up?")
        assert "nine to six" in await caller.says("What are your opening hours?")
        assert await caller.says("Thank you, goodbye.") == "Goodbye, and have a good day."
        assert len(caller.calls) == 2
        assert all(caller.heard_as)
    await client.close()


async def test_a_dictated_reply_is_spoken_out_of_band(base_url: str, voice: LocalVoice) -> None:
    client = AsyncOpenAI(api_key="any", base_url=base_url)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        text = "You want to cancel the order with number 4 8 2 1. The refund is $120.50. Is that right?"
        response: Any = {
            "conversation": "none",
            "input": [],
            "tools": [],
            "instructions": f'Say exactly: "{text}"',
            "metadata": {"purpose": "read_back"},
        }
        await connection.response.create(response=response)
        assert await Caller(connection, voice).answer() == text
    await client.close()


async def test_a_text_that_is_said_aloud_is_understood_again(base_url: str, voice: LocalVoice) -> None:
    text = "You want to cancel the order with number 4 8 2 1. The refund is $120.50. Is that right?"
    async with AsyncOpenAI(api_key="any", base_url=base_url) as client:
        answer = await client.audio.speech.create(
            model="any", voice="marin", input=text, response_format="pcm"
        )
    understood = voice.recogniser.transcribe(answer.content).text
    assert _alike(text, understood), understood


async def test_two_calls_at_once_do_not_mix(base_url: str, voice: LocalVoice) -> None:
    async def call(words: str) -> str:
        client = AsyncOpenAI(api_key="any", base_url=base_url)
        async with client.realtime.connect(model="gpt-realtime") as connection:
            session: Any = {"type": "realtime", "audio": {"input": {"transcription": {"model": "local"}}}}
            await connection.session.update(session=session)
            caller = Caller(connection, voice)
            await caller.says(words)
        await client.close()
        return caller.heard_as[0]

    one, other = await asyncio.gather(call("The weather is fine today."), call("Bring seven green apples."))
    assert "weather" in one.lower()
    assert "apples" in other.lower()
