"""Owns audio files: WAV of PCM16, and the joining of two parties' audio into one recording."""

import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ringback_speech.ports import SAMPLES_PER_SECOND

SAMPLES_MAX = 4 * 3600 * SAMPLES_PER_SECOND


def write_wav(path: Path | str, *, pcm: bytes, channels: int = 1, rate: int = SAMPLES_PER_SECOND) -> None:
    """Write PCM16, its channels interleaved, as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)


def read_wav(path: Path | str) -> tuple[bytes, int, int]:
    """PCM16 with its channels interleaved, the number of channels, the rate.

    Raises ValueError for a file that is no WAV of PCM16.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise ValueError(f"{path}: expected 16-bit samples, got {8 * file.getsampwidth()}-bit")
            return file.readframes(file.getnframes()), file.getnchannels(), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: expected a WAV file of PCM16 ({error})") from error


class Track:
    """One party's audio on the session's clock: pieces laid at sample positions, silence between them."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._end = 0

    @property
    def samples(self) -> int:
        """Where the last piece ends."""
        return self._end

    def lay(self, pcm: bytes, *, at_samples: int | None = None) -> None:
        """Add audio, at the position or else after the last piece; what was there before is replaced."""
        start = self._end if at_samples is None else at_samples
        end = start + len(pcm) // 2
        if start < 0 or end > SAMPLES_MAX:
            raise ValueError(f"at_samples: expected a place within {SAMPLES_MAX} samples, got {start}")
        self._pieces.append((start, pcm[: len(pcm) // 2 * 2]))
        self._end = max(self._end, end)

    def cut(self, *, at_samples: int) -> None:
        """Forget what is laid from the position on: the part that a barge-in kept from being heard."""
        kept = [(start, pcm[: max(0, at_samples - start) * 2]) for start, pcm in self._pieces]
        self._pieces = [(start, pcm) for start, pcm in kept if pcm]
        self._end = min(self._end, at_samples)

    def pcm(self) -> bytes:
        """The whole track."""
        audio = np.zeros(self._end, "<i2")
        for start, pcm in self._pieces:
            audio[start : start + len(pcm) // 2] = np.frombuffer(pcm, "<i2")
        return audio.tobytes()


def stereo(left: bytes, *, right: bytes) -> bytes:
    """Two mono tracks as one with two channels, the shorter followed by silence."""
    audio = np.zeros((max(len(left), len(right)) // 2, 2), "<i2")
    for channel, pcm in enumerate((left, right)):
        audio[: len(pcm) // 2, channel] = np.frombuffer(pcm, "<i2")
    return audio.tobytes()


def mix(tracks: Iterable[bytes]) -> bytes:
    """Mono tracks added up, the sum clipped at full scale."""
    parts = [np.frombuffer(pcm, "<i2") for pcm in tracks]
    total = np.zeros(max(map(len, parts), default=0), np.int32)
    for part in parts:
        total[: len(part)] += part
    return np.clip(total, -32768, 32767).astype("<i2").tobytes()
