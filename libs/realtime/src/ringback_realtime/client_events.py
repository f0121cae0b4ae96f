"""The eleven events that a client sends, as typed structs."""

import re
from typing import Any, Final

import msgspec

from ringback_realtime.errors import MalformedFrameError, ProtocolError, invalid_value
from ringback_realtime.frames import classify
from ringback_realtime.validation import check_numbers, protocol_error

__all__ = [
    "CLIENT_EVENT_TYPES",
    "ClientEvent",
    "InputAudioAppend",
    "InputAudioClear",
    "InputAudioCommit",
    "ItemCreate",
    "ItemDelete",
    "ItemRetrieve",
    "ItemTruncate",
    "OutputAudioClear",
    "ResponseCancel",
    "ResponseCreate",
    "SessionUpdate",
    "decode_client_event",
]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    event_id: str | None = None


class SessionUpdate(_Event, frozen=True, tag="session.update"):
    session: dict[str, Any]


class InputAudioAppend(_Event, frozen=True, tag="input_audio_buffer.append"):
    audio: str


class InputAudioCommit(_Event, frozen=True, tag="input_audio_buffer.commit"):
    pass


class InputAudioClear(_Event, frozen=True, tag="input_audio_buffer.clear"):
    pass


class OutputAudioClear(_Event, frozen=True, tag="output_audio_buffer.clear"):
    pass


class ItemCreate(_Event, frozen=True, tag="conversation.item.create"):
    item: dict[str, Any]
    previous_item_id: str | None = None


class ItemDelete(_Event, frozen=True, tag="conversation.item.delete"):
    item_id: str


class ItemRetrieve(_Event, frozen=True, tag="conversation.item.retrieve"):
    item_id: str


class ItemTruncate(_Event, frozen=True, tag="conversation.item.truncate"):
    item_id: str
    content_index: int
    audio_end_ms: int


class ResponseCreate(_Event, frozen=True, tag="response.create"):
    response: dict[str, Any] | None = None


class ResponseCancel(_Event, frozen=True, tag="response.cancel"):
    response_id: str | None = None


ClientEvent = (
    SessionUpdate
    | InputAudioAppend
    | InputAudioCommit
    | InputAudioClear
    | OutputAudioClear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)

_KINDS: Final[tuple[type[ClientEvent], ...]] = (
    SessionUpdate,
    InputAudioAppend,
    InputAudioCommit,
    InputAudioClear,
    OutputAudioClear,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    ResponseCreate,
    ResponseCancel,
)
CLIENT_EVENT_TYPES: Final = tuple(str(kind.__struct_config__.tag) for kind in _KINDS)
_OPEN_PARTS: Final[dict[type[ClientEvent], str]] = {
    SessionUpdate: "session",
    ItemCreate: "item",
    ResponseCreate: "response",
}
# Few frames have one: only they are looked through.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")
_decoder: Final[msgspec.json.Decoder[ClientEvent]] = msgspec.json.Decoder(ClientEvent)


def decode_client_event(frame: bytes | memoryview) -> ClientEvent:
    """Decode one client frame; unknown extra keys are tolerated.

    Raises ProtocolError (``invalid_event``, ``invalid_value``, ``missing_required_parameter``) that already
    carries the frame's own ``event_id`` where it has one. Every value of the event can be written as JSON again.
    """
    try:
        event = _decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError("the frame is nested too deeply") from None
    except ValueError as error:
        raise _explain(frame, error) from None
    if _LONG_NUMBER.search(frame):
        try:
            check_numbers(_open_part(event), param=_OPEN_PARTS.get(type(event), ""))
        except ProtocolError as error:
            raise error.for_event(event.event_id) from None
    return event


def _open_part(event: ClientEvent) -> object:
    """What a client event holds whose shape is not the protocol's alone to say."""
    name = _OPEN_PARTS.get(type(event))
    return None if name is None else getattr(event, name)


class _Label(msgspec.Struct):
    type: str
    event_id: Any = None


def _explain(frame: bytes | memoryview, error: ValueError) -> ProtocolError:
    try:
        label = msgspec.json.decode(frame, type=_Label)
    except (ValueError, RecursionError):
        try:
            classify(frame)
        except MalformedFrameError as malformed:
            return malformed
        return MalformedFrameError(str(error))
    event_id = label.event_id if isinstance(label.event_id, str) else None
    if label.type not in CLIENT_EVENT_TYPES:
        known = ", ".join(f"'{name}'" for name in CLIENT_EVENT_TYPES)
        return invalid_value("type", f"'{label.type[:64]}' is none of {known}").for_event(event_id)
    return protocol_error(error).for_event(event_id)
