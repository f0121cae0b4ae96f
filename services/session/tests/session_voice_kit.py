"""Text to speech of whole calls: a twin for which a test may speak."""

import asyncio

from ringback_session.ports_voice import Spoken


class VoiceTwin:
    """Text to speech: says at once what it is asked for, or answers what a test sets, when that lets it."""

    def __init__(self):
        self.asked = []
        self.answer = None
        self.hold = None
        self.cancelled = 0

    async def speak(self, text, *, voice, sound):
        self.asked.append((text, voice, sound))
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.answer is not None:
            return self.answer
        audio_ms = len(text) * 50
        audio = b"\1\2" * 24 * audio_ms if sound == "pcm" else b"\xd5" * 8 * audio_ms
        return Spoken(audio=audio, model="tts-x", audio_ms=audio_ms)

    async def close(self):
        pass
