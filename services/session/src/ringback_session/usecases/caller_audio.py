"""The caller's audio on its way to the model: counted, passed on as it came, listened to only while that is wanted.

Every frame of a microphone comes this way, 25 to 50 a second and call, so each of them pays for what it needs alone.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback_realtime import AudioHead, MalformedFrameError, peek

from ringback_session.domain.inputs import At, CallerArrived
from ringback_session.ports import Clock
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.idling import Idling
from ringback_session.usecases.model_link import ModelLink
from ringback_session.usecases.playback_clock import PlaybackClock
from ringback_session.views.client import ClientView
from ringback_session.views.out import Out
from ringback_session.views.route import clock_samples

__all__ = ["APPEND", "CallerAudio"]

APPEND = "input_audio_buffer.append"


class CallerAudio:
    """One call's microphone. `playback` counts its samples, 24 kHz, and goes on without it.

    `plain`: an append needs only be counted and passed on. What may change that sets it to False; the next append goes
    the long way, which looks whether it is so again.
    """

    __slots__ = ("_clock", "_event", "_feed", "_link", "_state", "_view", "idling", "plain", "playback")

    def __init__(
        self, view: ClientView, *, link: ModelLink, clock: Clock, feed: Feed, event: Callable[[bytes], None]
    ) -> None:
        self.plain = False
        self.playback = PlaybackClock(clock.now_ms())
        self.idling = Idling(view.state)
        self._view = view
        self._state = view.state
        self._link = link
        self._clock = clock
        self._feed = feed
        self._event = event

    def at(self) -> At:
        """The moment by all clocks of the call."""
        now_ms = self._clock.now_ms()
        playback = self.playback
        return At(now_ms=now_ms, samples=playback.samples, playback=playback.at(now_ms))

    def agent_sends(self) -> None:
        """Audio goes out to the caller, into silence or behind what is still heard."""
        now_ms = self._clock.now_ms()
        if self.playback.at(now_ms) >= self._state.playback.ends_at:
            self.playback.begin(now_ms)

    def take(self, frame: bytes) -> None:
        """One frame of the client: one that is no append, or needs more than to be passed on, is given to `event`."""
        if self.plain:
            try:
                head = peek(frame)
                if head.type == APPEND:
                    self.playback.hear(head.samples(), self._clock.now_ms())
                    self._link.audio(frame)
                    return
            except MalformedFrameError:
                pass
        self._event(frame)

    def frame(self, head: AudioHead, frame: bytes) -> Out | None:
        """One append. Returns what comes of a silence of the caller's that has just become too long."""
        state, view, playback = self._state, self._view, self.playback
        if not playback.samples and state.greeting:
            self._feed(CallerArrived())
        samples = clock_samples(head, telephone=True) if view.telephone_in else head.samples()
        now_ms = self._clock.now_ms()
        playback.hear(samples, now_ms)
        self._link.audio(frame)
        listens = state.rules.backchannel_window_ms or state.floor.overlap is not None
        if listens:
            sound = view.overhear(head, playback.samples)
            if sound is not None:
                self._feed(sound)
        if self.idling.since is None:
            self.plain = playback.samples > 0 and not listens and not view.telephone_in
            return None
        silence = self.idling.due(view.config, playback.samples, playback=playback.at(now_ms))
        return None if silence is None else view.too_quiet(*silence)
