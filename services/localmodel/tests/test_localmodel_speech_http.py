"""`POST /v1/audio/speech`: what is asked for is said as it is, and what cannot be said is refused by name."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError
from ringback_localmodel.adapters.speech import Mouth
from ringback_localmodel.server import speech_http
from ringback_localmodel.server.realtime_server import RealtimeServer
from ringback_localmodel.settings import LocalModelSettings
from ringback_speech import InferencePool, ToneRecogniser, tone_voice

WORDS = "I will cancel reservation 482915. Shall I do that?"


@asynccontextmanager
async def speaking(*, ready: bool = True, **settings: Any) -> AsyncIterator[str]:
    """A server with the voice of tones; its base URL."""
    pool = InferencePool(threads=1, waiting_max=8)
    server = RealtimeServer(LocalModelSettings(port=0, drain_ms=0, **settings))
    port = await server.listen()

    def no_sessions(connection: object, model: object) -> Any:
        raise AssertionError("nobody asks for a session")

    if ready:
        server.open_for(no_sessions, mouth=Mouth(tone_voice(), pool=pool))
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await server.drain(drain_ms=0)
        pool.close()


async def asked(base: str, body: Any, *, key: str = "any", path: str = "/audio/speech") -> httpx.Response:
    async with httpx.AsyncClient(timeout=25, trust_env=False) as client:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await client.post(f"{base}{path}", headers={"Authorization": f"Bearer {key}"}, **content)


def wish(**changes: Any) -> dict[str, Any]:
    return {"model": "any", "voice": "marin", "input": WORDS, "response_format": "pcm"} | changes


async def test_the_openai_package_gets_every_word_as_pcm_at_24_khz() -> None:
    async with speaking() as base, AsyncOpenAI(api_key="any", base_url=base) as client:
        answer = await client.audio.speech.create(
            model="any", voice="marin", input=WORDS, response_format="pcm"
        )
        assert answer.response.headers["content-type"] == "audio/pcm"
        assert ToneRecogniser().transcribe(answer.content).text == WORDS


async def test_a_wave_file_holds_the_same_audio() -> None:
    async with speaking() as base:
        plain = await asked(base, wish())
        packed = await asked(base, wish(response_format="wav", voice={"id": "agent"}))
    with wave.open(io.BytesIO(packed.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.readframes(file.getnframes()) == plain.content


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "a" * 4_097}, "input"),
        ({"input": 7}, "input"),
        ({"model": ""}, "model"),
        ({"voice": 7}, "voice"),
        ({"response_format": "mp3"}, "response_format"),
        ({"speed": 2.0}, "speed"),
        ({"stream_format": "sse"}, "stream_format"),
    ],
)
async def test_what_can_not_be_said_so_is_refused_with_its_name(changes: dict[str, Any], param: str) -> None:
    async with speaking() as base:
        answer = await asked(base, wish(**changes))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", param)


async def test_the_format_that_the_package_asks_for_by_itself_is_refused() -> None:
    async with speaking() as base, AsyncOpenAI(api_key="any", base_url=base) as client:
        with pytest.raises(BadRequestError, match="pcm or wav"):
            await client.audio.speech.create(model="any", voice="marin", input=WORDS)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'"words"', b"\xff\xfe"])
async def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    async with speaking() as base:
        answer = await asked(base, body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_only_the_key_that_is_set_may_have_words_said() -> None:
    async with speaking(key="right") as base:
        assert (await asked(base, wish(), key="wrong")).status_code == 401
        assert (await asked(base, wish(), key="right")).status_code == 200


async def test_nothing_is_said_before_the_models_are_loaded_and_nothing_elsewhere() -> None:
    async with speaking(ready=False) as base:
        answer = await asked(base, wish())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await asked(base, wish(), path="/audio/transcriptions")).status_code == 404
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.put(f"{base}/audio/speech")).status_code == 405


async def test_more_at_once_than_may_be_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_http, "AT_ONCE_MAX", 1)
    going_on = asyncio.Event()

    class Slow:
        async def speak(self, text: str, *, voice: str) -> AsyncIterator[bytes]:
            await going_on.wait()
            yield b"\0\1"

    http = speech_http.SpeechHttp(speech_http.Admission(key=None, sessions_max=1))
    http.open_for(Slow())
    request = speech_http.HttpRequest(
        "POST", speech_http.SPEECH_PATH, {}, b'{"input":"a","model":"m","response_format":"pcm"}'
    )
    first = asyncio.ensure_future(http(request))
    await asyncio.sleep(0)
    assert (await http(request)).status == 429
    going_on.set()
    assert (await first).body == b"\0\1"
    assert (await http(request)).status == 200
