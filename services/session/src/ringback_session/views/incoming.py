"""The events of the model's responses, from its socket to what is shown of them: mended first, then cut to size."""

from __future__ import annotations

from ringback_realtime import AudioHead, ServerEvents

from ringback_session.views.mending import Mending
from ringback_session.views.model import ModelView
from ringback_session.views.out import Out
from ringback_session.views.portions import Portions, TooLargeError
from ringback_session.views.responses import AUDIO_DELTA, Responses

__all__ = ["Incoming"]


class Incoming:
    """One connection's responses."""

    def __init__(self, events: ServerEvents, *, responses: Responses, model: ModelView) -> None:
        self._responses = responses
        self._model = model
        self._mending = Mending(events)
        self._portions = Portions(events, telephone=responses.routes.telephone)

    def event(self, head: AudioHead, frame: bytes, out: Out) -> None:
        """An event of a response, after those that a sloppy model left out before it."""
        if self._portions.given_up(head.response_id):
            return
        try:
            for mended, whole in self._mending.whole(head, frame):
                for each, piece in self._portions.of(mended, whole):
                    self._take(each, piece, out)
        except TooLargeError as error:
            self.stop(self._responses.fail(error.response_id, error.error, out), out)

    def stop(self, response_id: str, out: Out) -> None:
        """Have the model stop a response, if one is named."""
        if response_id:
            out.model.append(self._model.cancel(response_id))

    def _take(self, head: AudioHead, frame: bytes, out: Out) -> None:
        if head.type == AUDIO_DELTA:
            self._responses.audio(head, frame, out, open_item=self._mending.open_item(head))
        else:
            self.stop(self._responses.event(head, frame, out), out)
