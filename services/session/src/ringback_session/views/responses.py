"""Responses on their way from the model to the client: re-assembled, held, dropped or passed on.

Calls that the platform runs are taken out and the rest renumbered; if nothing remains, the response never
appears. Audio payloads go through verbatim: only indices around them are rewritten, where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from ringback_realtime import AudioHead, EventHead, ItemList, ServerEvents, cancel_not_active, peek

from ringback_session.domain.effects import (
    LapseHold,
    MuteReply,
    OpenReply,
    PassWords,
    ReleaseSpeech,
    Showable,
)
from ringback_session.domain.guarded import HoldExceeded, WordsHeld, WordsUnshown
from ringback_session.domain.inputs import (
    AudioSent,
    ItemNoted,
    ReplyStarted,
    ReplyText,
    SpeechText,
)
from ringback_session.views.holding import Holding
from ringback_session.views.matching import Matching
from ringback_session.views.mending import OpenItem
from ringback_session.views.model import OWN_KEY
from ringback_session.views.out import Out
from ringback_session.views.route import (
    CONNECTION_LOST,
    Route,
    Wanted,
    call_requested,
    history_of,
    item_of,
    tell_broken_off,
    tell_end,
)
from ringback_session.views.routes import Routes
from ringback_session.views.showing import Showing
from ringback_session.views.straight import Straight
from ringback_session.views.upstream import (
    ItemEvent,
    RawItem,
    RawResponse,
    check_part,
    read_item_event,
    read_response,
)

__all__ = ["Responses"]

AUDIO_DELTA = "response.output_audio.delta"
_ITEMS = ("response.output_item.added", "response.output_item.done")
_WORDS = ("response.output_audio_transcript.delta", "response.output_text.delta")


class Responses:
    """All responses of one connection to the model."""

    def __init__(
        self,
        *,
        events: ServerEvents,
        items: ItemList,
        conversation_id: str,
        is_client_tool: Callable[[str], bool],
        client_tools_pass: Callable[[], bool],
        heard: Callable[[AudioHead], None] = lambda head: None,
    ) -> None:
        self._events = events
        self._is_client_tool = is_client_tool
        self._client_tools_pass = client_tools_pass
        self._heard = heard
        self.routes = Routes()
        self.wanted = Matching()
        self._yielded, self._again = "", list[bytes]()
        self.straight: Straight | None = None
        self.shown = Showing(events=events, items=items, conversation_id=conversation_id)

    def want(self, wanted: Wanted) -> None:
        self.wanted[wanted.own_id] = wanted

    def audio(self, head: AudioHead, frame: bytes, out: Out, *, open_item: OpenItem | None = None) -> None:
        """One audio delta. What goes through as it is opens the straight way for those after it."""
        route = self.routes.get(head.response_id or "")
        if route is None or route.closed or not (samples := route.samples(head)):
            return
        if route.held:
            route.hold(head.without_payload(), frame)
        elif route.holding is not None:
            self._guard(route, route.holding, head.without_payload(), frame, out)
        else:
            self._audio(route, head, frame, samples, out)
            if open_item is not None and out.client and out.client[-1] is frame:
                self.straight = Straight(head, route, open_item)

    def event(self, head: EventHead, frame: bytes, out: Out) -> str:
        """Any other `response.*` event. Returns the id of a response that must be cancelled now, or ""."""
        if head.type == "response.created":
            return self._created(read_response(frame, OWN_KEY), out)
        if head.type == "response.done":
            raw = read_response(frame, OWN_KEY)
            route = self.routes.get(raw.id)
            if route is not None and route.holding is not None and not route.closed:
                self._guard(route, route.holding, head, frame, out)
            else:
                self._done(raw, out)
            return ""
        route = self.routes.get(head.response_id or "")
        if route is None:
            return ""
        if head.type in _ITEMS:
            # What may be held is read at once: what cannot be used is told to nobody later.
            route.announce(head, read_item_event(frame).item, out)
        elif not check_part(head, frame):
            return ""
        if route.holding is not None:
            self._guard(route, route.holding, head, frame, out)
            return ""
        if head.type in _WORDS:
            self._words(route, head, orjson.loads(frame)["delta"], out)
        if route.held and not route.closed:
            route.hold(head, frame)
        else:
            self._part_of(route, head, frame, out)
        return ""

    def put_behind(self, own_id: str) -> bool:
        """Show nothing of a reply before OpenReply. False: the client sees it already, or it is over."""
        found = self.wanted.get(own_id) or self.routes.by_own_id(own_id)
        return found is not None and found.put_behind()

    def show(self, effect: Showable, out: Out) -> None:
        """What the core says of words that wait."""
        if isinstance(effect, ReleaseSpeech):
            self.release(effect.speech_id, out)
            return
        route, wanted = self.routes.by_own_id(effect.reply_id), self.wanted.get(effect.reply_id)
        if wanted is not None and isinstance(effect, OpenReply):
            wanted.shut = False
        if route is None or route.holding is None:
            return
        holding = route.holding
        match effect:
            case OpenReply():
                holding.shut = False
            case PassWords():
                holding.let_pass(effect.item_id, effect.upto)
            case LapseHold():
                holding.lapse()
            case MuteReply():
                holding.muted = True
                self.shown.cut_open(route, out)
        self._show_ready(route, holding, out)

    def release(self, own_id: str, out: Out) -> None:
        """What was held may be heard."""
        route = self.routes.by_own_id(own_id)
        if route is None or not route.held:
            return
        route.held, waiting, route.waiting = False, route.waiting, []
        for head, frame in waiting:
            if head.type == AUDIO_DELTA:
                self._audio(route, read := peek(frame), frame, route.samples(read), out)
            else:
                self._part_of(route, head, frame, out)

    def cancel(self, own_id: str, reason: str, out: Out) -> str:
        """Close a response before the client at once. Returns the model's id of it to cancel, or ""."""
        if own_id in self.wanted:
            self.wanted[own_id].cancel_reason = reason
            return ""
        route = self.routes.by_own_id(own_id)
        if route is None or route.closed:
            return ""
        route.cancel_reason = reason
        if route.visible and reason == "turn_detected":
            self._yielded = route.response_id
        status = "incomplete" if reason == "content_filter" else "cancelled"
        self.shown.answer(route, status, reason, out)
        return self._end(route, status, reason, None, out)

    def fail(self, response_id: str, error: Mapping[str, str], out: Out) -> str:
        """No more of it can be shown. Returns the model's id of it to cancel, or ""."""
        route = self.routes.get(response_id)
        if route is None or route.closed:
            return ""
        route.cancel_reason = "failed"
        if not (route.held or (route.holding is not None and route.holding.shut)):
            self.shown.announce(route, out)
        return self._end(route, "failed", None, error, out)

    def _end(
        self, route: Route, status: str, reason: str | None, error: Mapping[str, str] | None, out: Out
    ) -> str:
        """Before the client it is over. Returns its id if the model is not done with it already, or ""."""
        left = route.holding.clear() if route.holding is not None else []
        tell_broken_off(route, out, in_model=True)
        self.shown.close(route, status, reason, error, out)
        for frame in left:
            self.event(peek(frame), frame, out)
        return "" if route.ended else route.response_id

    def to_cancel(self, response_id: str | None) -> str:
        """The response that a client's cancel is of. Raises ProtocolError if there is none.

        "" when it has just yielded to the caller, once for each: at the first sound both sides stop it, and what is
        done already is no error.
        """
        active = self.routes.active()
        yielded, self._yielded = self._yielded, ""
        if active is None and yielded and response_id in (None, yielded):
            return ""
        if active is None or response_id not in (None, active.response_id):
            raise cancel_not_active()
        return active.response_id

    def refused(self, own_id: str, out: Out) -> Wanted | None:
        """The model did not take this request: what was asked for has ended before it began."""
        wanted = self.wanted.pop(own_id, None)
        if wanted is not None:
            tell_end(wanted.owner, own_id, "failed", out)
        return wanted

    def lost(self, out: Out) -> None:
        """The model's connection broke: what the client has seen begin ends; an aside not begun is `asked_again`."""
        owed = [wanted.lost(self._events.ids.response()) for wanted in self.wanted.lost()]
        self._again = [wanted.frame for wanted in self.wanted.values()]
        for route in (*self.routes.values(), *owed):
            if not route.closed:
                if route.owner == "client":
                    self.shown.announce(route, out)
                    self.shown.close(route, "failed", None, CONNECTION_LOST, out)
                    tell_end(route.owner, route.own_id, "failed", out)
                else:
                    tell_broken_off(route, out, in_model=False)
                    self.shown.close(route, "completed", None, None, out)
        self.routes.clear()

    def asked_again(self) -> list[bytes]:
        """What a new connection is to be asked for at once."""
        again, self._again = self._again, []
        return again

    def _created(self, raw: RawResponse, out: Out) -> str:
        self._yielded = ""
        if raw.id in self.routes:
            return ""
        wanted = self.wanted.take(raw)
        if wanted is None:
            return raw.id
        route = wanted.begun(raw)
        self.routes.keep(route)
        if wanted.owner == "reply":
            out.inputs.append(ReplyStarted(reply_id=wanted.own_id, response_id=route.response_id))
        if wanted.cancel_reason:
            route.cancel_reason = wanted.cancel_reason
            self.shown.answer(route, "cancelled", wanted.cancel_reason, out)
            route.closed = True
            return route.response_id
        return ""

    def _guard(self, route: Route, holding: Holding, head: EventHead, frame: bytes, out: Out) -> None:
        """A frame of a reply that policy judges: show it, or have it wait."""
        made = holding.made(head, frame)
        if route.closed:
            self._show(route, head, frame, out)
            return
        waited, was_full = holding.waiting, holding.full
        if not holding.keeps(head, frame):
            self._show(route, head, frame, out)
        elif holding.full and not was_full:
            out.inputs.append(HoldExceeded(reply_id=route.own_id))
        elif not waited:
            out.inputs.append(WordsHeld(reply_id=route.own_id))
        out.inputs += made

    def _show_ready(self, route: Route, holding: Holding, out: Out) -> None:
        waited = holding.waiting
        for head, frame in holding.ready():
            self._show(route, head, frame, out)
        if waited:
            out.inputs.append(WordsHeld(reply_id=route.own_id, waiting=holding.waiting))

    def _show(self, route: Route, head: EventHead, frame: bytes, out: Out) -> None:
        """A frame of a judged reply whose turn it is. Of a muted one only calls and the end are left."""
        if head.type == "response.done":
            self._done(read_response(frame, OWN_KEY), out)
        elif route.holding is not None and route.holding.silences(head, frame):
            return
        elif head.type == AUDIO_DELTA:
            self._audio(route, read := peek(frame), frame, route.samples(read), out)
        else:
            if head.type in _WORDS:
                self._words(route, head, orjson.loads(frame)["delta"], out)
            self._part_of(route, head, frame, out)

    def _part_of(self, route: Route, head: EventHead, frame: bytes, out: Out) -> None:
        match head.type:
            case "response.output_item.added":
                self._item_added(route, read_item_event(frame), out)
            case "response.output_item.done":
                self._item_done(route, read_item_event(frame), out)
            case _:
                route.note_part(head, frame)
                if not route.closed and head.item_id in route.items:
                    out.client.append(self.shown.renumbered(route, head, frame))

    def _item_added(self, route: Route, event: ItemEvent, out: Out) -> None:
        raw = event.item
        passes = raw.type != "function_call" or (
            self._client_tools_pass() and self._is_client_tool(raw.name or "")
        )
        if raw.id in route.items or not passes:
            return
        item = item_of(raw, "in_progress")
        index = len(route.items)
        route.items[item.id] = item
        if route.closed:
            return
        route.is_known(raw.id)
        self.shown.announce(route, out)
        self.shown.add_item(route, item, index, out)

    def _item_done(self, route: Route, event: ItemEvent, out: Out) -> None:
        raw = event.item
        if raw.type == "function_call" and route.owner == "reply":
            self._call_done(route, raw, out)
        if raw.id not in route.open_items:
            return
        item = item_of(raw, raw.status)
        self.shown.finish_item(route, item, route.index_of(item.id), out)
        if route.owner == "reply" and item.type == "message":
            text = route.texts.get(item.id) or item.text
            out.inputs.append(ReplyText(reply_id=route.own_id, item_id=item.id, text=text))
        elif route.owner == "reply":
            out.inputs.append(ItemNoted(item=history_of(item)))

    def _call_done(self, route: Route, raw: RawItem, out: Out) -> None:
        """A call that is not simply the client's to run: ours, or one that the client was not shown whole."""
        if raw.id in route.open_items or (raw.id in route.items and not route.cancel_reason):
            return
        route.is_known(raw.id)
        route.owed = False
        out.inputs.append(call_requested(route, raw, client_tool=self._is_client_tool(raw.name or "")))

    def _done(self, raw: RawResponse, out: Out) -> None:
        route = self.routes.get(raw.id)
        if route is None or route.ended:
            return
        route.ended = True
        status = "cancelled" if route.cancel_reason else raw.status
        if not route.closed:
            failed = status == "failed" and not route.held
            if route.visible or route.owed or route.owner == "client" or failed:
                muted = route.holding is not None and route.holding.muted
                ending = ("incomplete", "content_filter") if muted else (status, raw.reason)
                self.shown.announce(route, out)
                tell_broken_off(route, out, in_model=True)
                self.shown.close(route, *ending, raw.error, out, usage=raw.usage)
            route.closed = True
        if route.holding is not None and route.holding.unshown:
            out.inputs.append(WordsUnshown(item_ids=tuple(route.holding.unshown)))
        tell_end(route.owner, route.own_id, status, out)

    def _words(self, route: Route, head: EventHead, delta: str, out: Out) -> None:
        text = route.words(head, delta)
        if route.owner == "speech" and not route.cancel_reason:
            where = {"item_id": head.item_id or "", "response_id": route.response_id}
            out.inputs.append(SpeechText(speech_id=route.own_id, transcript=text, **where))

    def _audio(self, route: Route, head: AudioHead, frame: bytes, samples: int, out: Out) -> None:
        item_id = head.item_id or ""
        if item_id not in route.items:
            return
        self._heard(head)
        self.shown.audio_started = True
        out.client.append(self.shown.renumbered(route, head, frame))
        if route.owner == "client":
            return
        out.inputs.append(
            AudioSent(
                item_id=item_id,
                samples=samples,
                text=route.texts.get(item_id, ""),
                kind=route.speech_kind,
                in_model=route.owner == "reply",
                response_id=route.response_id,
            )
        )
