"""PCM16 at 24 kHz: units, and the input buffer whose offsets count every sample ever written."""

from typing import Final

__all__ = ["RATE", "SAMPLE_BYTES", "BufferFullError", "InputBuffer", "ms_of", "samples_of"]

RATE: Final = 24_000
SAMPLE_BYTES: Final = 2


def ms_of(samples: int) -> int:
    return samples * 1000 // RATE


def samples_of(ms: int) -> int:
    return ms * RATE // 1000


class BufferFullError(Exception):
    """The input buffer holds as much as it may; what came last was dropped."""

    def __init__(self, ms_max: int) -> None:
        super().__init__(f"The input audio buffer holds at most {ms_max} ms: commit or clear it first.")


class InputBuffer:
    """Audio that was received and not yet committed.

    ``start`` and ``end`` are absolute sample offsets since the session began; they never go back.
    """

    def __init__(self, *, ms_max: int) -> None:
        self._pcm = bytearray()
        self._ms_max = ms_max
        self.start = 0

    @property
    def end(self) -> int:
        return self.start + len(self._pcm) // SAMPLE_BYTES

    def append(self, pcm: bytes) -> None:
        """Raises BufferFullError, and keeps nothing of ``pcm``, beyond the bound."""
        if len(self._pcm) + len(pcm) > samples_of(self._ms_max) * SAMPLE_BYTES:
            raise BufferFullError(self._ms_max)
        self._pcm += pcm

    def peek(self, start: int, end: int) -> bytes:
        """The audio between two absolute offsets, as far as it is kept."""
        first = max(0, start - self.start) * SAMPLE_BYTES
        return bytes(self._pcm[first : max(0, end - self.start) * SAMPLE_BYTES])

    def drop_before(self, sample: int) -> None:
        count = min(max(0, sample - self.start), len(self._pcm) // SAMPLE_BYTES)
        del self._pcm[: count * SAMPLE_BYTES]
        self.start += count

    def clear(self) -> None:
        self.drop_before(self.end)
