"""The caller's audio: turns, commits, transcripts, event by event."""

import asyncio
import base64
from typing import Any

from ringback_localmodel.adapters.twins import ScriptedBrain, WaitingBrain
from ringback_localmodel.domain.context import UserSaid
from ringback_localmodel.ports import Heard
from ringback_localmodel.usecases.limits import SessionLimits
from ringback_speech import tone_voice

VAD_CHAIN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
TRANSCRIPTION = {"audio": {"input": {"transcription": {"model": "any"}}}}


class DeafRecogniser:
    busy = False

    async def recognise(self, pcm: bytes, *, draft: Heard | None = None, courtesy: bool = False) -> Heard:
        raise RuntimeError("no model")


def kinds(
    events: list[dict[str, Any]],
) -> list[str]:
    """Event types in order; runs of the same type count once."""
    found = [event["type"] for event in events]
    return [kind for n, kind in enumerate(found) if n == 0 or found[n - 1] != kind]


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (event,) = [event for event in events if event["type"] == kind]
    return event


def joined(events: list[dict[str, Any]], kind: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


def pcm_of(events: list[dict[str, Any]]) -> bytes:
    deltas = (e["delta"] for e in events if e["type"] == "response.output_audio.delta")
    return b"".join(base64.b64decode(delta) for delta in deltas)


async def test_a_turn_of_speech_has_one_id_and_ordered_events(start: Any) -> None:
    brain = ScriptedBrain()
    call = start(brain)
    await call.hear(bytes(48_000))
    events = await call.say("Good morning to you.")
    assert kinds(events)[:6] == [*VAD_CHAIN, "response.created"]
    ids = {e.get("item_id") or e["item"]["id"] for e in events[:5]}
    assert len(ids) == 1
    started, stopped = events[0]["audio_start_ms"], events[1]["audio_end_ms"]
    assert 600 <= started <= 800
    assert stopped > started + 500
    assert brain.contexts[-1].entries[0] == UserSaid("Good morning to you.")
    later = await call.say("Once more.")
    assert later[0]["audio_start_ms"] >= stopped


async def test_flags_off_mean_events_only(start: Any) -> None:
    call = start()
    flags = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    await call.update(audio={"input": {"turn_detection": flags}})
    assert kinds(await call.say("Nobody answers this.")) == VAD_CHAIN


async def test_speech_interrupts_the_response_when_it_may(start: Any) -> None:
    for flag, status in ((True, "cancelled"), (False, "completed")):
        brain = WaitingBrain()
        call = start(brain)
        vad = {"type": "server_vad", "interrupt_response": flag, "create_response": False}
        await call.update(audio={"input": {"turn_detection": vad}})
        await call.now("response.create")
        await brain.said.wait()
        call.news()
        events = await call.hear(call.speech("Wait a moment."), settle=False)
        brain.go_on.set()
        await call.session.settled()
        events += call.news()
        done = only(events, "response.done")["response"]
        assert done["status"] == status
        if flag:
            assert done["status_details"]["reason"] == "turn_detected"
            assert events[-1]["type"] == "response.done"
            assert events[0]["type"] == "input_audio_buffer.speech_started"


async def test_an_append_is_not_acknowledged_and_a_manual_commit_makes_no_response(start: Any) -> None:
    call = start()
    await call.update(audio={"input": {"turn_detection": None, "transcription": {"model": "any"}}})
    assert await call.hear(call.speech("All of this by hand.")) == []
    events = await call.send("input_audio_buffer.commit")
    assert kinds(events)[:3] == VAD_CHAIN[2:]
    completed = only(events, "conversation.item.input_audio_transcription.completed")
    assert (completed["transcript"], completed["usage"]["type"]) == ("All of this by hand.", "duration")


async def test_commits_below_a_tenth_of_a_second_are_refused(start: Any) -> None:
    call = start()
    await call.update(audio={"input": {"turn_detection": None}})
    await call.hear(bytes(4_798))
    error = only(await call.now("input_audio_buffer.commit"), "error")["error"]
    assert error["code"] == "input_audio_buffer_commit_empty"
    await call.hear(bytes(2))
    assert kinds(await call.now("input_audio_buffer.commit")) == VAD_CHAIN[2:]
    await call.hear(bytes(9_600))
    assert kinds(await call.now("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert kinds(await call.now("input_audio_buffer.commit")) == ["error"]


async def test_a_commit_during_speech_ends_the_turn_without_speech_stopped(start: Any) -> None:
    call = start(ScriptedBrain())
    events = await call.hear(call.speech("Half a sentence"))
    item_id = only(events, "input_audio_buffer.speech_started")["item_id"]
    events = await call.send("input_audio_buffer.commit")
    assert only(events, "input_audio_buffer.committed")["item_id"] == item_id
    assert await call.hear(bytes(48_000)) == []


async def test_a_full_input_buffer_is_an_error_and_keeps_what_it_has(start: Any) -> None:
    call = start(limits=SessionLimits(audio_buffer_ms_max=1_000))
    await call.update(audio={"input": {"turn_detection": None}})
    assert await call.hear(bytes(48_000)) == []
    assert only(await call.hear(bytes(1_920)), "error")["error"]["code"] == "input_audio_buffer_full"
    assert kinds(await call.now("input_audio_buffer.commit")) == VAD_CHAIN[2:]


async def test_an_endless_turn_is_ended(start: Any) -> None:
    call = start(ScriptedBrain(), limits=SessionLimits(turn_ms_max=2_000))
    events = await call.hear(call.speech("x" * 120))
    assert [e["type"] for e in events].count("input_audio_buffer.speech_stopped") == 1


async def test_transcription_grows_and_completes_with_log_probabilities(start: Any) -> None:
    call = start(ScriptedBrain())
    vad = {"type": "server_vad", "create_response": False}
    session = {"audio": {"input": {"transcription": {"model": "any"}, "turn_detection": vad}}}
    await call.update(include=["item.input_audio_transcription.logprobs"], **session)
    events = await call.say("A sentence long enough for partial words.")
    prefix = "conversation.item.input_audio_transcription"
    completed = only(events, f"{prefix}.completed")
    assert completed["transcript"] == "A sentence long enough for partial words."
    assert joined(events, f"{prefix}.delta") == completed["transcript"]
    assert next(token["bytes"] for token in completed["logprobs"]) == list(b"A")
    item = only(events, "conversation.item.added")["item"]
    assert item["content"] == [{"type": "input_audio", "transcript": None}]
    retrieved = await call.now("conversation.item.retrieve", item_id=item["id"])
    part = retrieved[0]["item"]["content"][0]
    assert (part["transcript"], bool(part["audio"])) == (completed["transcript"], True)


async def test_a_failed_transcription_is_told_and_the_session_lives(start: Any) -> None:
    brain = ScriptedBrain()
    call = start(brain, recogniser=DeafRecogniser())
    await call.update(**TRANSCRIPTION)
    events = await call.say("Hello there.")
    failed = only(events, "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["code"] == "transcription_failed"
    assert only(events, "response.done")["response"]["status"] == "completed"
    assert brain.contexts[-1].entries == [UserSaid("")]


async def test_noise_is_committed_with_an_empty_transcript(start: Any) -> None:
    call = start(ScriptedBrain())
    await call.update(audio={"input": {"turn_detection": None, "transcription": {"model": "any"}}})
    await call.hear(call.speech("x")[:4_800] + bytes(9_600))
    events = await call.send("input_audio_buffer.commit")
    assert only(events, "conversation.item.input_audio_transcription.completed")["transcript"] == ""


async def test_silence_after_a_response_triggers_the_idle_timeout(start: Any) -> None:
    call = start(ScriptedBrain())
    await call.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5_000}}})
    events = await call.send("response.create")
    playback = len(pcm_of(events))
    assert await call.hear(bytes(playback + 48 * 4_900)) == []
    assert kinds(await call.hear(bytes(48 * 200)))[:5] == [
        "input_audio_buffer.timeout_triggered",
        *VAD_CHAIN[2:],
        "response.created",
    ]


