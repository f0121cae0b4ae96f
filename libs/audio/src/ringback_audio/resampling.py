"""Owns the change of sampling rate: a streaming polyphase FIR that loses and adds no sample."""

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_TAPS_PER_SIDE = 16  # zero crossings of the windowed sinc on each side of its centre
_KAISER_BETA = 8.0  # about 80 dB of stop-band attenuation (Kaiser & Schafer 1980)
_PASS_BAND = 0.94  # of the lower Nyquist frequency


class Resampler:
    """Changes the rate of one stream of samples.

    Output sample n stands at input time n·source/target exactly, with no delay: `flush` gives the last
    samples, which wait for input that comes no more. Over a whole stream the output has
    ceil(inputs·target/source) samples.
    """

    def __init__(self, source: int, *, target: int) -> None:
        if source <= 0 or target <= 0:
            raise ValueError(f"source, target: expected rates above 0, got {source} and {target}")
        common = gcd(source, target)
        self._up, self._down = target // common, source // common
        self._phases = _phases(self._up, self._down)
        self._reach = self._phases.shape[1] // 2
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        # The buffer starts `reach` zeros before the first sample, so that filters fit from output 0 on.
        self._buffer: Samples = np.zeros(self._reach, np.float32)
        self._buffer_start = -self._reach
        self._inputs = 0
        self._outputs = 0

    def feed(self, samples: Samples) -> Samples:
        """Take input samples, give the output samples that they complete."""
        self._buffer = np.concatenate((self._buffer, samples.astype(np.float32, copy=False)))
        self._inputs += len(samples)
        # Output n reads inputs up to floor(n·down/up) + reach.
        complete = self._inputs - self._reach
        return self._produce(max(0, -(-complete * self._up // self._down)) if complete > 0 else 0)

    def flush(self) -> Samples:
        """The outputs that were waiting for further input; the stream is then over until `reset`."""
        total = -(-self._inputs * self._up // self._down)
        self._buffer = np.concatenate((self._buffer, np.zeros(self._reach + 1, np.float32)))
        return self._produce(total)

    def _produce(self, until: int) -> Samples:
        count = until - self._outputs
        if count <= 0:
            return np.zeros(0, np.float32)
        positions = (self._outputs + np.arange(count)) * self._down
        centres, phases = positions // self._up, positions % self._up
        width = self._phases.shape[1]
        windows = np.lib.stride_tricks.sliding_window_view(self._buffer, width)
        first = centres - self._reach + 1 - self._buffer_start
        made: Samples = np.einsum("nw,nw->n", windows[first], self._phases[phases], optimize=False)
        self._outputs = until
        keep_from = (self._outputs * self._down) // self._up - self._reach + 1
        drop = max(0, keep_from - self._buffer_start)
        self._buffer = self._buffer[drop:]
        self._buffer_start += drop
        return made


def resample(samples: Samples, *, source: int, target: int) -> Samples:
    """A whole signal at another rate."""
    stream = Resampler(source, target=target)
    return np.concatenate((stream.feed(samples), stream.flush()))


def from_pcm16(pcm: bytes) -> Samples:
    """PCM16 little-endian bytes as samples between -1 and 1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768.0)


def to_pcm16(samples: Samples) -> bytes:
    """Samples as PCM16 little-endian bytes; what is louder than full scale is clipped."""
    return (np.clip(samples, -1.0, 32767 / 32768) * 32768.0).round().astype("<i2").tobytes()


@lru_cache(maxsize=8)
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """One filter per output phase: row p weighs the inputs around an output p/up of a sample after its centre."""
    cutoff = _PASS_BAND * min(1.0, up / down)
    reach = int(np.ceil(_TAPS_PER_SIDE / min(1.0, up / down)))
    taps = np.arange(-reach + 1, reach + 1)
    times = taps[None, :] - np.arange(up)[:, None] / up
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (times / reach) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    filters = cutoff * np.sinc(cutoff * times) * window
    filters /= filters.sum(axis=1, keepdims=True)
    return filters.astype(np.float32)
