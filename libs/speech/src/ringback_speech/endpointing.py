"""Owns the turning of speech probabilities into utterances: hysteresis, prefix and the silence that ends one."""

from ringback_speech.ports import SAMPLES_PER_SECOND, SpeechStarted, SpeechStopped, VadEvent, VadParameters

WINDOW_SAMPLES = 768  # 32 ms, the step of the Silero model, at 24 kHz
_ONSET_WINDOWS = 2  # a single loud window is a click
_HYSTERESIS = 0.15  # below the threshold by this much, speech goes on (the Silero authors' choice)


class Endpointer:
    """Takes one probability per window; a pure state machine on sample counts."""

    def __init__(self, parameters: VadParameters) -> None:
        self.parameters = parameters
        self.speaking = False
        self._onset_windows = 0
        self._speech_windows = 0
        self._last_speech_end = 0

    @property
    def last_speech_samples(self) -> int | None:
        """Where the utterance under way last had speech; None when there is none."""
        return self._last_speech_end if self.speaking else None

    def reset(self) -> None:
        """Forget an utterance under way."""
        self.speaking = False
        self._onset_windows = self._speech_windows = 0

    def window(self, probability: float, *, end_samples: int) -> VadEvent | None:
        """Judge the window that ends at the sample; at most one event comes of it."""
        if self.speaking:
            return self._while_speaking(probability, end_samples)
        self._onset_windows = self._onset_windows + 1 if probability >= self.parameters.threshold else 0
        if self._onset_windows < _ONSET_WINDOWS:
            return None
        onset = end_samples - self._onset_windows * WINDOW_SAMPLES
        prefix = self.parameters.prefix_padding_ms * SAMPLES_PER_SECOND // 1000
        self.speaking, self._speech_windows, self._last_speech_end = True, self._onset_windows, end_samples
        self._onset_windows = 0
        return SpeechStarted(max(0, onset - prefix), onset, end_samples)

    def _while_speaking(self, probability: float, end_samples: int) -> VadEvent | None:
        if probability >= max(self.parameters.threshold - _HYSTERESIS, 0.01):
            self._speech_windows += 1
            self._last_speech_end = end_samples
            return None
        silence = self.parameters.silence_duration_ms * SAMPLES_PER_SECOND // 1000
        if end_samples - self._last_speech_end < silence:
            return None
        stopped = SpeechStopped(end_samples, self._last_speech_end, self._speech_windows * WINDOW_SAMPLES)
        self.reset()
        return stopped


class WindowCutter:
    """Cuts fed bytes into windows of PCM16; keeps odd bytes and part windows for the next feed."""

    def __init__(self) -> None:
        self._rest = b""
        self._bytes_fed = 0

    @property
    def samples_fed(self) -> int:
        """Whole samples fed so far."""
        return self._bytes_fed // 2

    def feed(self, pcm: bytes) -> list[tuple[bytes, int]]:
        """The windows that the bytes complete, each with the sample at which it ends."""
        start = self._bytes_fed - len(self._rest)
        self._bytes_fed += len(pcm)
        data = self._rest + pcm
        size = WINDOW_SAMPLES * 2
        whole = len(data) // size * size
        self._rest = data[whole:]
        return [(data[at : at + size], (start + at + size) // 2) for at in range(0, whole, size)]
