"""How much a client gets in one frame: what a sloppy model sends in one piece is cut into several.

Real clients take frames below 1 MiB (the limit of many WebSocket libraries) and play audio as it comes, so no delta
has much more than 200 ms of it. Audio and words are cut; what cannot be, an item that is larger than a frame may be,
ends its response with an error that names the model.

ValueError
└── TooLargeError    of a response: the rest of it can not be shown
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
from ringback_realtime import AudioHead, ServerEvents, peek

from ringback_session.views.upstream import read_item_event

__all__ = ["AUDIO_BYTES_MAX", "RESPONSE_BYTES_MAX", "TELEPHONE_BYTES_MAX", "Portions", "TooLargeError"]

# Of the items of a response, as JSON: with all that stands around them they fit into one frame of 1 MiB.
RESPONSE_BYTES_MAX: Final = 768 * 1024
# Frames with 200 ms of audio and what stands around it; PCM16 at 24 kHz, G.711 at 8 kHz.
AUDIO_BYTES_MAX: Final = 14 * 1024
TELEPHONE_BYTES_MAX: Final = 2_600
# 200 ms as base64, whole groups of three bytes that end with a sample: 9,600 bytes, and 1,599.
_AUDIO_CHARS: Final = 12_800
_TELEPHONE_CHARS: Final = 2_132
# At most six bytes of JSON each.
_WORDS_CHARS: Final = 64 * 1024
RESPONSES_KEPT: Final = 64

_AUDIO_DELTA: Final = "response.output_audio.delta"
_WORDS: Final = ("response.output_audio_transcript.delta", "response.output_text.delta")
_ARGUMENTS: Final = "response.function_call_arguments.delta"
_ITEM_DONE: Final = "response.output_item.done"
_NO_LIMIT: Final = ("response.created", "response.done")
_PAYLOADS: Final = ("audio", "delta")
Piece = tuple[AudioHead, bytes]


class TooLargeError(ValueError):
    """Raised once for a response; `error` as the client is told of it."""

    def __init__(self, response_id: str) -> None:
        message = f"The realtime model sent more than {RESPONSE_BYTES_MAX >> 10} KiB in one response."
        super().__init__(message)
        self.response_id = response_id
        self.error = {"type": "server_error", "code": "model_response_too_large", "message": message}


@dataclass(slots=True)
class _Told:
    """What was told of a response, in bytes of JSON, by its items."""

    items: dict[str, int] = field(default_factory=dict)
    too_large: bool = False

    def add(self, item_id: str, size: int) -> bool:
        """Is it still within the limit?"""
        self.items[item_id] = size
        return sum(self.items.values()) <= RESPONSE_BYTES_MAX


class Portions:
    """One connection's responses. `telephone`: is the audio of a response G.711?"""

    def __init__(self, events: ServerEvents, *, telephone: Callable[[str | None], bool]) -> None:
        self._events = events
        self._telephone = telephone
        self._told: dict[str, _Told] = {}

    def given_up(self, response_id: str | None) -> bool:
        """Was TooLargeError raised for it?"""
        told = self._told.get(response_id or "")
        return told is not None and told.too_large

    def of(self, head: AudioHead, frame: bytes) -> Iterable[Piece]:
        """The event, in as many pieces as it needs. Raises TooLargeError."""
        if head.type == _AUDIO_DELTA:
            return self._audio(head, frame)
        if head.type in _NO_LIMIT or not head.response_id:
            # These are made anew from what was read of them.
            return ((head, frame),)
        if head.type in _WORDS or head.type == _ARGUMENTS:
            return self._words(head, head.response_id, frame)
        return self._whole(head, head.response_id, frame)

    def _audio(self, head: AudioHead, frame: bytes) -> Iterable[Piece]:
        telephone = self._telephone(head.response_id)
        chars_max = _TELEPHONE_CHARS if telephone else _AUDIO_CHARS
        if len(frame) <= (TELEPHONE_BYTES_MAX if telephone else AUDIO_BYTES_MAX):
            return ((head, frame),)
        return self._pieces(head, "".join(head.delta.split()), chars_max)

    def _words(self, head: AudioHead, response_id: str, frame: bytes) -> Iterator[Piece]:
        if len(head.delta) <= _WORDS_CHARS and len(frame) <= RESPONSE_BYTES_MAX:
            pieces: Iterable[Piece] = ((head, frame),)
        else:
            pieces = self._pieces(head, head.delta, _WORDS_CHARS)
        told, item_id = self._of(response_id), head.item_id or ""
        for piece_head, piece in pieces:
            size = told.items.get(item_id, 0) + len(orjson.dumps(piece_head.delta))
            if not told.add(item_id, size):
                raise self._too_large(told, response_id)
            yield piece_head, piece

    def _whole(self, head: AudioHead, response_id: str, frame: bytes) -> Iterator[Piece]:
        told = self._of(response_id)
        fits = len(frame) <= RESPONSE_BYTES_MAX
        if fits and head.type == _ITEM_DONE:
            fits = told.add(read_item_event(frame).item.id, len(frame))
        if not fits:
            raise self._too_large(told, response_id)
        yield head, frame

    def _pieces(self, head: AudioHead, payload: str, chars_max: int) -> Iterator[Piece]:
        """The payload in order; what a stranger put beside it is left out."""
        ids = {name: getattr(head, name) for name in AudioHead.__struct_fields__ if name not in _PAYLOADS}
        known = {name: value for name, value in ids.items() if value is not None}
        for at in range(0, len(payload), chars_max):
            piece = known | {"delta": payload[at : at + chars_max]}
            if at or not head.event_id:
                piece["event_id"] = self._events.ids.event()
            made = orjson.dumps(piece)
            yield peek(made), made

    @staticmethod
    def _too_large(told: _Told, response_id: str) -> TooLargeError:
        told.too_large = True
        return TooLargeError(response_id)

    def _of(self, response_id: str) -> _Told:
        told = self._told.setdefault(response_id, _Told())
        while len(self._told) > RESPONSES_KEPT:
            del self._told[next(iter(self._told))]
        return told