class CountingRecogniser:
    """Hears the tones and keeps how much audio it was given, and how."""

    def __init__(self, *, held: bool = False) -> None:
        self._tones = tone_voice().recogniser
        self.calls: list[tuple[int, bool]] = []
        self.cancelled = 0
        self.go_on = asyncio.Event()
        if not held:
            self.go_on.set()

    busy = False

    async def recognise(self, pcm: bytes, *, draft: Heard | None = None, courtesy: bool = False) -> Heard:
        self.calls.append((len(pcm), courtesy))
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Heard(self._tones.transcribe(pcm).text)

    @property
    def decoded(self) -> int:
        """Decodes that were for more than a courtesy."""
        return sum(not courtesy for _, courtesy in self.calls)


async def test_the_words_are_known_before_the_pause_that_ends_the_turn_is_over(start: Any) -> None:
    recogniser, brain = CountingRecogniser(), ScriptedBrain()
    call = start(brain, recogniser=recogniser)
    await call.update(**TRANSCRIPTION)
    await call.hear(call.speech("Which card is it?") + bytes(48 * 300))
    assert recogniser.decoded == 1
    events = await call.hear(bytes(48 * 300))
    completed = only(events, "conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "Which card is it?"
    assert recogniser.decoded == 1
    assert brain.contexts[-1].entries == [UserSaid("Which card is it?")]


async def test_a_pause_within_a_turn_costs_one_decode_and_loses_no_words(start: Any) -> None:
    recogniser, brain = CountingRecogniser(), ScriptedBrain()
    call = start(brain, recogniser=recogniser)
    await call.hear(call.speech("Hold on.") + bytes(48 * 350))
    assert recogniser.decoded == 1
    await call.hear(call.speech("Which card?") + bytes(48 * 1_000))
    assert recogniser.decoded == 2
    assert brain.contexts[-1].entries == [UserSaid("Hold on.Which card?")]


async def test_what_was_decoded_ahead_is_given_up_when_the_caller_goes_on(start: Any) -> None:
    recogniser, brain = CountingRecogniser(held=True), ScriptedBrain()
    call = start(brain, recogniser=recogniser)
    await call.hear(call.speech("Hold on.") + bytes(48 * 350), settle=False)
    await asyncio.sleep(0)  # lets the decode begin
    await call.hear(call.speech("Which card?"), settle=False)
    await call.hear(bytes(48 * 1_000), settle=False)
    recogniser.go_on.set()
    await call.session.settled()
    assert (recogniser.decoded, recogniser.cancelled) == (2, 1)
    assert brain.contexts[-1].entries == [UserSaid("Hold on.Which card?")]


async def test_a_failed_decode_ahead_is_made_up_for(start: Any) -> None:
    class FailsOnce(CountingRecogniser):
        async def recognise(self, pcm: bytes, *, draft: Heard | None = None, courtesy: bool = False) -> Heard:
            if not self.calls:
                self.calls.append((len(pcm), courtesy))
                raise RuntimeError("once")
            return await super().recognise(pcm, draft=draft, courtesy=courtesy)

    recogniser, brain = FailsOnce(), ScriptedBrain()
    call = start(brain, recogniser=recogniser)
    await call.say("Good morning.")
    assert recogniser.decoded == 2
    assert brain.contexts[-1].entries == [UserSaid("Good morning.")]


async def test_a_commit_within_a_pause_covers_all_that_was_committed(start: Any) -> None:
    recogniser, brain = CountingRecogniser(), ScriptedBrain()
    call = start(brain, recogniser=recogniser)
    await call.hear(call.speech("One two and three.") + bytes(48 * 300))
    await call.send("input_audio_buffer.commit")
    await call.send("response.create")
    assert brain.contexts[-1].entries == [UserSaid("One two and three.")]
