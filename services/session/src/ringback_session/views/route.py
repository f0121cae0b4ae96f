"""One response of the model and what the client sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
import orjson
from ringback_realtime import AudioHead, ContentPart, EventHead, Item, ServerEvents, usage_object

from ringback_session.domain.floor_inputs import AsideEnded, WordsBrokenOff
from ringback_session.domain.inputs import CallAnnounced, CallRequested, ReplyEnded, SpeechEnded
from ringback_session.domain.state import HistoryItem
from ringback_session.views.holding import Holding
from ringback_session.views.out import Out
from ringback_session.views.upstream import RawItem, RawResponse

__all__ = [
    "CONNECTION_LOST",
    "HELD_BYTES_MAX",
    "Owner",
    "Route",
    "Wanted",
    "call_requested",
    "clock_samples",
    "cut_item",
    "history_of",
    "item_of",
    "response_of",
    "tell_broken_off",
    "tell_end",
]

# A minute of PCM16 as base64 JSON; more than that is no read-back.
HELD_BYTES_MAX = 4 * 1024 * 1024

CONNECTION_LOST: Final = {
    "type": "server_error",
    "code": "model_connection_lost",
    "message": "The connection to the model was lost; the conversation goes on.",
}
Owner = Literal["reply", "speech", "client"]


@dataclass(slots=True)
class Route:
    """One response of the model, and what the client sees of it."""

    owner: Owner
    own_id: str
    response_id: str
    metadata: Mapping[str, str] | None = None
    visible: bool = False
    held: bool = False
    closed: bool = False
    ended: bool = False
    cancel_reason: str = ""
    out_of_band: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    # Items of which words were sent as text, not as what is said.
    written: set[str] = field(default_factory=set)
    open_items: list[str] = field(default_factory=list)
    open_parts: dict[str, str] = field(default_factory=dict)
    waiting: list[tuple[EventHead, bytes]] = field(default_factory=list)
    waiting_bytes: int = 0
    speech_kind: str = "reply"
    request_key: str = ""
    telephone: bool = False
    holding: Holding | None = None
    # The client asked for it and must see it, even empty; not if a call of ours has the reply follow.
    owed: bool = False

    def samples(self, head: AudioHead) -> int:
        return clock_samples(head, telephone=self.telephone)

    @property
    def active(self) -> bool:
        """Does the client see it as the active response of the default conversation?"""
        return self.visible and not self.closed and not self.out_of_band

    @property
    def beside(self) -> bool:
        """Does the client see it under way beside the conversation?"""
        return self.visible and not self.closed and self.out_of_band

    def put_behind(self) -> bool:
        """Show nothing of it for now. False: it is seen already, or over."""
        if self.visible or self.closed or self.ended:
            return False
        self.holding = self.holding or Holding(self.own_id, "")
        self.holding.shut = True
        return True

    def hold(self, head: EventHead, frame: bytes) -> None:
        """Keep a frame of the model until it may be heard. Beyond the bound the rest is never heard."""
        self.waiting_bytes += len(frame)
        if self.waiting_bytes <= HELD_BYTES_MAX:
            self.waiting.append((head, frame))

    def announce(self, head: EventHead, item: RawItem, out: Out) -> None:
        """The core is told of a call as soon as its name is known, also where its reply must wait."""
        begins = head.type == "response.output_item.added" and item.type == "function_call"
        if begins and self.owner == "reply" and not self.cancel_reason:
            out.inputs.append(CallAnnounced(tool=item.name or ""))

    def note_part(self, head: EventHead, frame: bytes) -> None:
        item_id = head.item_id or ""
        if head.type == "response.content_part.added":
            self.open_parts[item_id] = orjson.loads(frame)["part"]["type"]
        elif head.type == "response.content_part.done":
            self.open_parts.pop(item_id, None)

    def words(self, head: EventHead, delta: str) -> str:
        """More words of an item; returns all that there are."""
        item_id = head.item_id or ""
        self.texts[item_id] = text = self.texts.get(item_id, "") + delta
        if head.type == "response.output_text.delta":
            self.written.add(item_id)
        return text

    def is_known(self, item_id: str) -> None:
        """The client, or the core, has been told of the item."""
        if self.holding is not None:
            self.holding.unshown.pop(item_id, None)

    def index_of(self, item_id: str) -> int:
        """The item's place among what the client sees."""
        return list(self.items).index(item_id)


@dataclass
class Wanted:
    """A response that was asked for and that the model has not announced yet."""

    owner: Owner
    own_id: str
    metadata: Mapping[str, str] | None = None
    hold: bool = False
    request_key: str = ""
    speech_kind: str = "reply"
    cancel_reason: str = ""
    client_event_id: str | None = None
    telephone: bool = False
    shut: bool = False
    watch: str = ""
    owed: bool = False
    # The request itself, for a connection that is lost before it is answered; empty: it is not made again.
    frame: bytes = b""

    def put_behind(self) -> bool:
        """Show nothing of it for now, once it begins. False: it is over."""
        self.shut = True
        return not self.cancel_reason

    def lost(self, response_id: str) -> Route:
        """The model's connection broke before it was announced."""
        return self.begun(RawResponse(id=response_id))

    def begun(self, raw: RawResponse) -> Route:
        """The model announced it."""
        out_of_band = self.owner == "client"
        holding = None
        if self.shut or self.watch:
            holding = Holding(self.own_id, self.watch, shut=self.shut, out_of_band=out_of_band)
        return Route(
            holding=holding,
            telephone=self.telephone,
            owner=self.owner,
            own_id=self.own_id,
            response_id=raw.id,
            metadata=self.metadata,
            held=self.hold,
            settings=raw.settings,
            out_of_band=out_of_band,
            speech_kind=self.speech_kind,
            request_key=self.request_key,
            owed=self.owed and not self.shut,
        )


