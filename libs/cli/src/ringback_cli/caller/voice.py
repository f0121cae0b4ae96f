"""Owns the caller's voice: lines turned into PCM before the call, so that no line waits for the processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ringback_cli.caller.audio import SAMPLE_RATE, silence

if TYPE_CHECKING:
    from ringback_speech import Synthesiser

__all__ = ["CallerVoice", "trimmed"]

_VOICE = "caller"
# Between two sentences in one breath: well below what a server takes for the end of a turn.
_BREATH_SAMPLES = SAMPLE_RATE * 180 // 1000
_EDGE_SAMPLES = SAMPLE_RATE * 40 // 1000
_QUIET_LEVEL = 300


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
            sentences = (trimmed(chunk.pcm) for chunk in self._synthesiser.stream(line))
            self._spoken[line] = silence(_BREATH_SAMPLES).join(pcm for pcm in sentences if pcm)
        return self._spoken[line]


def trimmed(pcm: bytes) -> bytes:
    """The sentence without the silence that the synthesiser puts around it, but for a soft edge."""
    samples = np.frombuffer(pcm, dtype="<i2")
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET_LEVEL)
    if not len(loud):
        return b""
    return samples[max(0, loud[0] - _EDGE_SAMPLES) : loud[-1] + 1 + _EDGE_SAMPLES].tobytes()


def _spoken_voice(seed: int) -> Synthesiser:
    # Imported here: commands that say nothing need no model.
    from ringback_speech.hibari_voice import HibariSynthesiser, Voice

    # A little slower and lower than the agent; the seed changes how lines are phrased.
    return HibariSynthesiser(voices={_VOICE: Voice(speed=0.95, pitch_percent=88, seed=seed)})
