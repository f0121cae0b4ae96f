"""Owns the caller's voice: lines turned into PCM before the call, so that no line waits for the processor."""

from __future__ import annotations

from collections.abc import Iterable

from ringback_speech import Synthesiser

__all__ = ["CallerVoice"]

_VOICE = "caller"


class CallerVoice:
    """A speaker that is not the agent's; the same seed and line give the same audio."""

    def __init__(self, *, seed: int = 3, synthesiser: Synthesiser | None = None) -> None:
        self._synthesiser = synthesiser or _spoken_voice(seed)
        self._spoken: dict[str, bytes] = {}

    def prepare(self, lines: Iterable[str]) -> None:
        """Synthesise lines ahead of the call."""
        for line in lines:
            self.speak(line)

    def speak(self, line: str) -> bytes:
        """PCM16 at 24 kHz of the line."""
        if line not in self._spoken:
            self._spoken[line] = b"".join(chunk.pcm for chunk in self._synthesiser.stream(line))
        return self._spoken[line]


def _spoken_voice(seed: int) -> Synthesiser:
    # Imported here: commands that say nothing need no model.
    from ringback_speech.hibari_voice import HibariSynthesiser, Voice

    # A little slower and lower than the agent; the seed changes how lines are phrased.
    return HibariSynthesiser(voices={_VOICE: Voice(speed=0.95, pitch_percent=88, seed=seed)})
