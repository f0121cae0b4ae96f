"""What the model says it cannot do: whose problem that is, and how the client is told of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringback_realtime import ProtocolError, ServerEvents

from ringback_session.views.model import ModelView
from ringback_session.views.out import Out
from ringback_session.views.responses import Responses
from ringback_session.views.route import Wanted
from ringback_session.views.upstream import TOLD_CHARS_MAX

__all__ = ["Problems"]


class Problems:
    """The model's errors: of what the client asked for they are the client's, of what we asked for ours.

    `take_request`: the client's own `response.create` under a key, as the id of its event; None if there is none.
    """

    def __init__(
        self,
        *,
        events: ServerEvents,
        model: ModelView,
        responses: Responses,
        take_request: Callable[[str], tuple[str | None] | None],
    ) -> None:
        self._events = events
        self._model = model
        self._responses = responses
        self._take_request = take_request

    def told(self, error: Mapping[str, Any], out: Out) -> None:
        """One error event of the model."""
        if error.get("code") == "session_expired":
            # The model's connection ends, not the client's session: the close that follows says so.
            return
        event_id = error.get("event_id")
        own_id = self._model.own_id(event_id)
        if own_id is None:
            self._tell(error, event_id, out)
            return
        refused = self._responses.refused(own_id, out)
        if refused is None or refused.owner == "speech":
            return
        if refused.owner == "client":
            self._tell(error, refused.client_event_id, out)
        else:
            self._reply_refused(refused, error, out)

    def _reply_refused(self, refused: Wanted, error: Mapping[str, Any], out: Out) -> None:
        """A client that asked for it gets the error; one that awaits the reply to a turn sees it fail."""
        answered = self._responses.routes.answered(refused.request_key)
        asked = None if answered else self._take_request(refused.request_key)
        if asked is not None:
            self._tell(error, asked[0], out)
        elif not (refused.shut or refused.cancel_reason):
            shown, route = self._responses.shown, refused.lost(self._events.ids.response())
            shown.announce(route, out)
            known = {
                name: str(error.get(name) or "")[:TOLD_CHARS_MAX] for name in ("type", "code", "message")
            }
            shown.close(route, "failed", None, {name: text for name, text in known.items() if text}, out)

    def _tell(self, error: Mapping[str, Any], event_id: object, out: Out) -> None:
        param = error.get("param")
        known = ProtocolError(
            str(error.get("code") or "model_error")[:TOLD_CHARS_MAX],
            str(error.get("message") or "")[:TOLD_CHARS_MAX],
            None if param is None else str(param)[:TOLD_CHARS_MAX],
            event_id=event_id if isinstance(event_id, str) else None,
        )
        out.client.append(self._events.error(known))
