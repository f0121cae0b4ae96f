"""Owns the in-memory twins of the ports: exact, without models, for tests and dry runs.

`ToneSynthesiser` says text as tones that `ToneRecogniser` reads back letter for letter, so that a whole
spoken call runs without a model; `EnergyVoiceActivity` hears them as speech.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from ringback_audio import Samples, from_pcm16, to_pcm16
from ringback_errors import InvalidInput

from ringback_speech.endpointing import Endpointer, WindowCutter
from ringback_speech.ports import (
    SAMPLES_PER_SECOND,
    SpeechChunk,
    Token,
    Transcript,
    VadEvent,
    VadParameters,
)
from ringback_speech.sentences import sentences

_SYMBOL_SAMPLES = 240  # 10 ms; tones are whole multiples of 100 Hz, so that symbols do not disturb each other
_TONES_HZ = [500 + 200 * n for n in range(16)]
_MARK_HZ = 4500
_AMPLITUDE = 0.5
_AUDIBLE = 0.05


class EnergyVoiceActivity:
    """Voice activity by loudness: a window is speech when its mean power is above a level."""

    def __init__(self, parameters: VadParameters | None = None, *, level_dbfs: float = -40.0) -> None:
        self._endpointer = Endpointer(parameters or VadParameters())
        self._cutter = WindowCutter()
        self._power = 10 ** (level_dbfs / 10)

    @property
    def parameters(self) -> VadParameters:
        """The parameters in force."""
        return self._endpointer.parameters

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._endpointer.speaking

    @property
    def last_speech_samples(self) -> int | None:
        """Where the utterance under way last had speech; None when there is none."""
        return self._endpointer.last_speech_samples

    @property
    def samples_fed(self) -> int:
        """How many samples have been fed since the session began."""
        return self._cutter.samples_fed

    def update(self, parameters: VadParameters) -> None:
        """Put other parameters in force from the next window on."""
        self._endpointer.parameters = parameters

    def feed(self, pcm: bytes) -> list[VadEvent]:
        """Take any number of bytes of audio; gives what was found, in order."""
        found: list[VadEvent] = []
        for window, end_samples in self._cutter.feed(pcm):
            loud = float((from_pcm16(window) ** 2).mean()) > self._power
            event = self._endpointer.window(1.0 if loud else 0.0, end_samples=end_samples)
            if event is not None:
                found.append(event)
        return found

    def reset(self) -> None:
        """Forget an utterance under way; the count of samples goes on."""
        self._endpointer.reset()


class ScriptedRecogniser:
    """Gives prepared transcripts in order, and nothing once they are used up; keeps what it was given."""

    def __init__(self, script: Sequence[str | Transcript]) -> None:
        self._script = [transcript_of(entry) if isinstance(entry, str) else entry for entry in script]
        self.heard: list[bytes] = []

    def transcribe(
        self, pcm: bytes, *, draft: Sequence[str] = (), abandoned: Callable[[], bool] | None = None
    ) -> Transcript:
        """The next prepared transcript."""
        self.heard.append(pcm)
        return self._script.pop(0) if self._script else Transcript("")


def transcript_of(text: str, *, logprob: float = -0.05) -> Transcript:
    """A transcript of the text with one token for each word, all equally sure."""
    words = text.split(" ")
    pieces = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
    tokens = tuple(Token(piece, logprob, piece.encode()) for piece in pieces if piece)
    return Transcript(text, tokens, float(np.exp(logprob)) if tokens else 0.0)


class ToneSynthesiser:
    """Says text as tones, 20 ms for each byte of UTF-8; every voice sounds the same."""

    def __init__(self, *, voices: Sequence[str] = ("agent", "caller"), chars_max: int = 20_000) -> None:
        self._voices = tuple(voices)
        self._chars_max = chars_max

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices, the default first."""
        return self._voices

    def stream(self, text: str, *, voice: str | None = None) -> Iterator[SpeechChunk]:
        """The tones, sentence by sentence."""
        if voice is not None and voice not in self._voices:
            raise InvalidInput(f"expected one of {', '.join(self._voices)}", field="voice")
        if len(text) > self._chars_max:
            raise InvalidInput(f"expected at most {self._chars_max} characters", field="text")
        return (SpeechChunk(_tones(piece), piece, piece.strip()) for piece in sentences(text))


class ToneRecogniser:
    """Reads what `ToneSynthesiser` said; other audio gives an empty transcript."""

    def transcribe(
        self, pcm: bytes, *, draft: Sequence[str] = (), abandoned: Callable[[], bool] | None = None
    ) -> Transcript:
        """The text of the tones in the audio, wherever they start."""
        samples = from_pcm16(pcm[: len(pcm) // 2 * 2])
        text = "".join(_messages(samples))
        return transcript_of(text) if text else Transcript("")


def _tones(text: str) -> bytes:
    data = text.encode()
    if not text.strip():
        return b""
    symbols = [_symbol(_MARK_HZ)]
    for byte in data:
        symbols += [_symbol(_TONES_HZ[byte >> 4]), _symbol(_TONES_HZ[byte & 15])]
    symbols.append(_symbol(_MARK_HZ))
    pause = np.zeros(_SYMBOL_SAMPLES * 4, np.float32)
    return to_pcm16(np.concatenate([*symbols, pause]))


def _symbol(frequency_hz: int) -> Samples:
    times = np.arange(_SYMBOL_SAMPLES) / SAMPLES_PER_SECOND
    return (_AMPLITUDE * np.cos(2 * np.pi * frequency_hz * times)).astype(np.float32)


def _messages(samples: Samples) -> Iterator[str]:
    """The texts between marks; a tone begins at its crest, so the first audible sample is its start."""
    at = 0
    while at + _SYMBOL_SAMPLES <= len(samples):
        audible = np.flatnonzero(np.abs(samples[at:]) > _AUDIBLE)
        if len(audible) == 0:
            return
        at += int(audible[0])
        if _frequency(samples[at : at + _SYMBOL_SAMPLES]) != _MARK_HZ:
            at += _SYMBOL_SAMPLES
            continue
        tones: list[int] = []
        at += _SYMBOL_SAMPLES
        while (tone := _frequency(samples[at : at + _SYMBOL_SAMPLES])) in _TONES_HZ:
            tones.append(_TONES_HZ.index(tone))
            at += _SYMBOL_SAMPLES
        at += _SYMBOL_SAMPLES
        yield bytes(h << 4 | low for h, low in zip(tones[::2], tones[1::2], strict=False)).decode(
            "utf-8", "replace"
        )


def _frequency(symbol: Samples) -> int:
    """The loudest frequency of a symbol's audio, in Hz; 0 for silence and short rests."""
    if len(symbol) < _SYMBOL_SAMPLES or float(np.abs(symbol).max()) < _AUDIBLE:
        return 0
    return int(np.abs(np.fft.rfft(symbol)).argmax()) * SAMPLES_PER_SECOND // _SYMBOL_SAMPLES
