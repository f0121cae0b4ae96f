"""What a session needs from outside, in its own words. All audio is PCM16 mono at 24 kHz."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ringback_localmodel.domain.context import Call, Context, Say
from ringback_localmodel.domain.turns import SpeechBegan, SpeechEnded, TurnRule

__all__ = [
    "Brain",
    "Heard",
    "HeardToken",
    "Outbox",
    "Recogniser",
    "ReplyTrace",
    "Synthesiser",
    "Traces",
    "TranscriptionTrace",
    "VoiceDetector",
]


@dataclass(frozen=True, slots=True)
class HeardToken:
    """One token of a transcript with the natural logarithm of its probability."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood of an utterance; empty text when nothing was."""

    text: str
    tokens: tuple[HeardToken, ...] = ()


class Recogniser(Protocol):
    """Turns an utterance into words."""

    @property
    def busy(self) -> bool:
        """Whether others already wait: then what can be left out had better be."""
        ...

    async def recognise(self, pcm: bytes, *, draft: Heard | None = None, courtesy: bool = False) -> Heard:
        """The words; sooner with a ``draft`` that was heard in about the same audio, later as a ``courtesy``."""
        ...


class Synthesiser(Protocol):
    """Turns a sentence into audio, piece by piece."""

    def speak(self, text: str, *, voice: str) -> AsyncIterator[bytes]: ...


class VoiceDetector(Protocol):
    """Finds turns in one stream of audio; holds state, so each stream has its own."""

    def tune(self, rule: TurnRule) -> None:
        """Put a rule in force from the next sample on."""
        ...

    def feed(self, pcm: bytes) -> list[SpeechBegan | SpeechEnded]:
        """Take audio in; positions count samples since the stream began."""
        ...

    @property
    def last_voice(self) -> int | None:
        """Where the turn that is going on last had speech; None outside turns."""
        ...

    def reset(self) -> None:
        """Forget a turn that is going on; the count of samples goes on."""
        ...


class Brain(Protocol):
    """Decides what to say and which tool to call, from what a model would know and nothing else."""

    def reply(self, context: Context) -> AsyncIterator[Say | Call]: ...


class TranscriptionTrace(Protocol):
    """How long the words of one utterance took, counted from its end."""

    def done(self, *, source: str) -> None:
        """The words are known; ``source`` is ``ahead`` where they were before the turn ended, else ``whole``."""
        ...


class ReplyTrace(Protocol):
    """What happens in one reply, for whoever watches."""

    def transcribed(self, trace: TranscriptionTrace) -> None:
        """The reply answers these words."""
        ...

    def first_audio(self) -> None:
        """A piece of audio went out; the first one counts."""
        ...

    def ended(self, outcome: str) -> None: ...


class Traces(Protocol):
    """Makes traces; costs next to nothing where nobody watches."""

    def transcription(self) -> TranscriptionTrace: ...

    def unanswered(self, trace: TranscriptionTrace) -> None:
        """No reply will answer these words."""
        ...

    def reply(self, response_id: str, *, traceparent: str | None) -> AbstractContextManager[ReplyTrace]:
        """The time of one reply, as a part of the caller's trace or, without one, as a trace of its own."""
        ...


class Outbox(Protocol):
    """Where a session's events go, in order."""

    def send(self, frame: bytes) -> None: ...

    async def room(self) -> None:
        """Return once the reader has caught up enough to take more audio."""
        ...
