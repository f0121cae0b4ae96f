"""Owns synthesis by hibari: named voices of its one model, sentence by sentence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from hibari import Hibari  # type: ignore[import-untyped]
from ringback_audio import Samples, resample, to_pcm16
from ringback_errors import InvalidInput
from ringback_spoken import speakable

from ringback_speech.ports import SAMPLES_PER_SECOND, SpeechChunk
from ringback_speech.sentences import sentences

CHARS_MAX = 20_000

_PEAK = 0.7
_PAUSE_MS = 160


@dataclass(frozen=True, slots=True)
class Voice:
    """How the one model is made to sound like a person of its own.

    `pitch` is a percentage: the voice is made so much faster or slower and then played back slower or
    faster, which moves pitch and formants together. `speed` is that of the speech heard.
    """

    speed: float = 1.0
    pitch_percent: int = 100
    seed: int = 1


VOICES: Mapping[str, Voice] = MappingProxyType(
    {"agent": Voice(), "caller": Voice(speed=0.95, pitch_percent=88, seed=3)}
)


class HibariSynthesiser:
    """Speaks text with hibari; holds no state, so one serves every session and thread."""

    def __init__(self, *, voices: Mapping[str, Voice] = VOICES) -> None:
        if not voices:
            raise ValueError("voices: expected one voice or more")
        self._voices = dict(voices)
        self._model = _model()

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices, the default first."""
        return tuple(self._voices)

    def warm_up(self) -> None:
        """Speak once into the void: the first synthesis in a process loads dictionaries for some 0.4 s."""
        for _ in self.stream("Ready. Your number is 482915."):
            pass

    def stream(self, text: str, *, voice: str | None = None) -> Iterator[SpeechChunk]:
        """The speech, sentence by sentence, each as soon as it is made; the same text sounds the same."""
        chosen = self._voices.get(voice or next(iter(self._voices)))
        if chosen is None:
            raise InvalidInput(f"expected one of {', '.join(self._voices)}", field="voice")
        if len(text) > CHARS_MAX:
            raise InvalidInput(f"expected at most {CHARS_MAX} characters", field="text")
        return self._speak(text, chosen)

    def _speak(self, text: str, voice: Voice) -> Iterator[SpeechChunk]:
        pause = np.zeros(_PAUSE_MS * SAMPLES_PER_SECOND // 1000, np.float32)
        for sentence in sentences(text):
            spoken = speakable(sentence.strip())
            audio = self._audio(spoken, voice)
            yield SpeechChunk(
                to_pcm16(np.concatenate((audio, pause))) if len(audio) else b"", sentence, spoken
            )

    def _audio(self, spoken: str, voice: Voice) -> Samples:
        if not any(map(str.isalnum, spoken)):
            return np.zeros(0, np.float32)
        made: Samples = self._model(spoken, speed=voice.speed * 100 / voice.pitch_percent, seed=voice.seed)
        if voice.pitch_percent != 100:
            made = resample(made, source=voice.pitch_percent, target=100)
        loudest = float(np.abs(made).max(initial=0.0))
        return made * np.float32(min(1.0, _PEAK / loudest)) if loudest > 0 else made


@lru_cache(maxsize=1)
def _model() -> Hibari:
    """hibari's bundled voice, loaded once; the others would be downloaded and are not used."""
    return Hibari(threads=1)
