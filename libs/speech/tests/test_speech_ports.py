"""What every voice promises, twins and models alike."""

import itertools

import pytest
from ringback_errors import InvalidInput
from ringback_speech import LocalVoice, SpeechStarted, SpeechStopped, VadEvent, VadParameters, VoiceActivity

SECOND = bytes(48_000)


def said(voice: LocalVoice, text: str, *, by: str | None = None) -> bytes:
    return b"".join(chunk.pcm for chunk in voice.synthesiser.stream(text, voice=by))


def fed(activity: VoiceActivity, pcm: bytes, *, step: int = 960) -> list[VadEvent]:
    return [event for at in range(0, len(pcm), step) for event in activity.feed(pcm[at : at + step])]


def test_what_is_spoken_is_recognised(voice: LocalVoice) -> None:
    transcript = voice.recogniser.transcribe(said(voice, "I would like to cancel my reservation."))
    assert transcript.text == "I would like to cancel my reservation."
    assert 0.5 < transcript.confidence <= 1.0


def test_the_tokens_joined_are_the_text(voice: LocalVoice) -> None:
    transcript = voice.recogniser.transcribe(said(voice, "Hold on, which card does it go to?"))
    assert "".join(token.text for token in transcript.tokens) == transcript.text
    assert b"".join(token.bytes for token in transcript.tokens).decode() == transcript.text
    assert all(token.logprob <= 0 for token in transcript.tokens)


@pytest.mark.parametrize(
    "draft",
    [["I", " would", " like", " to", " cancel"], ["No", "!"], ["what", "\0ever"]],
    ids=["good", "bad", "odd"],
)
def test_a_draft_good_or_bad_does_not_change_what_is_clear(voice: LocalVoice, draft: list[str]) -> None:
    pcm = said(voice, "I would like to cancel my reservation.")
    assert voice.recogniser.transcribe(pcm, draft=draft).text == "I would like to cancel my reservation."


def test_the_last_speech_is_known_while_an_utterance_goes_on(voice: LocalVoice) -> None:
    activity = voice.new_voice_activity(VadParameters(silence_duration_ms=1_000))
    assert activity.last_speech_samples is None
    fed(activity, said(voice, "Yes, please.") + bytes(48 * 300))
    last = activity.last_speech_samples
    assert last is not None
    assert activity.samples_fed - last >= 200 * 24
    (stopped,) = fed(activity, SECOND * 2)
    assert isinstance(stopped, SpeechStopped)
    assert stopped.last_speech_samples == last
    assert activity.last_speech_samples is None


@pytest.mark.parametrize(
    "pcm", [b"", b"\0", SECOND, bytes(9000)], ids=["nothing", "half", "silence", "short"]
)
def test_silence_has_an_empty_transcript(voice: LocalVoice, pcm: bytes) -> None:
    transcript = voice.recogniser.transcribe(pcm)
    assert (transcript.text, transcript.tokens, transcript.confidence) == ("", (), 0.0)


def test_the_pieces_of_a_stream_joined_are_the_text(voice: LocalVoice) -> None:
    text = " Hello there. Your number is 482915!  \nDr. Who says: bye. "
    chunks = list(voice.synthesiser.stream(text))
    assert "".join(chunk.text for chunk in chunks) == text
    assert len(chunks) > 2
    assert all(chunk.pcm and len(chunk.pcm) == 2 * chunk.samples for chunk in chunks)


@pytest.mark.parametrize("text", ["", "   ", "...", "\n"])
def test_a_text_without_words_is_silent(voice: LocalVoice, text: str) -> None:
    assert "".join(chunk.text for chunk in voice.synthesiser.stream(text)) == text


def test_the_same_text_sounds_the_same(voice: LocalVoice) -> None:
    assert said(voice, "Yes, please.", by="caller") == said(voice, "Yes, please.", by="caller")


def test_an_unknown_voice_is_refused_with_the_known_ones(voice: LocalVoice) -> None:
    with pytest.raises(InvalidInput, match="agent, caller"):
        voice.synthesiser.stream("Hello.", voice="nobody")


def test_a_text_too_long_is_refused(voice: LocalVoice) -> None:
    with pytest.raises(InvalidInput, match="20000 characters"):
        voice.synthesiser.stream("a" * 20_001)


def test_an_utterance_starts_and_stops_once(voice: LocalVoice) -> None:
    speech = said(voice, "Yes, please go ahead.")
    activity = voice.new_voice_activity(VadParameters(silence_duration_ms=500))
    started, stopped = fed(activity, SECOND + speech + SECOND)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert 24_000 <= started.onset_samples + 768 <= 24_000 + 12_000
    assert started.audio_start_samples == started.onset_samples - 7_200
    assert stopped.audio_end_samples - stopped.last_speech_samples >= 12_000
    assert stopped.speech_ms > 200
    assert not activity.speaking


def test_the_size_of_frames_changes_nothing(voice: LocalVoice) -> None:
    pcm = SECOND + said(voice, "It's 482915.") + SECOND
    found = [
        fed(voice.new_voice_activity(VadParameters()), pcm, step=step)
        for step in (1_001, 960, 4_800, len(pcm))
    ]
    assert len(found[0]) == 2
    assert all(one == other for one, other in itertools.pairwise(found))


def test_positions_go_on_over_utterances_and_resets(voice: LocalVoice) -> None:
    pcm = SECOND + said(voice, "Yes, please.") + SECOND
    activity = voice.new_voice_activity(VadParameters())
    first = fed(activity, pcm)
    activity.reset()
    second = fed(activity, pcm)
    assert activity.samples_fed == len(pcm)
    assert isinstance(second[0], SpeechStarted)
    assert isinstance(first[0], SpeechStarted)
    assert abs(second[0].onset_samples - first[0].onset_samples - len(pcm) // 2) <= 768


def test_a_reset_forgets_the_utterance_under_way(voice: LocalVoice) -> None:
    activity = voice.new_voice_activity(VadParameters())
    fed(activity, SECOND + said(voice, "I would like to"))
    assert activity.speaking
    activity.reset()
    assert fed(activity, SECOND) == []


def test_parameters_take_effect_while_speech_goes_on(voice: LocalVoice) -> None:
    activity = voice.new_voice_activity(VadParameters(silence_duration_ms=5_000))
    fed(activity, SECOND + said(voice, "Yes, please.") + SECOND)
    assert activity.speaking
    activity.update(VadParameters(silence_duration_ms=300))
    assert activity.parameters.silence_duration_ms == 300
    assert any(isinstance(event, SpeechStopped) for event in fed(activity, SECOND))


def test_silence_alone_is_no_speech(voice: LocalVoice) -> None:
    assert fed(voice.new_voice_activity(VadParameters()), SECOND * 3) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("threshold", 0.0), ("threshold", 1.0), ("prefix_padding_ms", -1), ("silence_duration_ms", 10_001)],
)
def test_parameters_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        VadParameters(**{field: value})  # type: ignore[arg-type]
