"""Makes a sloppy model's responses whole: what it leaves out is put in before anything relies on it.

Compatible servers skip the beginnings and ends of items and parts, ids of events and indices, or send a response in one
piece. What comes out of here is the protocol's order; what is whole already goes through as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson
from ringback_realtime import AudioHead, ServerEvents, peek, splice_ids

__all__ = ["Mending", "OpenItem"]

RESPONSES_KEPT: Final = 64
ITEMS_MAX: Final = 256
AUDIO_DELTA: Final = "response.output_audio.delta"
# What each event about a part is about, and which of them end something.
_KINDS: Final = {
    AUDIO_DELTA: "audio",
    "response.output_audio.done": "audio",
    "response.output_audio_transcript.delta": "audio",
    "response.output_audio_transcript.done": "audio",
    "response.output_text.delta": "text",
    "response.output_text.done": "text",
}
_ARGUMENTS: Final = "response.function_call_arguments."
Whole = Iterator[tuple[AudioHead, bytes]]


class OpenItem(Protocol):
    """An item of which the model has not told the end: `kind` of the part that is open, or ""."""

    kind: str


@dataclass(slots=True)
class _Item:
    """What was told of an item: `kind` of its open part, the events that ended something, and its words."""

    index: int
    type: str
    kind: str = ""
    ended: set[str] = field(default_factory=set)
    words: str = ""
    done: bool = False


@dataclass
class _Response:
    items: dict[str, _Item] = field(default_factory=dict)


class Mending:
    """One connection's responses. Raises ValueError, KeyError or TypeError for what cannot be made sense of."""

    def __init__(self, events: ServerEvents) -> None:
        self._events = events
        self._responses: dict[str, _Response] = {}

    def whole(self, head: AudioHead, frame: bytes) -> Iterable[tuple[AudioHead, bytes]]:
        """The event, after those that had to come before it; one of an unknown response as it is."""
        response = self._responses.get(head.response_id or "")
        if head.type == AUDIO_DELTA:
            item = None if response is None else response.items.get(head.item_id or "")
            if response is None or (item is not None and item.kind == "audio" and _has_ids(head)):
                return ((head, frame),)
        if response is None and head.type not in ("response.created", "response.done"):
            return ((head, frame),)
        return self._mended(head, frame)

    def open_item(self, head: AudioHead) -> OpenItem | None:
        """The item that a delta is of, if it is known."""
        response = self._responses.get(head.response_id or "")
        return None if response is None else response.items.get(head.item_id or "")

    def _mended(self, head: AudioHead, frame: bytes) -> Whole:
        match head.type:
            case "response.created":
                self._begin(orjson.loads(frame)["response"]["id"])
                yield head, frame
            case "response.done":
                yield from self._response_done(orjson.loads(frame)["response"])
                yield head, frame
            case "response.output_item.added":
                yield from self._item_added(head, frame)
            case "response.output_item.done":
                yield from self._item_done(head, frame)
            case _ if head.response_id and head.item_id:
                yield from self._part(head, frame)
            case _:
                yield head, frame

    def _item_added(self, head: AudioHead, frame: bytes) -> Whole:
        raw = orjson.loads(frame)["item"]
        self._note(head.response_id, raw, head.output_index)
        yield head, frame

    def _item_done(self, head: AudioHead, frame: bytes) -> Whole:
        raw = orjson.loads(frame)["item"]
        yield from self._item(head.response_id, raw, head.output_index)
        item = self._of(head.response_id).items.get(raw["id"])
        if item is not None:
            item.done = True
        yield head, frame

    def _part(self, head: AudioHead, frame: bytes) -> Whole:
        response_id, item_id = str(head.response_id), str(head.item_id)
        kind = _KINDS.get(head.type)
        item = self._of(response_id).items.get(item_id)
        if item is None:
            yield from self._missed(head, frame, kind)
            item = self._of(response_id).items.get(item_id)
        if item is None:
            # A piece of something that was never announced and cannot be: its whole may yet come.
            return
        if kind is not None and item.kind != kind:
            yield from self._opened(response_id, item_id, item, kind)
        if head.type == "response.content_part.added":
            item.kind = orjson.loads(frame)["part"]["type"]
        elif head.type == "response.content_part.done":
            yield from self._said(response_id, item_id, item)
            item.kind = ""
        elif head.type in _KINDS and head.type != AUDIO_DELTA:
            self._note_words(item, head.type, frame)
        elif head.type == f"{_ARGUMENTS}done":
            item.ended.add(head.type)
        yield self._with_ids(head, frame, item)

    def _missed(self, head: AudioHead, frame: bytes, kind: str | None) -> Whole:
        """An item begins with a piece of it."""
        if kind is None and head.type != f"{_ARGUMENTS}done" and not head.type.endswith("content_part.added"):
            return
        raw: dict[str, Any] = {"id": head.item_id, "type": "message", "role": "assistant", "content": []}
        if head.type.startswith(_ARGUMENTS):
            given = orjson.loads(frame)
            raw = {"id": head.item_id, "type": "function_call", "arguments": ""}
            raw |= {"call_id": given["call_id"], "name": given["name"]}
        yield from self._announced(head.response_id, raw, head.output_index)

    def _response_done(self, raw: Mapping[str, Any]) -> Whole:
        """A response that is complete has no open items, and has told of all that it has."""
        if raw["id"] not in self._responses or raw.get("status", "completed") != "completed":
            return
        response = self._of(raw["id"])
        told = [item for item in raw.get("output") or () if isinstance(item, dict) and "id" in item]
        for item in told:
            known = response.items.get(item["id"])
            if known is None or not known.done:
                yield from self._ended(raw["id"], item)
        for item_id, left in list(response.items.items()):
            if not left.done and left.type == "message":
                part = {"type": f"output_{left.kind or 'text'}", _field(left.kind): left.words}
                message = {"id": item_id, "type": "message", "role": "assistant", "content": [part]}
                yield from self._ended(raw["id"], message)

    def _ended(self, response_id: str, raw: Mapping[str, Any]) -> Whole:
        yield from self._item(response_id, raw, None)
        item = self._of(response_id).items[raw["id"]]
        item.done = True
        done = dict(raw) | {"status": "completed"}
        yield _made(self._events.output_item_done(response_id, output_index=item.index, item=done))

    def _item(self, response_id: str | None, raw: Mapping[str, Any], index: int | None) -> Whole:
        """Everything of an item but its own end."""
        yield from self._announced(response_id, raw, index)
        response_id, item_id = str(response_id), raw["id"]
        item = self._of(response_id).items[item_id]
        where: dict[str, Any] = {"item_id": item_id, "output_index": item.index}
        if item.type == "function_call":
            if f"{_ARGUMENTS}done" not in item.ended:
                said = {name: raw[name] for name in ("call_id", "name", "arguments")}
                yield _made(self._events.arguments_done(response_id, **where, **said))
            return
        if not item.kind and not item.ended:
            for part in raw.get("content") or ():
                yield from self._in_one_piece(response_id, item_id, item, part)
        yield from self._said(response_id, item_id, item)
        if item.kind:
            part = {"type": item.kind, _field(item.kind): item.words}
            yield _made(self._events.part_done(response_id, part=part, **where))
            item.kind = ""

    def _in_one_piece(self, response_id: str, item_id: str, item: _Item, part: Mapping[str, Any]) -> Whole:
        """Words that came without their deltas."""
        words = part.get("text") or part.get("transcript")
        if not isinstance(words, str) or not words:
            return
        kind = "audio" if "transcript" in part else "text"
        yield from self._opened(response_id, item_id, item, kind)
        item.words = words
        delta = self._events.transcript_delta if kind == "audio" else self._events.text_delta
        yield _made(delta(response_id, item_id=item_id, output_index=item.index, delta=words))

    def _said(self, response_id: str, item_id: str, item: _Item) -> Whole:
        """The ends of the words and of the audio of an open part."""
        where: dict[str, Any] = {"item_id": item_id, "output_index": item.index}
        if item.kind == "audio":
            if "response.output_audio.done" not in item.ended:
                yield _made(self._events.audio_done(response_id, **where))
            if "response.output_audio_transcript.done" not in item.ended:
                yield _made(self._events.transcript_done(response_id, transcript=item.words, **where))
        elif item.kind == "text" and "response.output_text.done" not in item.ended:
            yield _made(self._events.text_done(response_id, text=item.words, **where))
        item.ended |= {name for name in _KINDS if name.endswith(".done")}

    def _opened(self, response_id: str, item_id: str, item: _Item, kind: str) -> Whole:
        if item.done or item.ended:
            return
        item.kind = kind
        part = {"type": kind, _field(kind): ""}
        yield _made(self._events.part_added(response_id, item_id=item_id, output_index=item.index, part=part))

    def _announced(self, response_id: str | None, raw: Mapping[str, Any], index: int | None) -> Whole:
        response = self._of(response_id)
        if raw["id"] in response.items:
            return
        item = self._note(response_id, raw, index)
        begun = dict(raw) | {"status": "in_progress"}
        if item.type == "message":
            begun["content"] = []
        yield _made(self._events.output_item_added(str(response_id), output_index=item.index, item=begun))

    def _begin(self, response_id: str) -> None:
        self._responses.setdefault(response_id, _Response())
        while len(self._responses) > RESPONSES_KEPT:
            del self._responses[next(iter(self._responses))]

    def _of(self, response_id: str | None) -> _Response:
        return self._responses[response_id or ""]

    def _note(self, response_id: str | None, raw: Mapping[str, Any], index: int | None) -> _Item:
        items = self._of(response_id).items
        if len(items) >= ITEMS_MAX:
            raise ValueError("a response with too many items")
        fallback = len(items) if index is None else index
        item: _Item = items.setdefault(str(raw["id"]), _Item(index=fallback, type=str(raw["type"])))
        return item

    @staticmethod
    def _note_words(item: _Item, type: str, frame: bytes) -> None:
        if type.endswith(".delta"):
            item.words += orjson.loads(frame)["delta"]
        else:
            item.ended.add(type)

    def _with_ids(self, head: AudioHead, frame: bytes, item: _Item) -> tuple[AudioHead, bytes]:
        if _has_ids(head) or (head.call_id is not None and head.event_id and head.output_index is not None):
            return head, frame
        return _made(
            splice_ids(
                frame,
                event_id=head.event_id or self._events.ids.event(),
                output_index=item.index if head.output_index is None else head.output_index,
                content_index=None if head.type.startswith(_ARGUMENTS) else head.content_index or 0,
            )
        )


def _has_ids(head: AudioHead) -> bool:
    return bool(head.event_id) and head.output_index is not None and head.content_index is not None


def _field(kind: str) -> str:
    return "transcript" if kind == "audio" else "text"


def _made(frame: bytes) -> tuple[AudioHead, bytes]:
    return peek(frame), frame
