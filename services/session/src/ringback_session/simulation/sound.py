"""Frames of the caller's audio: what is said is their first bytes, and only the simulated model knows."""

from __future__ import annotations

import base64
from typing import Final

import orjson

__all__ = ["FRAME_MS", "SILENCES", "silence", "speech_frame", "words_in"]

FRAME_MS: Final = 400
_NO_SOUND: Final = bytes(FRAME_MS * 48)


def speech_frame(text: str) -> bytes:
    """Audio that says something: the words are its first bytes, and only the model knows."""
    return _append((text.encode() + b"\1" + _NO_SOUND)[: len(_NO_SOUND)])


def _append(audio: bytes) -> bytes:
    return orjson.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()})


SILENCES: Final = {_append(_NO_SOUND * count): FRAME_MS * count for count in (1, 2)}
_SILENT: Final = {ms: frame for frame, ms in SILENCES.items()}


def silence(ms: int) -> bytes:
    """Audio without a sound: one frame long, or two."""
    return _SILENT[ms]


def words_in(audio: str) -> str:
    """What a frame's audio says."""
    return base64.b64decode(audio).partition(b"\1")[0].decode()
