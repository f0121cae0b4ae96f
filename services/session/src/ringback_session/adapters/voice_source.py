"""The text-to-speech port that the settings name, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback_calling import BreakerState

from ringback_session.ports_voice import Sound, Spoken, Voice
from ringback_session.settings import SessionSettings

if TYPE_CHECKING:
    from ringback_session.adapters.voice_openai import VoiceOverHttp

__all__ = ["configured_voice"]


def configured_voice(
    settings: SessionSettings,
    *,
    variable: Callable[[str], str],
    on_breaker: Callable[[BreakerState, int], None],
) -> Voice | None:
    """None: what the model does not say goes to a person."""
    if not settings.speech_url:
        return None

    def make() -> VoiceOverHttp:
        from ringback_session.adapters.voice_openai import VoiceOverHttp

        key = variable(settings.speech_key_variable) if settings.speech_key_variable else ""
        return VoiceOverHttp(
            base_url=settings.speech_url,
            api_key=key,
            model=settings.speech_model,
            voice=settings.speech_voice,
            timeout_ms=settings.speech_timeout_ms,
            on_breaker=on_breaker,
        )

    return _LateVoice(make)


class _LateVoice:
    """A port that is made at its first words: its package takes a second of processor time, and few replicas need it.

    Implements `ports_voice.Voice`.
    """

    def __init__(self, make: Callable[[], VoiceOverHttp]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._voice: VoiceOverHttp | None = None

    async def speak(self, text: str, *, voice: str, sound: Sound) -> Spoken:
        async with self._making:
            if self._voice is None:
                # Beside the event loop, which has the audio of others to pass on.
                self._voice = await asyncio.to_thread(self._make)
        return await self._voice.speak(text, voice=voice, sound=sound)

    async def close(self) -> None:
        if self._voice is not None:
            await self._voice.close()
