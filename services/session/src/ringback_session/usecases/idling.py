"""A caller who says nothing after the agent has spoken, told as the client configured it (`idle_timeout_ms`)."""

from __future__ import annotations

from ringback_realtime import ServerVad, SessionConfig

from ringback_session.domain.inputs import CallerStartedSpeaking, Input, ReplyEnded, SpeechEnded
from ringback_session.domain.state import CallState
from ringback_session.domain.step import SAMPLES_PER_MS

__all__ = ["Idling"]


class Idling:
    """Counts the silence since what was said has been played; each reply arms it once.

    `since`: when by the clock of playback, None while no silence is waited for.
    """

    def __init__(self, state: CallState) -> None:
        self._state = state
        self.since: int | None = None

    def follow(self, event: Input, playback: int) -> None:
        """What the call comes to, and when by the clock of playback."""
        match event:
            case ReplyEnded() | SpeechEnded():
                self.since = playback
            case CallerStartedSpeaking():
                self.since = None
            case _:
                pass

    def due(self, config: SessionConfig, samples: int, *, playback: int) -> tuple[int, int] | None:
        """The silence that has just become too long, from and to in ms of the caller's audio."""
        if self.since is None:
            return None
        detection = config.turn_detection
        wait_ms = detection.idle_timeout_ms if isinstance(detection, ServerVad) else None
        state = self._state
        quiet = state.reply is None and not state.speeches and not state.caller_speaking
        if not wait_ms or not quiet:
            return None
        silent = playback - max(self.since, state.playback.ends_at)
        if silent < wait_ms * SAMPLES_PER_MS:
            return None
        self.since = None
        return max(0, samples - silent) // SAMPLES_PER_MS, samples // SAMPLES_PER_MS
