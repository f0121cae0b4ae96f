"""Owns the form of audio on the wire (mono PCM16, 24,000 samples per second) and the recording of a call."""

from __future__ import annotations

import wave
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

__all__ = ["FRAME_BYTES", "FRAME_MS", "FRAME_SAMPLES", "SAMPLE_RATE", "StereoRecording", "ms_of", "silence"]

SAMPLE_RATE = 24_000
FRAME_MS = 40
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * 2


def ms_of(samples: int) -> int:
    """Whole milliseconds that this many samples last."""
    return samples * 1000 // SAMPLE_RATE


def silence(samples: int) -> bytes:
    """That many samples of silence."""
    return bytes(samples * 2)


class StereoRecording:
    """A WAV file of a call: the caller on the left, what the caller heard on the right. None as path: no file."""

    def __init__(self, path: Path | None) -> None:
        self._file: wave.Wave_write | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed in close()
            self._file.setnchannels(2)
            self._file.setsampwidth(2)
            self._file.setframerate(SAMPLE_RATE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, *, caller: bytes, agent: bytes) -> None:
        """Append the same stretch of time of both sides; both must be of one length."""
        if self._file is None:
            return
        pair = np.empty(len(caller), dtype="<i2")
        pair[0::2] = np.frombuffer(caller, dtype="<i2")
        pair[1::2] = np.frombuffer(agent, dtype="<i2")
        self._file.writeframes(pair.tobytes())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
