"""What the client sees: its configuration, its item list, its errors.

Answers what the model need not be asked, and emulates what the client configured and the model was told not to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from ringback_realtime import (
    AudioHead,
    Close,
    EventHead,
    EventIds,
    Item,
    ItemList,
    Pcm,
    ProtocolError,
    ServerEvents,
    SessionConfig,
    Tool,
    active_response,
    check_truncation,
    client_events,
    decode_client_event,
    decode_server_event,
    parse_item,
    peek,
    resolve_response,
    server_events,
)

from ringback_session.domain.effects import DropSpeech, PassSpeech, PlayAgain, RefuseReply
from ringback_session.domain.floor_inputs import AsideBegan, CallerSound, PlaybackCleared
from ringback_session.domain.inputs import (
    ClientCallOutput,
    ClientCancelled,
    ClientConfigured,
    ClientTruncated,
    ItemNoted,
    ReplyWanted,
    UtteranceHeard,
)
from ringback_session.domain.playback import heard_text
from ringback_session.domain.playback import item as played_item
from ringback_session.domain.state import CallState
from ringback_session.domain.step import SAMPLES_PER_MS
from ringback_session.views.hearing import Hearing
from ringback_session.views.incoming import Incoming
from ringback_session.views.model import ModelView, check_tools
from ringback_session.views.out import Out
from ringback_session.views.overhearing import Overhearing
from ringback_session.views.placing import Placing
from ringback_session.views.problems import Problems
from ringback_session.views.responses import Responses
from ringback_session.views.retaining import Retained
from ringback_session.views.route import Wanted, history_of
from ringback_session.views.sizes import check_size, created_item, retrieved_item

__all__ = ["ClientSnapshot", "ClientView"]

REQUESTS_KEPT = 16
ITEMS_SAVED_MAX = 400


class ClientSnapshot(msgspec.Struct):
    """The client's view as the session's record keeps it."""

    config: SessionConfig
    items: list[Item]
    audio_started: bool = False


class ClientView:
    """One client's conversation, from its first connection to its last."""

    def __init__(self, state: CallState, *, config: SessionConfig, model: ModelView, ids_seed: str) -> None:
        self.state = state
        self.use(config)
        self.model = model
        self.events = ServerEvents(EventIds(ids_seed))
        self.items = ItemList(on_drop=self._dropped)
        self._resumed: set[str] = set()
        self._requests: dict[str, tuple[dict[str, Any], str | None]] = {}
        self._hearing = Hearing(
            events=self.events, items=self.items, config=lambda: self.config, holds=self._holds_sounds
        )
        self._overhearing = Overhearing(state, config=lambda: self.config)
        self._retained = Retained(self.events, wanted=lambda: state.rules.resume_within_ms > 0)
        self._offered: set[str] = set()
        self.responses = Responses(
            events=self.events,
            items=self.items,
            conversation_id=f"conv_{state.session_id.removeprefix('sess_')}",
            is_client_tool=self.is_client_tool,
            client_tools_pass=lambda: state.rules.client_tools == "allow",
            heard=self._retained.keep,
        )
        self._incoming = Incoming(self.events, responses=self.responses, model=model)
        self.response_event = self._incoming.event
        self.placing = Placing(state, items=self.items, shown=self.responses.shown, model=model)
        self._problems = Problems(
            events=self.events, model=model, responses=self.responses, take_request=self._take_request
        )

    def use(self, config: SessionConfig) -> None:
        """From now on this is what the client configured."""
        self.config = config
        self.telephone_in = not isinstance(config.input_format, Pcm)

    def configured(self) -> ClientConfigured:
        """What the core is to know of the configuration."""
        detection = self.config.turn_detection
        return ClientConfigured(interrupt=detection is not None and detection.interrupt_response)

    def left_ms(self, now_ms: int) -> int:
        """How long the session may still last."""
        return max(0, self.config.expires_at * 1000 - now_ms)

    def expired(self, close: Close) -> bytes:
        return self.events.error(ProtocolError("session_expired", close.reason))

    def too_quiet(self, start_ms: int, end_ms: int) -> Out:
        """The caller's silence becomes an item, and is replied to."""
        self._hearing.expect_silence(start_ms, end_ms)
        return Out(model=[self.model.commit()], inputs=[ReplyWanted(request_key="")])

    def saved(self) -> ClientSnapshot:
        """What a resume needs; the oldest items are left out beyond a bound."""
        return ClientSnapshot(
            config=self.config,
            items=list(self.items)[-ITEMS_SAVED_MAX:],
            audio_started=self.responses.shown.audio_started,
        )

    def load(self, snapshot: ClientSnapshot) -> None:
        """Take over the view of the owner before: items that the client creates again are known already."""
        for item in snapshot.items:
            self.items.insert(item) if item.type != "function_call_output" else self._restore(item)
        self._resumed = {item.id for item in snapshot.items}
        self.responses.shown.audio_started = snapshot.audio_started
        self.placing.resumed()

    def is_client_tool(self, name: str) -> bool:
        offered = name in self._offered or any(tool.get("name") == name for tool in self.config.tools)
        return offered and name not in self.state.tools

    def request(self, key: str, *, take: bool = False) -> dict[str, Any]:
        """The parameters of a client's `response.create`; its metadata is echoed once (`take`)."""
        params = self._requests.get(key, ({}, None))[0]
        if take:
            self._requests.pop(key, None)
        return params

    def _take_request(self, key: str) -> tuple[str | None] | None:
        request = self._requests.pop(key, None)
        return None if request is None else (request[1],)

    def refuse(self, refusal: RefuseReply, out: Out) -> None:
        """The documented error for a `response.create` that comes second, or may not be at all."""
        event_id = self._requests.pop(refusal.request_key, ({}, None))[1]
        error = (
            ProtocolError(refusal.code, refusal.message)
            if refusal.code
            else active_response(refusal.response_id)
        )
        self._error(error, event_id, out)

    # From the client.

    def frame(self, frame: bytes, out: Out) -> None:
        """One client event that is not audio."""
        event_id: str | None = None
        try:
            event = decode_client_event(frame)
            event_id = event.event_id
            self._take(event, frame, out)
        except ProtocolError as error:
            self._error(error, event_id, out)

    def _take(self, event: client_events.ClientEvent, frame: bytes, out: Out) -> None:
        match event:
            case client_events.SessionUpdate():
                self._update(event, out)
            case client_events.ItemCreate():
                self._create(event, out)
            case client_events.ItemDelete():
                self.items.delete(event.item_id)
                self._resumed.discard(event.item_id)
                out.client.append(self.events.item_deleted(event.item_id))
                self.placing.deleted(event.item_id, out)
            case client_events.ItemRetrieve():
                item = self.items.retrieve(event.item_id)
                out.client.append(self.events.item_retrieved(retrieved_item(item)))
            case client_events.ItemTruncate():
                self._truncate(event, out)
            case client_events.ResponseCreate():
                self._respond(event, out)
            case client_events.ResponseCancel():
                self._cancel(event, out)
            case client_events.OutputAudioClear():
                out.inputs.append(PlaybackCleared())
            case _:
                # The caller's audio is committed or cleared; append never comes this way.
                if isinstance(event, client_events.InputAudioCommit):
                    self._hearing.commit(out)
                out.model.append(bytes(frame))

    def _update(self, event: client_events.SessionUpdate, out: Out) -> None:
        config = self.config.merge(
            event.session,
            audio_started=self.responses.shown.audio_started,
            response_active=self.responses.routes.active() is not None,
        )
        self._check_tools(config.tools, param="session.tools")
        check_size(config)
        self.use(config)
        out.client.append(self.events.session_updated(config))
        out.model.append(self.model.session_update(config))
        out.inputs.append(self.configured())

    def _check_tools(self, tools: Sequence[Tool], *, param: str) -> None:
        check_tools(tools, of_agent=self.state.tools, param=param)

    def _create(self, event: client_events.ItemCreate, out: Out) -> None:
        ids = self.events.ids
        item = parse_item(event.item, fresh_id=ids.item(), fresh_call_id=ids.call())
        wire = created_item(item)
        if item.id in self._resumed:
            # Sent again by a client that resumed: it is there already.
            self._resumed.discard(item.id)
            previous = self.items.previous_id(item.id)
        else:
            place = self.placing.place(event.previous_item_id)
            previous = self.items.insert(item, previous_item_id=event.previous_item_id)
            self._tell_model(item, place, out)
        out.client.append(self.events.item_added(wire, previous_item_id=previous))
        out.client.append(self.events.item_done(wire, previous_item_id=previous))

    def _tell_model(self, item: Item, previous_item_id: str | None, out: Out) -> None:
        withheld = self.placing.withholds(item)
        if not withheld:
            wire = item.to_wire(with_audio=True)
            wire.pop("object", None)
            wire.pop("status", None)
            out.model.append(self.model.create(wire, previous_item_id))
        match item.type:
            case "message" if item.role == "user":
                # Nobody transcribes audio that comes as an item: where words are to be judged there are none.
                failed = not item.text and self.state.rules.input_gate != "off"
                behind = previous_item_id or ""
                typed = UtteranceHeard(
                    item_id=item.id, text=item.text, typed=True, failed=failed, behind=behind
                )
                out.inputs.append(typed)
            case "function_call_output":
                if not withheld:
                    out.inputs.append(ItemNoted(item=history_of(item)))
                output = {"call_id": item.call_id or "", "output": item.output or "", "item_id": item.id}
                out.inputs.append(ClientCallOutput(**output, withheld=withheld))
            case "function_call" | "message":
                out.inputs.append(ItemNoted(item=history_of(item), behind=previous_item_id or ""))
            case _:
                pass

    def _truncate(self, event: client_events.ItemTruncate, out: Out) -> None:
        played = played_item(self.state, event.item_id)
        whole_ms = played.samples // SAMPLES_PER_MS if played is not None and played.samples else None
        left_ms = played.truncated_ms if played is not None and played.cut_by_client else None
        item = check_truncation(
            self.items.get(event.item_id),
            item_id=event.item_id,
            content_index=event.content_index,
            audio_end_ms=event.audio_end_ms,
            audio_ms=whole_ms if left_ms is None else left_ms,
        )
        out.client.append(
            self.events.item_truncated(
                item.id, content_index=event.content_index, audio_end_ms=event.audio_end_ms
            )
        )
        if played is not None and whole_ms is not None:
            text = played.text or played.cut_text
            words = heard_text(text, part_ms=event.audio_end_ms, whole_ms=whole_ms)
            self.responses.shown.cuts.cut(item, words)
        out.inputs.append(ClientTruncated(item_id=item.id, audio_end_ms=event.audio_end_ms))

    def _respond(self, event: client_events.ResponseCreate, out: Out) -> None:
        params = resolve_response(event.response, self.config)
        self._check_tools(params.tools, param="response.tools")
        if params.tools is not self.config.tools:
            # What one response offers may still be called when the next one begins.
            self._offered = {str(tool.get("name")) for tool in params.tools}
        key = self.events.ids.next("req")
        self._requests[key] = (self.placing.inlined(event.response or {}), event.event_id)
        while len(self._requests) > REQUESTS_KEPT:
            del self._requests[next(iter(self._requests))]
        if not params.out_of_band:
            out.inputs.append(ReplyWanted(request_key=key))
            return
        wanted = Wanted(
            owner="client",
            own_id=key,
            metadata=params.metadata,
            client_event_id=event.event_id,
            telephone=not isinstance(params.output_format, Pcm),
            watch=self.state.watching,
        )
        wanted.frame = self.model.out_of_band(key, self.request(key, take=True))
        self.responses.want(wanted)
        out.model.append(wanted.frame)
        out.inputs.append(AsideBegan(own_id=key))

    def _cancel(self, event: client_events.ResponseCancel, out: Out) -> None:
        if (aside := self.responses.routes.aside(event.response_id)) is not None:
            self._incoming.stop(self.responses.cancel(aside.own_id, "client_cancelled", out), out)
        elif response_id := self.responses.to_cancel(event.response_id):
            out.inputs.append(ClientCancelled(response_id=response_id))

    # From the model.

    def retain(self, head: AudioHead) -> None:
        """A delta goes to the client past `response_event`."""
        self._retained.keep(head)

    def overhear(self, head: AudioHead, samples: int) -> CallerSound | None:
        """What a frame of the caller's tells of a sound over the agent."""
        return self._overhearing.frame(head, samples)

    def on_the_floor(self, effect: PassSpeech | DropSpeech | PlayAgain) -> Out:
        """What comes of what the core has found about a sound over the agent."""
        out = Out()
        match effect:
            case PassSpeech():
                self._hearing.pass_on(effect.item_id, out)
            case DropSpeech():
                if self._hearing.drop(effect.item_id):
                    out.model.append(self.model.delete(effect.item_id))
            case PlayAgain():
                self.say(effect.speech_id, "resumed", self._retained.again(effect, self.config), out)
        return out

    def say(self, own_id: str, kind: str, frames: Sequence[bytes], out: Out) -> None:
        """Words of ours that no model was asked for, in the frames of one; without any they are not said."""
        telephone = not isinstance(self.config.output_format, Pcm)
        self.responses.want(Wanted(owner="speech", own_id=own_id, speech_kind=kind, telephone=telephone))
        for frame in frames:
            self.response_event(peek(frame), frame, out)
        if not frames:
            self.responses.refused(own_id, out)

    def _holds_sounds(self) -> bool:
        """Is a sound over the agent judged before the client, which would stop its playback, hears of it?"""
        detection = self.config.turn_detection
        return (
            self.state.rules.backchannel_window_ms > 0
            and detection is not None
            and detection.interrupt_response
        )

    def model_event(self, head: EventHead, frame: bytes, out: Out) -> None:
        """An event of the model about the caller's audio, the items or an error."""
        event = decode_server_event(frame, head=head)
        if isinstance(event, server_events.ErrorEvent):
            self._problems.told(event.error, out)
        else:
            self._hearing.event(event, out)

    def _error(self, error: ProtocolError, event_id: str | None, out: Out) -> None:
        if event_id is not None and error.event_id is None:
            error.event_id = event_id
        out.client.append(self.events.error(error))

    def _dropped(self, item_id: str) -> None:
        """The list is full: its oldest item left it."""
        self.responses.shown.apart.discard(item_id)
        self._resumed.discard(item_id)

    def _restore(self, item: Item) -> None:
        if self.items.has_call(item.call_id or ""):
            self.items.insert(item)
