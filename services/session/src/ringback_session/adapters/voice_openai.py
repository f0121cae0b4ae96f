"""The text-to-speech port: any OpenAI-compatible `POST /v1/audio/speech`, by the `openai` package.

One request and no retries: a caller waits. An endpoint that fails several times in a row is left alone for a while.
What comes must be PCM16 at 24 kHz (`response_format` pcm), within a time and a length; what can not be that is not
used: noise in a caller's ear is worse than no words.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from openai import APIStatusError, APITimeoutError, AsyncOpenAI
from ringback_calling import Breaker, BreakerState, monotonic_ms, show_breaker
from ringback_errors import Unavailable
from ringback_telemetry import histogram, names, span

from ringback_session.ports_voice import AUDIO_MS_MAX, Sound, Spoken

__all__ = ["VoiceOverHttp"]

log = logging.getLogger(__name__)

FAILURES_MAX = 3
OPEN_MS = 10_000
BYTES_PER_MS: Final = 48
# Nobody speaks a hundred characters a second: audio that is shorter was cut off.
MS_PER_CHAR_LEAST: Final = 10
# What an endpoint answers that is away, overloaded, or does not know us: the next caller would hear the same.
_AWAY: Final = frozenset({401, 403, 404, 408, 429})
# Beginnings of what is no bare PCM: wave files, MP3, Ogg, FLAC, JSON, HTML.
_OTHER_KINDS: Final = (b"RIFF", b"ID3", b"\xff\xfb", b"\xff\xf3", b"OggS", b"fLaC", b'{"', b"<!", b"<html")


class _UnusableError(Exception):
    """What came can not be what was asked for; the words say which of the port's errors it is."""


class VoiceOverHttp:
    """Implements `ports_voice.Voice`. `voice`: in place of the call's; empty: the call's."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        voice: str = "",
        timeout_ms: int,
        now_ms: Callable[[], int] = monotonic_ms,
        on_breaker: Callable[[BreakerState, int], None] = lambda state, open_ms: None,
    ) -> None:
        self._on_breaker = on_breaker
        self._breaker = Breaker(
            FAILURES_MAX, OPEN_MS, clock=now_ms, name="text to speech", on_change=self._changed
        )
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key or "none", max_retries=0)
        self._model, self._voice, self._timeout_s = model, voice, timeout_ms / 1000

    async def speak(self, text: str, *, voice: str, sound: Sound) -> Spoken:
        asked = {
            names.Attr.GEN_AI_OPERATION_NAME: "text_to_speech",
            names.Attr.GEN_AI_REQUEST_MODEL: self._model,
        }
        began = time.monotonic()
        with span(names.Span.SPEECH_PORT, attributes=asked) as made:
            spoken = await self._admitted(text, self._voice or voice)
            if sound != "pcm" and spoken.audio:
                # The libraries for it are loaded by the first who needs them.
                audio = await asyncio.to_thread(_on_telephone, spoken.audio, sound)
                spoken = Spoken(audio, model=spoken.model, audio_ms=spoken.audio_ms)
            made.set_attribute(names.Attr.BYTES, len(spoken.audio))
            if spoken.error:
                made.set_attribute(names.Attr.ERROR_TYPE, spoken.error)
        took_ms = (time.monotonic() - began) * 1000
        histogram(names.Metric.SPEECH_PORT_MS).record(took_ms, {names.Attr.OUTCOME: spoken.error or "ok"})
        return spoken

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _admitted(self, text: str, voice: str) -> Spoken:
        try:
            self._breaker.allow()
        except Unavailable:
            return Spoken(error="unavailable")
        try:
            return await self._ask(text, voice)
        except BaseException:
            self._breaker.record_abandoned()
            raise

    async def _ask(self, text: str, voice: str) -> Spoken:
        pcm = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._read(text, voice, pcm)
            _check(pcm, text)
        except (TimeoutError, APITimeoutError):
            self._breaker.record_failure()
            # It was asked, and may have begun.
            return self._failed("deadline", unreported=True)
        except APIStatusError as error:
            away = error.status_code >= 500 or error.status_code in _AWAY
            self._breaker.record_failure() if away else self._breaker.record_success()
            log.warning("text to speech: HTTP %d", error.status_code)
            return self._failed("unavailable")
        except _UnusableError as error:
            self._breaker.record_failure()
            log.warning("text to speech: what came is %s, after %d bytes", error, len(pcm))
            return self._failed(str(error), unreported=True)
        except Exception as error:
            # Nobody there, or what answers is no such endpoint.
            self._breaker.record_failure()
            log.warning("text to speech: %s", type(error).__name__)
            return self._failed("unavailable")
        self._breaker.record_success()
        return Spoken(bytes(pcm), model=self._model, audio_ms=len(pcm) // BYTES_PER_MS)

    async def _read(self, text: str, voice: str, pcm: bytearray) -> None:
        asking = self._client.audio.speech.with_streaming_response.create(
            model=self._model,
            voice=voice,
            input=text,
            response_format="pcm",
            # The time of the whole is watched by who calls this.
            timeout=2 * self._timeout_s,
        )
        async with asking as answer:
            kind = answer.headers.get("content-type", "")
            if kind.startswith(("text/", "application/json")):
                raise _UnusableError("unusable")
            try:
                async for piece in answer.iter_bytes():
                    pcm += piece
                    if len(pcm) > AUDIO_MS_MAX * BYTES_PER_MS:
                        raise _UnusableError("too_long")
            except _UnusableError:
                raise
            except Exception as error:
                # Whichever way it broke off: it had begun.
                raise _UnusableError("unavailable") from error

    def _failed(self, error: str, *, unreported: bool = False) -> Spoken:
        return Spoken(error=error, model=self._model, unreported=unreported)

    def _changed(self, state: BreakerState) -> None:
        log.warning("text to speech: its breaker is %s", state.value)
        show_breaker("text_to_speech", state)
        self._on_breaker(state, OPEN_MS)


def _check(pcm: bytearray, text: str) -> None:
    too_short = len(pcm) < len(text) * MS_PER_CHAR_LEAST * BYTES_PER_MS
    silent = pcm.count(0) == len(pcm)
    if too_short or silent or len(pcm) % 2 or pcm.startswith(_OTHER_KINDS):
        raise _UnusableError("unusable")


def _on_telephone(pcm: bytes, sound: Sound) -> bytes:
    """G.711 at 8 kHz of PCM16 at 24 kHz."""
    from ringback_audio import from_pcm16, g711, resample, to_pcm16

    narrow = to_pcm16(resample(from_pcm16(pcm), source=24_000, target=g711.RATE))
    return g711.encode(narrow, law="u" if sound == "pcmu" else "a")
