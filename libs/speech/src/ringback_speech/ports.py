"""Owns the shapes of local speech: what voice activity, recognition and synthesis take and give.

Audio is PCM16 little-endian mono at 24 kHz everywhere; positions count its samples from the first one fed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

SAMPLES_PER_SECOND = 24_000
BYTES_PER_SAMPLE = 2


def milliseconds(samples: int) -> int:
    """Whole milliseconds of audio in a number of samples."""
    return samples * 1000 // SAMPLES_PER_SECOND


@dataclass(frozen=True, slots=True)
class VadParameters:
    """When speech counts as begun and ended.

    `threshold` is a probability; `prefix_padding_ms` of audio before the onset belong to the utterance;
    speech ends after `silence_duration_ms` without any.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 400

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold: expected a probability between 0 and 1, got {self.threshold}")
        for field in ("prefix_padding_ms", "silence_duration_ms"):
            if not 0 <= getattr(self, field) <= 10_000:
                raise ValueError(f"{field}: expected 0 to 10000, got {getattr(self, field)}")


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; the utterance's audio starts at `audio_start_samples`, prefix included."""

    audio_start_samples: int
    onset_samples: int
    detected_samples: int

    @property
    def audio_start_ms(self) -> int:
        """Where the utterance's audio starts, in milliseconds."""
        return milliseconds(self.audio_start_samples)


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech ended; the utterance's audio runs to `audio_end_samples`, the silence that ended it included."""

    audio_end_samples: int
    last_speech_samples: int
    speech_samples: int

    @property
    def audio_end_ms(self) -> int:
        """Where the utterance's audio ends, in milliseconds."""
        return milliseconds(self.audio_end_samples)

    @property
    def speech_ms(self) -> int:
        """How much of the utterance was speech, pauses left out."""
        return milliseconds(self.speech_samples)


VadEvent = SpeechStarted | SpeechStopped


class VoiceActivity(Protocol):
    """Finds where speech starts and stops in one session's audio."""

    @property
    def parameters(self) -> VadParameters:
        """The parameters in force."""
        ...

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        ...

    @property
    def last_speech_samples(self) -> int | None:
        """Where the utterance under way last had speech; None when there is none."""
        ...

    @property
    def samples_fed(self) -> int:
        """How many samples have been fed since the session began."""
        ...

    def update(self, parameters: VadParameters) -> None:
        """Put other parameters in force from the next sample on."""
        ...

    def feed(self, pcm: bytes) -> list[VadEvent]:
        """Take any number of bytes of audio; gives what was found, in order."""
        ...

    def reset(self) -> None:
        """Forget an utterance under way; the count of samples goes on."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a transcript, its natural-log probability and its UTF-8 bytes."""

    text: str
    logprob: float
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised; `confidence` is the geometric mean of the tokens' probabilities, 0 if there are none."""

    text: str
    tokens: tuple[Token, ...] = ()
    confidence: float = 0.0


def _never() -> bool:
    return False


class Recogniser(Protocol):
    """Turns one utterance's audio into text."""

    def transcribe(
        self, pcm: bytes, *, draft: Sequence[str] = (), abandoned: Callable[[], bool] = _never
    ) -> Transcript:
        """The transcript of an utterance, empty where nothing was said; blocks while it computes.

        For partial transcripts, call it again with the grown utterance. `draft` is the texts of the tokens that were
        understood of about the same audio before: it saves time, and changes
        the transcript only where the recogniser is in two minds. Once `abandoned` says
        so, what is returned matters to nobody. Raises InvalidInput for audio longer than the recogniser takes.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Audio with the piece of the text that it says; the pieces of a stream joined are the text."""

    pcm: bytes
    text: str
    spoken: str

    @property
    def samples(self) -> int:
        """How many samples the audio has."""
        return len(self.pcm) // BYTES_PER_SAMPLE


class Synthesiser(Protocol):
    """Turns text into speech."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices, the default first."""
        ...

    def stream(self, text: str, *, voice: str | None = None) -> Iterator[SpeechChunk]:
        """The speech, sentence by sentence, each as soon as it is made; the same text sounds the same.

        Raises InvalidInput for an unknown voice or a text longer than the synthesiser takes.
        """
        ...
