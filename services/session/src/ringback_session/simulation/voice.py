"""The text-to-speech port: it says what it is given, late, or does not."""

from __future__ import annotations

from typing import Final

from ringback_session.ports_voice import Sound, Spoken
from ringback_session.simulation.model_words import MS_PER_CHAR
from ringback_session.simulation.process import Process
from ringback_session.simulation.sound import SOUNDS
from ringback_session.simulation.weather import Weather

__all__ = ["VoiceOf"]

_ERRORS: Final = {"away": "unavailable", "slow": "deadline", "unusable": "unusable"}


class VoiceOf:
    """Implements `ports_voice.Voice` for one process."""

    def __init__(self, weather: Weather, process: Process) -> None:
        self._weather = weather
        self._process = process

    async def speak(self, text: str, *, voice: str, sound: Sound) -> Spoken:
        await self._process.leaves()
        weather = self._weather
        mode = weather.plan.voice
        await weather.passes(8_000 if mode == "slow" else weather.delay_ms("voice", 400))
        await self._process.passes()
        weather.note("voice", f"says {text!r}, {mode}")
        if error := _ERRORS.get(mode):
            return Spoken(error=error, unreported=mode != "away")
        audio_ms = len(text) * MS_PER_CHAR
        return Spoken(SOUNDS[sound].nothing(audio_ms), model="voice", audio_ms=audio_ms)

    async def close(self) -> None:
        """There is no connection."""
