"""The caller's audio on its way to the model: counted, passed on as it came, listened to only while that is wanted.

Every frame of a microphone comes this way, 25 to 50 a second and call, so each of them pays for what it needs alone.
"""

from __future__ import annotations

from ringback_realtime import AudioHead

from ringback_session.domain.inputs import At, CallerArrived
from ringback_session.ports import Clock
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.idling import Idling
from ringback_session.usecases.model_link import ModelLink
from ringback_session.usecases.playback_clock import PlaybackClock
from ringback_session.views.client import ClientView
from ringback_session.views.route import clock_samples

__all__ = ["CallerAudio"]


class CallerAudio:
    """One call's microphone. `samples` is the clock of the caller's input, 24 kHz; `playback` goes on without it."""

    __slots__ = ("_clock", "_feed", "_link", "_state", "_view", "idling", "playback", "samples")

    def __init__(self, *, view: ClientView, link: ModelLink, clock: Clock, feed: Feed) -> None:
        self.samples = 0
        self.playback = PlaybackClock(clock.now_ms())
        self.idling = Idling(view.state)
        self._view = view
        self._state = view.state
        self._link = link
        self._clock = clock
        self._feed = feed

    def at(self) -> At:
        """The moment by all clocks of the call."""
        now_ms = self._clock.now_ms()
        return At(now_ms=now_ms, samples=self.samples, playback=self.playback.at(now_ms))

    def frame(self, head: AudioHead, frame: bytes) -> tuple[int, int] | None:
        """One append. Returns a silence of the caller's that has just become too long, from and to in ms."""
        state, view = self._state, self._view
        if not self.samples and state.greeting:
            self._feed(CallerArrived())
        samples = clock_samples(head, telephone=True) if view.telephone_in else head.samples()
        self.samples += samples
        now_ms = self._clock.now_ms()
        self.playback.hear(samples, now_ms)
        self._link.audio(frame)
        if state.rules.backchannel_window_ms or state.floor.overlap is not None:
            sound = view.overhear(head, self.samples)
            if sound is not None:
                self._feed(sound)
        if self.idling.since is None:
            return None
        return self.idling.due(view.config, self.samples, playback=self.playback.at(now_ms))
