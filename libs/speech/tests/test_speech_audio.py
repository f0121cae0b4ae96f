"""What recordings, sentences, the pool and the scripted twin promise."""

import asyncio
import threading
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import Overloaded
from ringback_speech import (
    AsyncRecogniser,
    AsyncSynthesiser,
    InferencePool,
    ScriptedRecogniser,
    ToneRecogniser,
    ToneSynthesiser,
    Track,
    Transcript,
    Urgency,
    mix,
    read_wav,
    sentences,
    stereo,
    transcript_of,
    write_wav,
)


@given(st.text())
def test_sentences_joined_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_sentences_end_where_people_stop() -> None:
    text = "Hi Dr. Smith. It leaves at 3.30 p.m. today! Is $240.50 fine?"
    assert sentences(text) == ["Hi Dr. Smith. ", "It leaves at 3.30 p.m. today! ", "Is $240.50 fine?"]


def test_long_sentences_are_cut_after_clauses() -> None:
    pieces = sentences("one two three four five six seven eight, " * 20)
    assert len(pieces) > 2
    assert all(len(piece) <= 240 and piece.rstrip().endswith(",") for piece in pieces)


@given(st.text(min_size=1).filter(str.strip), st.integers(0, 2_000))
def test_tones_are_read_back_letter_for_letter(text: str, silence: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    pcm = b"".join(chunk.pcm for chunk in ToneSynthesiser().stream(text))
    assert ToneRecogniser().transcribe(bytes(2 * silence) + pcm).text == "".join(
        filter(str.strip, sentences(text))
    )


def test_a_script_is_given_in_order_then_nothing() -> None:
    recogniser = ScriptedRecogniser(["yes please", transcript_of("no", logprob=-2.0)])
    assert [recogniser.transcribe(b"12").text for _ in range(3)] == ["yes please", "no", ""]
    assert recogniser.heard == [b"12"] * 3


def test_wav_files_come_back_as_written(tmp_path: Path) -> None:
    pcm = stereo(b"\1\0\2\0", right=b"\3\0")
    write_wav(tmp_path / "a.wav", pcm=pcm, channels=2)
    assert read_wav(tmp_path / "a.wav") == (b"\1\0\3\0\2\0\0\0", 2, 24_000)


def test_a_file_that_is_no_pcm16_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="expected a WAV file of PCM16"):
        read_wav(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"\0")
    with pytest.raises(ValueError, match="got 8-bit"):
        read_wav(tmp_path / "b.wav")


def test_a_track_lays_audio_at_its_place_and_forgets_what_was_cut() -> None:
    track = Track()
    track.lay(b"\1\0\1\0", at_samples=2)
    track.lay(b"\2\0\2\0")
    track.cut(at_samples=5)
    track.lay(b"\3\0")
    assert track.pcm() == bytes(4) + b"\1\0\1\0\2\0\3\0"
    with pytest.raises(ValueError, match="at_samples"):
        track.lay(b"\1\0", at_samples=-1)


def test_mixing_adds_and_clips() -> None:
    loud = np.array([30_000, 1], "<i2").tobytes()
    assert np.frombuffer(mix([loud, loud, b"\1\0"]), "<i2").tolist() == [32_767, 2]
    assert mix([]) == b""


async def test_speech_is_made_and_heard_beside_the_loop() -> None:
    pool = InferencePool(threads=1)
    synthesiser = AsyncSynthesiser(ToneSynthesiser(), pool=pool)
    recogniser = AsyncRecogniser(ToneRecogniser(), pool=pool)
    pcm = b"".join([chunk.pcm async for chunk in synthesiser.stream("Hello. Bye.", voice="caller")])
    assert (await recogniser.transcribe(pcm)).text == "Hello. Bye."
    assert synthesiser.voices == ("agent", "caller")
    pool.close()


async def test_the_pool_refuses_more_than_its_bound() -> None:
    pool = InferencePool(threads=1, waiting_max=2)
    gate = threading.Event()
    calls = [asyncio.ensure_future(pool.run(lambda: gate.wait(10))) for _ in range(2)]
    await asyncio.sleep(0)  # lets both calls in
    assert pool.waiting == 2
    with pytest.raises(Overloaded, match="2 calls are already waiting"):
        await pool.run(lambda: None)
    gate.set()
    assert await asyncio.gather(*calls) == [True, True]
    assert await pool.run(lambda: 7) == 7
    pool.close()


async def test_a_cancelled_waiter_frees_its_place() -> None:
    pool = InferencePool(threads=1, waiting_max=2)
    gate = threading.Event()
    running = asyncio.ensure_future(pool.run(lambda: gate.wait(10)))
    waiting = asyncio.ensure_future(pool.run(lambda: None))
    await asyncio.sleep(0)  # lets both calls in
    assert pool.waiting == 2
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await running
    assert await pool.run(lambda: 7) == 7
    pool.close()


@pytest.mark.parametrize(("threads", "waiting_max"), [(0, 4), (4, 2)])
def test_a_pool_without_room_is_refused(threads: int, waiting_max: int) -> None:
    with pytest.raises(ValueError, match="threads, waiting_max"):
        InferencePool(threads=threads, waiting_max=waiting_max)


async def test_the_most_urgent_call_goes_first() -> None:
    pool = InferencePool(threads=1)
    gate = threading.Event()
    order: list[Urgency] = []
    running = asyncio.ensure_future(pool.run(lambda: gate.wait(10)))
    while pool.waiting < 1:
        await asyncio.sleep(0)
    calls = [
        asyncio.ensure_future(pool.run(lambda urgency=urgency: order.append(urgency), urgency=urgency))
        for urgency in (Urgency.COURTESY, Urgency.WORDS, Urgency.SPEECH, Urgency.WORDS)
    ]
    while pool.waiting < 5:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(running, *calls)
    assert order == [Urgency.SPEECH, Urgency.WORDS, Urgency.WORDS, Urgency.COURTESY]
    pool.close()


async def test_a_transcription_that_nobody_waits_for_is_told_so() -> None:
    class Endless:
        def __init__(self) -> None:
            self.began, self.gave_up = threading.Event(), threading.Event()

        def transcribe(
            self, pcm: bytes, *, draft: Sequence[str] = (), abandoned: Callable[[], bool] = lambda: False
        ) -> Transcript:
            self.began.set()
            while not abandoned():
                self.gave_up.wait(0.001)
            self.gave_up.set()
            return Transcript("")

    pool, recogniser = InferencePool(threads=1), Endless()
    waiter = asyncio.ensure_future(AsyncRecogniser(recogniser, pool=pool).transcribe(b""))
    assert await asyncio.to_thread(recogniser.began.wait, 10)
    waiter.cancel()
    assert await asyncio.to_thread(recogniser.gave_up.wait, 10)
    pool.close()
