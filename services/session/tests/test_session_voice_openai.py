"""Text to speech over a real HTTP endpoint on loopback: what it says, and every way in which it does not."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import pytest
from ringback_audio import g711
from ringback_calling import BreakerState
from ringback_session.adapters import voice_openai
from ringback_session.adapters.voice_openai import FAILURES_MAX, OPEN_MS, VoiceOverHttp
from ringback_testkit import FakeClock

TEXT = "I will cancel reservation 482915."
# A second, more than the text needs at least.
PCM = b"\1\2" * 24_000
KEY = "sk-very-secret"


def answer(body=PCM, *, status="200 OK", kind="audio/pcm", length=None):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


class Endpoint:
    """Answers every request with the same bytes; what None is in their place never comes."""

    def __init__(self):
        self.answer = answer()
        self.requests = []
        self.ended = asyncio.Event()

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length")
            )
            self.requests.append((head, json.loads(await reader.readexactly(length))))
            for piece in self.answer if isinstance(self.answer, tuple) else (self.answer,):
                if piece is None:
                    await self.ended.wait()
                    return
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def endpoint():
    there = Endpoint()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield there
    there.ended.set()
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def port(url, **settings):
    voice = VoiceOverHttp(
        **{"base_url": url, "api_key": KEY, "model": "tts-x", "timeout_ms": 20_000} | settings
    )
    try:
        yield voice
    finally:
        await voice.close()


async def spoken(endpoint, *, sound="pcm", text=TEXT, **settings):
    async with port(endpoint.url, **settings) as voice:
        return await voice.speak(text, voice="marin", sound=sound)


async def test_all_of_the_audio_comes_with_its_length(endpoint):
    said = await spoken(endpoint)
    assert (said.audio, said.error, said.model, said.audio_ms) == (PCM, "", "tts-x", 1_000)
    ((head, body),) = endpoint.requests
    assert head.startswith("POST /v1/audio/speech HTTP/1.1\r\n")
    assert f"Bearer {KEY}" in head
    assert body == {"model": "tts-x", "voice": "marin", "input": TEXT, "response_format": "pcm"}


async def test_a_voice_that_is_set_takes_the_place_of_the_calls(endpoint):
    await spoken(endpoint, voice="alloy")
    assert endpoint.requests[0][1]["voice"] == "alloy"


@pytest.mark.parametrize(("sound", "law"), [("pcmu", "u"), ("pcma", "a")])
async def test_a_telephone_gets_its_own_law_at_8_khz(endpoint, sound, law):
    said = await spoken(endpoint, sound=sound)
    assert (len(said.audio), said.audio_ms) == (8_000, 1_000)
    heard = memoryview(g711.decode(said.audio, law=law)).cast("h")
    middle = heard[1_000:7_000]
    assert max(abs(sample - 0x0201) for sample in middle) < 40, "a steady level stays what it is"


async def test_audio_that_comes_in_pieces_without_a_length_is_whole(endpoint):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [b"%x\r\n%s\r\n" % (len(part), part) for part in (PCM[:9_001], PCM[9_001:])]
    endpoint.answer = (head, *pieces, b"0\r\n\r\n")
    assert (await spoken(endpoint)).audio == PCM


@pytest.mark.parametrize(
    ("bad", "error", "unreported"),
    [
        pytest.param(
            answer(b'{"error":{"message":"no"}}', status="401 Unauthorized"), "unavailable", False, id="401"
        ),
        pytest.param(answer(b"{}", status="429 Too Many Requests"), "unavailable", False, id="429"),
        pytest.param(answer(b"oops", status="500 Oops"), "unavailable", False, id="500"),
        pytest.param(answer(b"{}", status="400 Bad Request"), "unavailable", False, id="400"),
        pytest.param(answer(PCM[:9_000], length=len(PCM)), "unavailable", True, id="truncated"),
        pytest.param(answer(PCM[:600]), "unusable", True, id="cut off politely"),
        pytest.param(answer(PCM + b"\1"), "unusable", True, id="half a sample"),
        pytest.param(answer(b""), "unusable", True, id="nothing"),
        pytest.param(answer(bytes(48_000)), "unusable", True, id="silence"),
        pytest.param(answer(b"RIFF" + PCM), "unusable", True, id="a wave file"),
        pytest.param(answer(b"ID3\4" + PCM), "unusable", True, id="mp3"),
        pytest.param(answer(b'{"audio":""}', kind="application/json"), "unusable", True, id="json"),
        pytest.param(answer(PCM * 61), "too_long", True, id="oversized"),
        pytest.param(b"garbage\r\n\r\n", "unavailable", False, id="garbage"),
        pytest.param(b"", "unavailable", False, id="hangs up"),
    ],
)
async def test_what_can_not_be_used_is_not_heard(endpoint, bad, error, unreported):
    endpoint.answer = bad
    said = await spoken(endpoint)
    assert (said.audio, said.error, said.unreported) == (b"", error, unreported)
    assert len(endpoint.requests) == 1, "a caller waits: it is asked once"


@pytest.mark.parametrize("there", [(None,), (answer()[:9_000], None)], ids=["silent", "stalls"])
async def test_an_endpoint_that_is_slow_is_given_up(endpoint, there):
    endpoint.answer = there
    said = await spoken(endpoint, timeout_ms=500)
    assert (said.audio, said.error, said.unreported) == (b"", "deadline", True)


async def test_nobody_there_is_no_words():
    async with port("http://127.0.0.1:9/v1") as voice:
        said = await voice.speak(TEXT, voice="marin", sound="pcm")
    assert (said.audio, said.error, said.unreported) == (b"", "unavailable", False)


async def test_an_endpoint_that_fails_again_and_again_is_left_alone_for_a_while(endpoint):
    clock, told = FakeClock(), []
    endpoint.answer = answer(b"{}", status="429 Too Many Requests")
    watched = {"now_ms": clock.now_ms, "on_breaker": lambda state, open_ms: told.append((state, open_ms))}
    async with port(endpoint.url, **watched) as voice:
        for _ in range(FAILURES_MAX + 2):
            assert (await voice.speak(TEXT, voice="marin", sound="pcm")).error == "unavailable"
        assert len(endpoint.requests) == FAILURES_MAX
        assert told == [(BreakerState.OPEN, OPEN_MS)]
        clock.advance(OPEN_MS)
        endpoint.answer = answer()
        assert (await voice.speak(TEXT, voice="marin", sound="pcm")).audio == PCM
    assert told[-1][0] is BreakerState.CLOSED


async def test_words_that_are_not_wanted_any_more_leave_the_breaker_as_it_was(endpoint):
    endpoint.answer = (None,)
    async with port(endpoint.url) as voice:
        for _ in range(FAILURES_MAX):
            asking = asyncio.ensure_future(voice.speak(TEXT, voice="marin", sound="pcm"))
            number = len(endpoint.requests)
            async with asyncio.timeout(25):
                while len(endpoint.requests) == number:
                    await asyncio.sleep(0.005)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        endpoint.answer = answer()
        assert (await voice.speak(TEXT, voice="marin", sound="pcm")).audio == PCM


async def test_neither_key_nor_words_are_logged(endpoint, caplog):
    caplog.set_level(logging.INFO)
    for bad in (
        answer(f'{{"error":{{"message":"wrong key {KEY}: {TEXT}"}}}}'.encode(), status="401 No"),
        b"x",
    ):
        endpoint.answer = bad
        await spoken(endpoint)
    ours = [record for record in caplog.records if record.name == voice_openai.__name__]
    assert ours, "that it failed is said"
    assert KEY not in caplog.text
    assert TEXT not in caplog.text
