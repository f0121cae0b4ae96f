"""Owns voice activity by the Silero model."""

import numpy as np
from ringback_audio import Resampler, Samples, from_pcm16

from ringback_speech import models
from ringback_speech.endpointing import WINDOW_SAMPLES, Endpointer
from ringback_speech.ports import SAMPLES_PER_SECOND, VadEvent, VadParameters

_MODEL_RATE = 16_000
_WINDOW = 512
_CONTEXT = 64  # samples of the window before that the model is given with each window


class SileroVoiceActivity:
    """Voice activity of one session; the model is shared, its state is the session's own.

    Not for use from two threads at once.
    """

    def __init__(self, parameters: VadParameters | None = None) -> None:
        self._network = models.network(models.SILERO)
        self._endpointer = Endpointer(parameters or VadParameters())
        self._half_sample = b""
        self._samples = 0
        self._resampler = Resampler(SAMPLES_PER_SECOND, target=_MODEL_RATE)
        self._waiting: Samples = np.zeros(0, np.float32)
        self._windows = 0
        self._rate = np.array(_MODEL_RATE, np.int64)
        self._forget()

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
        return self._samples

    def update(self, parameters: VadParameters) -> None:
        """Put other parameters in force from the next window on."""
        self._endpointer.parameters = parameters

    def feed(self, pcm: bytes) -> list[VadEvent]:
        """Take any number of bytes of audio; gives what was found, in order."""
        pcm = self._half_sample + pcm
        whole = len(pcm) // 2 * 2
        self._half_sample = pcm[whole:]
        self._samples += whole // 2
        fresh = self._resampler.feed(from_pcm16(pcm[:whole]))
        self._waiting = np.concatenate((self._waiting, fresh))
        found: list[VadEvent] = []
        while len(self._waiting) >= _WINDOW:
            window, self._waiting = self._waiting[:_WINDOW], self._waiting[_WINDOW:]
            self._windows += 1
            # 512 samples at 16 kHz are 768 at 24 kHz, so windows end on whole samples of the session.
            end_samples = self._windows * WINDOW_SAMPLES
            event = self._endpointer.window(self._probability(window), end_samples=end_samples)
            if event is not None:
                found.append(event)
        return found

    def reset(self) -> None:
        """Forget an utterance under way; the count of samples goes on."""
        self._endpointer.reset()
        self._forget()

    def _forget(self) -> None:
        self._state: Samples = np.zeros((2, 1, 128), np.float32)
        self._context: Samples = np.zeros(_CONTEXT, np.float32)

    def _probability(self, window: Samples) -> float:
        given = np.concatenate((self._context, window))[None, :]
        self._context = window[-_CONTEXT:]
        output, self._state = self._network.run({"input": given, "state": self._state, "sr": self._rate})
        return float(output[0, 0])
