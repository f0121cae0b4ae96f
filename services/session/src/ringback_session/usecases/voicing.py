"""Words that the model would not say as they are, asked of the text-to-speech port.

The client hears nothing before all of them are there: what breaks off, comes too late or cannot be used counts as not
said. Then they are shown like any speech of ours, so that ids, order, playback and barge-in are those of all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ringback_realtime import Pcm, Pcma, SessionConfig

from ringback_session.domain.inputs import SpeechEnded
from ringback_session.domain.port_speech import SpeakByPort
from ringback_session.ports_voice import AUDIO_MS_MAX, TEXT_CHARS_MAX, Sound, Spoken, Voice
from ringback_session.views.client import ClientView
from ringback_session.views.metering import Metering
from ringback_session.views.ours import as_spoken, as_written, bytes_per_ms
from ringback_session.views.out import Out

__all__ = ["Voicing"]


class Voicing:
    """One call's way to the port; without one only a client that wants text gets the words."""

    def __init__(
        self,
        voice: Voice | None,
        *,
        view: ClientView,
        metering: Metering,
        flush: Callable[[Out], None],
        heard: Callable[[], bool],
    ) -> None:
        self._voice = voice
        self._view = view
        self._metering = metering
        self._flush = flush
        self._heard = heard
        # The core has one of them at a time.
        self._asked: dict[str, asyncio.Task[Any]] = {}

    async def speak(self, effect: SpeakByPort) -> None:
        """Ends in what the core is to know of it; in nothing if nobody wants it any more."""
        view, out = self._view, Out()
        config = view.config
        if not self._wanted(effect):
            # It was taken back before its turn came.
            return
        if config.output_modality == "text":
            frames = as_written(view.events, effect.speech_id, effect.text, config)
            view.say(effect.speech_id, effect.kind, frames, out)
            self._flush(out)
            return
        spoken = await self._ask(effect, config)
        if not self._wanted(effect):
            return
        out.inputs += self._metering.spoken(effect.speech_id, spoken)
        # Whoever is gone is asked anew when they come back.
        if self._heard():
            self._show(effect, spoken, config, out)
        self._flush(out)

    def drop(self, own_id: str) -> None:
        """Nobody is to hear it any more."""
        task = self._asked.pop(own_id, None)
        if task is not None:
            task.cancel()

    def _show(self, effect: SpeakByPort, spoken: Spoken, config: SessionConfig, out: Out) -> None:
        view = self._view
        if spoken.error or not _fits(spoken, config, view.config):
            failed = SpeechEnded(speech_id=effect.speech_id, status="failed", unreported=spoken.unreported)
            out.inputs.append(failed)
            return
        frames = as_spoken(view.events, effect.speech_id, effect.text, spoken.audio, config)
        view.say(effect.speech_id, effect.kind, frames, out)

    def _wanted(self, effect: SpeakByPort) -> bool:
        return any(speech.speech_id == effect.speech_id for speech in self._view.state.speeches)

    async def _ask(self, effect: SpeakByPort, config: SessionConfig) -> Spoken:
        if self._voice is None:
            return Spoken(error="not_configured")
        if len(effect.text) > TEXT_CHARS_MAX:
            return Spoken(error="too_long")
        task = asyncio.current_task()
        assert task is not None, "what takes time runs in a task of its own"
        self._asked[effect.speech_id] = task
        try:
            return await self._voice.speak(effect.text, voice=config.voice, sound=_sound(config))
        finally:
            self._asked.pop(effect.speech_id, None)


def _fits(spoken: Spoken, asked: SessionConfig, now: SessionConfig) -> bool:
    """Within the bound, and what the client still wants: in another format it would be noise."""
    same = (asked.output_format, asked.output_modality) == (now.output_format, now.output_modality)
    return same and len(spoken.audio) <= AUDIO_MS_MAX * bytes_per_ms(asked)


def _sound(config: SessionConfig) -> Sound:
    if isinstance(config.output_format, Pcm):
        return "pcm"
    return "pcma" if isinstance(config.output_format, Pcma) else "pcmu"
