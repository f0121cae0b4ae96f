"""The agent's audio that needs nothing but to be passed on and counted: nearly all of it.

The first frame of an item goes the long way, through the client's view and the core. What lets the next ones go
straight is looked at again whenever anything but audio has happened in the call; what does not fit any more goes the
long way again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback_realtime import AudioHead, MalformedFrameError, peek

from ringback_session.domain.playback import goes_on, more
from ringback_session.domain.state import Playback, PlayedItem
from ringback_session.ports import ClientSocket
from ringback_session.views.client import ClientView
from ringback_session.views.portions import AUDIO_BYTES_MAX
from ringback_session.views.responses import AUDIO_DELTA

__all__ = ["AgentAudio"]


@dataclass(slots=True, eq=False)
class _Plain:
    """What was found of an item that goes straight: all that the next frame of it needs."""

    item_id: str
    response_id: str | None
    index: int | None
    playback: Playback
    played: PlayedItem
    send: Callable[[bytes], None]


class AgentAudio:
    """One call's agent, as the caller hears it."""

    __slots__ = ("_event", "_plain", "_recorded", "_responses", "_state", "_view")

    def __init__(self, view: ClientView, *, recorded: bool, event: Callable[[bytes], None]) -> None:
        # A recording has every input of the core; without one, counters need not go through it.
        self._recorded = recorded
        self._view = view
        self._state = view.state
        self._responses = view.responses
        self._event = event
        self._plain: _Plain | None = None

    def take(self, frame: bytes) -> None:
        """One frame of the model: all but audio that goes on as it did is given to `event`."""
        plain = self._plain
        if plain is not None:
            try:
                head = peek(frame)
                if (
                    head.item_id == plain.item_id
                    and head.type == AUDIO_DELTA
                    and head.response_id == plain.response_id
                    and head.output_index == plain.index
                    and head.content_index is not None
                    and head.event_id
                    and len(frame) <= AUDIO_BYTES_MAX
                    and (samples := head.samples())
                ):
                    more(plain.playback, plain.played, samples)
                    plain.send(frame)
                    return
            except MalformedFrameError:
                pass
        self._event(frame)

    def stirred(self) -> None:
        """Something else has happened in the call: the next frame is looked at anew."""
        self._plain = None

    def passes(self, head: AudioHead, frame: bytes, client: ClientSocket | None) -> bool:
        """Pass a delta on as it is, and count it. False: nothing was done, it must go the long way."""
        straight = self._responses.straight
        if straight is None or self._recorded or len(frame) > straight.bytes_max:
            return False
        if not (samples := straight.samples(head)):
            return False
        state, item_id = self._state, straight.item_id
        if straight.counted and not goes_on(
            state.playback, item_id, samples, straight.route.texts.get(item_id, "")
        ):
            return False
        if state.rules.resume_within_ms:
            self._view.retain(head)
        elif client is not None and straight.counted and not straight.route.telephone:
            self._remember(head, state.playback, client)
        if client is not None:
            client.send(frame)
        return True

    def _remember(self, head: AudioHead, playback: Playback, client: ClientSocket) -> None:
        self._plain = _Plain(
            item_id=head.item_id or "",
            response_id=head.response_id,
            index=head.output_index,
            playback=playback,
            played=playback.items[-1],
            send=client.send,
        )
