"""The agent's audio that needs nothing but to be passed on and counted: nearly all of it.

The first frame of an item goes the long way, through the client's view and the core. What lets the next ones go
straight is looked at again with each of them; what does not fit any more goes the long way again.
"""

from __future__ import annotations

from ringback_realtime import AudioHead

from ringback_session.domain.playback import goes_on
from ringback_session.ports import ClientSocket
from ringback_session.views.client import ClientView

__all__ = ["AgentAudio"]


class AgentAudio:
    """One call's agent, as the caller hears it."""

    __slots__ = ("_recorded", "_responses", "_state", "_view")

    def __init__(self, view: ClientView, *, recorded: bool) -> None:
        # A recording has every input of the core; without one, counters need not go through it.
        self._recorded = recorded
        self._view = view
        self._state = view.state
        self._responses = view.responses

    def passes(self, head: AudioHead, frame: bytes, client: ClientSocket | None) -> bool:
        """Pass a delta on as it is, and count it. False: nothing was done, it must go the long way."""
        straight = self._responses.straight
        if straight is None or self._recorded or not (samples := straight.samples(head)):
            return False
        state, item_id = self._state, straight.item_id
        if straight.counted and not goes_on(
            state.playback, item_id, samples, straight.route.texts.get(item_id, "")
        ):
            return False
        if state.rules.resume_within_ms:
            self._view.retain(head)
        if client is not None:
            client.send(frame)
        return True
