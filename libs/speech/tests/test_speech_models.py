"""What the models' adapters promise beyond the ports."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from ringback_errors import ConfigError, InvalidInput
from ringback_speech import LocalVoice, ModelFileError, SpeechStarted, VadParameters
from ringback_speech.models import ModelFile, find
from ringback_spoken import contains_value, read_id


def model_file(sha256: str = "0" * 64, path: str = "data/model.onnx") -> ModelFile:
    return ModelFile("some-voice==1.0", "some_voice_files", path, sha256)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "some_voice_files"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package must not be imported')")
    (folder / "data" / "model.onnx").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_file_is_found_without_importing_its_package(wheel: Path) -> None:
    right = hashlib.sha256(b"weights").hexdigest()
    assert find(model_file(right)) == wheel / "data" / "model.onnx"
    assert "some_voice_files" not in sys.modules


def test_a_missing_package_is_named_with_the_remedy() -> None:
    with pytest.raises(
        ModelFileError, match=r"data/model.onnx of some-voice==1.0 is missing .* run `make setup`"
    ):
        find(ModelFile("some-voice==1.0", "no_such_voice_files", "data/model.onnx", ""))


def test_a_missing_file_says_where_it_was_looked_for(wheel: Path) -> None:
    with pytest.raises(ConfigError, match=str(wheel)):
        find(model_file(path="data/other.onnx"))


def test_a_wrong_file_says_both_digests(wheel: Path) -> None:
    with pytest.raises(
        ModelFileError, match=f"expected sha256 {'0' * 64}, got {hashlib.sha256(b'weights').hexdigest()}"
    ):
        find(model_file())


def said(voice: LocalVoice, text: str, *, by: str = "caller") -> bytes:
    return b"".join(chunk.pcm for chunk in voice.synthesiser.stream(text, voice=by))


@pytest.mark.voice
@pytest.mark.parametrize("by", ["caller", "agent"])
@pytest.mark.parametrize("number", ["482915", "770422", "159083", "030824", "996210", "212233"])
def test_reservation_numbers_survive_speech(local_voice: LocalVoice, number: str, by: str) -> None:
    heard = local_voice.recogniser.transcribe(said(local_voice, f"My reservation number is {number}.", by=by))
    assert read_id(heard.text, pattern=r"[0-9]{6}") == number


@pytest.mark.voice
@pytest.mark.parametrize("value", ["482915", "$240.50", "2024-05-15", "3:30 p.m."])
def test_values_that_the_agent_speaks_are_heard_in_it(local_voice: LocalVoice, value: str) -> None:
    heard = local_voice.recogniser.transcribe(
        said(local_voice, f"I can confirm that it is {value}, is that right?")
    )
    assert contains_value(heard.text, value) is not None


@pytest.mark.voice
def test_the_two_voices_differ(local_voice: LocalVoice) -> None:
    assert said(local_voice, "Yes, please.", by="caller") != said(local_voice, "Yes, please.", by="agent")


@pytest.mark.voice
@pytest.mark.parametrize("level", [0.0, 0.002, 0.05])
def test_noise_has_no_words(local_voice: LocalVoice, level: float) -> None:
    noise = np.random.default_rng(5).normal(0, level, 48_000)
    pcm = (np.clip(noise, -1, 1) * 32767).astype("<i2").tobytes()
    assert local_voice.recogniser.transcribe(pcm).text == ""


@pytest.mark.voice
def test_a_click_is_no_speech(local_voice: LocalVoice) -> None:
    click = np.zeros(24_000, "<i2")
    click[12_000:12_100] = 20_000
    assert local_voice.new_voice_activity(VadParameters()).feed(click.tobytes() + bytes(48_000)) == []


@pytest.mark.voice
def test_long_audio_is_recognised_in_pieces(local_voice: LocalVoice) -> None:
    sentence = "I would like to change my flight to the fifteenth of May, if that is possible. "
    heard = local_voice.recogniser.transcribe(said(local_voice, sentence * 10))
    assert heard.text.count("change my flight") >= 9


@pytest.mark.voice
def test_audio_beyond_the_limit_is_refused(local_voice: LocalVoice) -> None:
    with pytest.raises(InvalidInput, match="at most 120 s"):
        local_voice.recogniser.transcribe(bytes(121 * 48_000))


@pytest.mark.voice
def test_the_onset_lies_within_the_utterance(local_voice: LocalVoice) -> None:
    speech = np.frombuffer(said(local_voice, "No, thank you."), "<i2")
    audible = int(np.flatnonzero(np.abs(speech) > 600)[0])
    (started, *_) = local_voice.new_voice_activity(VadParameters()).feed(bytes(48_000) + speech.tobytes())
    assert isinstance(started, SpeechStarted)
    assert started.audio_start_samples < 24_000 + audible < started.detected_samples
