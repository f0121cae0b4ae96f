"""The clock that playback is measured by: the caller's own audio while it comes, real time while it does not.

Counting the caller's samples, a call that is streamed faster than real time means the same. A client whose microphone
is closed sends none, and plays what it was sent all the same.
"""

from __future__ import annotations

from ringback_session.domain.step import SAMPLES_PER_MS

__all__ = ["MUTED_MS", "PlaybackClock"]

# Longer than a busy network or machine holds audio back, shorter than a button is left alone.
MUTED_MS = 1_500


class PlaybackClock:
    """Samples since the call came here; never goes back."""

    __slots__ = ("_heard", "_last_ms", "_skipped", "samples")

    def __init__(self, now_ms: int) -> None:
        # The clock of the caller's input: what came in alone.
        self.samples = 0
        self._skipped = 0
        self._last_ms = now_ms
        self._heard = False

    def hear(self, samples: int, now_ms: int) -> None:
        """The caller's audio came in. A frame without any is no sign of a microphone."""
        if not samples:
            return
        if now_ms - self._last_ms > MUTED_MS or not self._heard:
            self._skipped += self._muted(now_ms)
            self._heard = True
        self.samples += samples
        if now_ms > self._last_ms:
            self._last_ms = now_ms

    def begin(self, now_ms: int) -> None:
        """Something begins to be heard, perhaps just after the microphone was closed.

        That is known only later, and the silence before this must not count then: it would move the clock past words
        that are still to come, and a yes would count for them.
        """
        if self._heard and 0 < now_ms - self._last_ms <= MUTED_MS:
            self._last_ms = now_ms

    def at(self, now_ms: int) -> int:
        return self.samples + self._skipped + self._muted(now_ms)

    def _muted(self, now_ms: int) -> int:
        """The time without audio, if it is more than a delay."""
        gap_ms = max(0, now_ms - self._last_ms)
        return gap_ms * SAMPLES_PER_MS if gap_ms > MUTED_MS or not self._heard else 0
