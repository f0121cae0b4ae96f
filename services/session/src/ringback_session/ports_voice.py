"""What saying words of our own without the realtime model needs of the outside world, in its own words."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = ["AUDIO_MS_MAX", "TEXT_CHARS_MAX", "Sound", "Spoken", "Voice"]

# A minute is as much as is held of the model's own; the length is what OpenAI's reference of `/v1/audio/speech` allows.
AUDIO_MS_MAX = 60_000
TEXT_CHARS_MAX = 4_096
# PCM16 at 24 kHz, or G.711 at 8 kHz: µ-law, A-law.
Sound = Literal["pcm", "pcmu", "pcma"]


class Spoken(msgspec.Struct, frozen=True):
    """All of the audio, or, with an `error`, none of it.

    error: not_configured, too_long, deadline, unavailable or unusable. `audio_ms`: of how much of it `model` says the
    price; `unreported`: it was begun, and nobody knows how much of it is charged for.
    """

    audio: bytes = b""
    error: str = ""
    model: str = ""
    audio_ms: int = 0
    unreported: bool = False


class Voice(Protocol):
    """Text to speech. It says what it is given as it is, within a stated time and length."""

    async def speak(self, text: str, *, voice: str, sound: Sound) -> Spoken:
        """`voice`: the call's, for a port that has none of its own. Never raises, except on cancellation."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