def call_requested(route: Route, raw: RawItem, *, client_tool: bool) -> CallRequested:
    """A call of the model as the core gets it."""
    return CallRequested(
        reply_id=route.own_id,
        call_id=raw.call_id or "",
        tool=raw.name or "",
        arguments_json=raw.arguments or "",
        item_id=raw.id,
        client_tool=client_tool,
        interrupted=bool(route.cancel_reason),
    )


def clock_samples(head: AudioHead, *, telephone: bool) -> int:
    """How far a frame's audio moves the clock, in samples at 24 kHz; G.711 has one byte for three of them."""
    return 3 * head.samples(1) if telephone else head.samples()


def item_of(raw: RawItem, status: str | None) -> Item:
    parts = []
    for part in raw.content or ():
        kind = {"audio": "output_audio", "text": "output_text"}.get(part.type, part.type)
        parts.append(ContentPart(kind, text=part.text, transcript=part.transcript))
    return Item(
        id=raw.id,
        type=raw.type,
        status=status if status in ("in_progress", "incomplete") else "completed",  # type: ignore[arg-type]
        role=raw.role,
        content=tuple(parts),
        call_id=raw.call_id,
        name=raw.name,
        arguments=(raw.arguments or "") if raw.type == "function_call" else None,
    )


def cut_item(route: Route, item_id: str, events: ServerEvents) -> tuple[list[bytes], Item]:
    """Close the open part of an item that ends early: its closing frames, and the item as it is then."""
    item = route.items[item_id]
    text = route.texts.get(item_id, "")
    frames: list[bytes] = []
    where: dict[str, Any] = {"item_id": item_id, "output_index": route.index_of(item_id)}
    kind = route.open_parts.pop(item_id, None)
    if kind == "audio":
        frames.append(events.audio_done(route.response_id, **where))
        frames.append(events.transcript_done(route.response_id, transcript=text, **where))
    elif kind == "text":
        frames.append(events.text_done(route.response_id, text=text, **where))
    if kind is not None:
        part = {"type": kind, "transcript" if kind == "audio" else "text": text}
        frames.append(events.part_done(route.response_id, part=part, **where))
    content = _cut_content(kind, text) or item.content
    return frames, msgspec.structs.replace(item, status="incomplete", content=content)


def history_of(item: Item, *, data: str | None = None) -> HistoryItem:
    """The item as the core keeps it."""
    return HistoryItem(
        item_id=item.id,
        kind=item.type,
        role=item.role or "",
        text=item.text,
        call_id=item.call_id or "",
        name=item.name or "",
        data=(item.arguments or item.output or "") if data is None else data,
    )


def response_of(
    route: Route,
    status: str,
    *,
    conversation_id: str | None,
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    usage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The response as `response.created` and `response.done` carry it."""
    details: dict[str, Any] | None = None
    if status in ("cancelled", "incomplete", "failed"):
        details = {"type": status}
        if reason:
            details["reason"] = reason
        if error:
            details["error"] = dict(error)
    return {
        "object": "realtime.response",
        "id": route.response_id,
        "status": status,
        "status_details": details,
        "output": [] if status == "in_progress" else [item.to_wire() for item in route.items.values()],
        "conversation_id": None if route.out_of_band else conversation_id,
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {},
        **route.settings,
        "usage": None if status == "in_progress" else (usage or usage_object()),
        "metadata": None if route.metadata is None else dict(route.metadata),
    }


def _cut_content(kind: str | None, text: str) -> tuple[ContentPart, ...]:
    if kind == "audio":
        return (ContentPart("output_audio", transcript=text),)
    if kind == "text":
        return (ContentPart("output_text", text=text),)
    return ()


def tell_end(owner: Owner, own_id: str, status: str, out: Out) -> None:
    if owner == "reply":
        out.inputs.append(ReplyEnded(reply_id=own_id, status=status))
    elif owner == "speech":
        out.inputs.append(SpeechEnded(speech_id=own_id, status=status))
    else:
        out.inputs.append(AsideEnded(own_id=own_id))


def tell_broken_off(route: Route, out: Out, *, in_model: bool) -> None:
    """The response ends before the client: what it has of written words that are not whole."""
    if route.owner == "client" or not route.visible or route.closed:
        return
    for item_id in route.open_items:
        text = route.texts.get(item_id, "")
        if text and item_id in route.written:
            out.inputs.append(
                WordsBrokenOff(
                    own_id=route.own_id,
                    item_id=item_id,
                    text=text,
                    kind=route.speech_kind,
                    response_id=route.response_id,
                    in_model=in_model and route.owner == "reply",
                )
            )
