"""What the model is asked to say: replies, our own words, and that it stops."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ringback_realtime import Pcm, resolve_response

from ringback_session.domain.effects import RequestReply, RequestSpeech
from ringback_session.domain.inputs import SpeechEnded
from ringback_session.usecases.model_link import ModelLink
from ringback_session.usecases.voicing import Voicing
from ringback_session.views.client import ClientView
from ringback_session.views.model import ModelView
from ringback_session.views.out import Out
from ringback_session.views.route import Wanted

__all__ = ["Asking"]

log = logging.getLogger(__name__)


class Asking:
    """Each request is announced to the client's view first, so that its answer is known when it comes."""

    def __init__(self, *, view: ClientView, model_view: ModelView, link: ModelLink, voicing: Voicing) -> None:
        self._voicing = voicing
        self._view = view
        self._model_view = model_view
        self._link = link
        self._told = False

    def reply(self, effect: RequestReply) -> None:
        responses = self._view.responses
        owed = bool(effect.request_key) and not responses.routes.answered(effect.request_key)
        params = self._view.request(effect.request_key) if owed else {}
        responses.want(
            Wanted(
                owner="reply",
                own_id=effect.reply_id,
                metadata=params.get("metadata"),
                request_key=effect.request_key,
                telephone=self._on_telephone(params),
                shut=effect.shut,
                watch=effect.watch,
                owed=owed,
            )
        )
        self._link.send(self._model_view.reply(effect, params, self._view.config))

    def speech(self, effect: RequestSpeech) -> Out:
        """Also what comes of it at once: words beside a reply that has begun are not said."""
        out = Out()
        if effect.beside and not self._goes_beside(effect.beside):
            out.inputs.append(SpeechEnded(speech_id=effect.speech_id, status="failed"))
            return out
        wanted = Wanted(
            owner="speech",
            own_id=effect.speech_id,
            hold=effect.hold,
            speech_kind=effect.kind,
            telephone=self._on_telephone({}),
        )
        self._view.responses.want(wanted)
        self._link.send(self._model_view.speech(effect, self._view.config))
        return out

    def _goes_beside(self, reply_id: str) -> bool:
        responses = self._view.responses
        if responses.wanted.echoed:
            return responses.put_behind(reply_id)
        if not self._told:
            self._told = True
            log.warning("no filler for a slow model: it does not hand back the metadata of its responses")
        return False

    def cancel(self, own_id: str, reason: str, out: Out) -> None:
        self._voicing.drop(own_id)
        known_as = "client_cancelled" if reason == "unverified" else reason
        response_id = self._view.responses.cancel(own_id, known_as, out)
        if response_id:
            self._link.send(self._model_view.cancel(response_id))

    def _on_telephone(self, params: Mapping[str, Any]) -> bool:
        audio = {"audio": params.get("audio")}
        return not isinstance(resolve_response(audio, self._view.config).output_format, Pcm)
