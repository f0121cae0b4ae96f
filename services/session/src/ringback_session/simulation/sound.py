"""Frames of the caller's audio: what is said is their first bytes, and only the simulated model knows.

In each of the protocol's formats; those of telephones are a sixth of the bytes.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
import orjson

__all__ = ["FRAME_MS", "SILENCES", "SOUNDS", "Sound", "words_in"]

FRAME_MS: Final = 400


def _append(audio: bytes) -> bytes:
    return orjson.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()})


class Sound(msgspec.Struct, frozen=True):
    """One format: how the protocol says it, its bytes for a millisecond, and a byte without a sound."""

    wire: dict[str, str | int]
    bytes_per_ms: int
    silent: bytes

    def nothing(self, ms: int) -> bytes:
        """Audio without a sound."""
        return self.silent * (self.bytes_per_ms * ms)

    def speech_frame(self, text: str) -> bytes:
        """Audio that says something: the words are its first bytes, and only the model knows."""
        said = text.encode() + b"\1"
        return _append(said + self.nothing(FRAME_MS)[len(said) :])

    def silence(self, ms: int) -> bytes:
        """A frame without a sound: one frame long, or two."""
        return _SILENT[self.bytes_per_ms, self.silent, ms]

    def ms_of(self, audio: str) -> int:
        """How long a frame's audio is."""
        return len(audio) * 3 // 4 // self.bytes_per_ms


SOUNDS: Final = {
    "pcm": Sound({"type": "audio/pcm", "rate": 24_000}, 48, b"\0"),
    "pcmu": Sound({"type": "audio/pcmu"}, 8, b"\xff"),
    "pcma": Sound({"type": "audio/pcma"}, 8, b"\xd5"),
}
_SILENT: Final = {
    (sound.bytes_per_ms, sound.silent, FRAME_MS * count): _append(sound.nothing(FRAME_MS * count))
    for sound in SOUNDS.values()
    for count in (1, 2)
}
SILENCES: Final = {frame: ms for (_, _, ms), frame in _SILENT.items()}


def words_in(audio: str) -> str:
    """What a frame's audio says."""
    return base64.b64decode(audio).partition(b"\1")[0].decode()
