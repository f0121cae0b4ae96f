"""End of the caller's speech → first audio of the answer: through the whole stack, and directly at the local model."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any

import orjson
from bench_callers import close_all
from bench_figures import Table, percentile
from ringback_cli.caller import CallerVoice
from ringback_sockets import RealtimeLink, dial

if TYPE_CHECKING:
    from conftest import Bench

TURNS = 5
FRAME_S = 0.04
FRAME_BYTES = 1_920
# After the answer began: until it has been spoken, so that the next line does not cut in.
QUIET_S = 0.6
LINES = ("What can you do for me?", "How does that work?")


async def test_end_of_speech_to_first_audio(bench: Bench) -> None:
    """In real time; the same lines, one caller at a time. `after stop` begins at the server's speech_stopped."""
    voice = CallerVoice()
    await asyncio.to_thread(voice.prepare, LINES)
    at = bench.stack.addresses
    base = at.realtime_url.replace("http://", "ws://").removesuffix("/v1")
    ways = {
        "local model directly": (at.upstream_url, ""),
        "stack, passthrough": (f"{base}/p/passthrough/v1/realtime", bench.api_key),
        "stack, airline": (f"{base}/p/airline/v1/realtime", bench.api_key),
    }
    table = Table(
        "voice",
        "End of the caller's speech → first audio of the answer",
        unit="ms",
        columns=["after stop p50", "worst", "after last word p50", "worst word", "turns"],
    )
    for name, (url, key) in ways.items():
        stops, words = await _answers(url, key, [voice.speak(line) for line in LINES])
        figures = {"after stop p50": percentile(stops, 0.5), "worst": max(stops), "turns": len(stops)}
        table.row(name, figures | {"after last word p50": percentile(words, 0.5), "worst word": max(words)})
    table.note(
        "goal: ≤ 150 ms p50 after the end of speech is detected; the rest of `after last word` is that detection"
    )
    table.show()


async def _answers(url: str, key: str, lines: list[bytes]) -> tuple[list[float], list[float]]:
    """Hold a call of so many turns; ms after speech_stopped, and after the last spoken frame."""
    events: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    link = await dial(url, link=RealtimeLink(), headers=headers)
    link.take(lambda frame: events.put_nowait((time.monotonic(), orjson.loads(frame))), lambda _: None)
    microphone = _Microphone(link)
    talking = asyncio.ensure_future(microphone.run())
    stops, words = [], []
    try:
        # A greeting, if there is one, is heard out.
        await _heard_out(events, patience_s=2.5)
        for turn in range(TURNS):
            last_word = await microphone.say(lines[turn % len(lines)])
            stopped, answered = await asyncio.wait_for(_answer(events), 20)
            stops.append((answered - stopped) * 1000)
            words.append((answered - last_word) * 1000)
            await _heard_out(events, patience_s=4.0)
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await close_all([link])
    return stops, words


class _Microphone:
    """Sends a frame every 40 ms: of what is to be said, else of silence."""

    def __init__(self, link: RealtimeLink) -> None:
        self._link = link
        self._pcm = b""
        self._said: asyncio.Future[float] | None = None

    async def say(self, pcm: bytes) -> float:
        """Speak, and return when the last word was sent."""
        self._said = asyncio.get_running_loop().create_future()
        self._pcm = pcm
        return await self._said

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        moment = loop.time()
        while True:
            chunk, self._pcm = self._pcm[:FRAME_BYTES], self._pcm[FRAME_BYTES:]
            audio = base64.b64encode(chunk.ljust(FRAME_BYTES, b"\0"))
            self._link.send(b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}')
            if chunk and not self._pcm and self._said is not None:
                self._said.set_result(time.monotonic())
            moment += FRAME_S
            await asyncio.sleep(max(0.0, moment - loop.time()))


async def _answer(events: asyncio.Queue[tuple[float, dict[str, Any]]]) -> tuple[float, float]:
    """(when speech_stopped came, when the first audio after it came)."""
    stopped = 0.0
    while True:
        at, event = await events.get()
        assert event["type"] != "error", event
        if event["type"] == "input_audio_buffer.speech_stopped":
            stopped = at
        elif event["type"] == "response.output_audio.delta" and stopped:
            return stopped, at


async def _heard_out(events: asyncio.Queue[tuple[float, dict[str, Any]]], *, patience_s: float) -> None:
    """Wait until nothing has been sent for a while and all audio sent would have been played."""
    began, samples = time.monotonic(), 0
    while True:
        played_s = began + samples / 24_000 + QUIET_S - time.monotonic()
        try:
            _, event = await asyncio.wait_for(
                events.get(), max(played_s, patience_s if not samples else QUIET_S)
            )
        except TimeoutError:
            if began + samples / 24_000 + QUIET_S <= time.monotonic():
                return
            continue
        if event["type"] == "response.output_audio.delta":
            samples += len(event["delta"]) * 3 // 4 // 2
