"""The events that a server sends, as typed structs: what a reader of an upstream model works with.

Extra keys are tolerated and event types this library does not know decode to ``UnknownEvent``:
providers add both. Objects that only travel through (items, sessions, responses) stay plain dicts.
"""

from typing import Any, Final

import msgspec

from ringback_realtime.errors import MalformedFrameError
from ringback_realtime.frames import EventHead, classify
from ringback_realtime.validation import protocol_error

Json = dict[str, Any]


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The root of all server events."""

    event_id: str = ""


class UnknownEvent(ServerEvent, frozen=True, tag="unknown"):
    """An event of a type that is not in the protocol reference; pass it by."""

    head: EventHead


class ErrorEvent(ServerEvent, frozen=True, tag="error"):
    error: Json


class SessionCreated(ServerEvent, frozen=True, tag="session.created"):
    session: Json


class SessionUpdated(ServerEvent, frozen=True, tag="session.updated"):
    session: Json


class ConversationCreated(ServerEvent, frozen=True, tag="conversation.created"):
    conversation: Json


class ItemAdded(ServerEvent, frozen=True, tag="conversation.item.added"):
    item: Json
    previous_item_id: str | None = None


class ItemDone(ServerEvent, frozen=True, tag="conversation.item.done"):
    item: Json
    previous_item_id: str | None = None


class ItemCreated(ServerEvent, frozen=True, tag="conversation.item.created"):
    item: Json
    previous_item_id: str | None = None


class ItemRetrieved(ServerEvent, frozen=True, tag="conversation.item.retrieved"):
    item: Json


class ItemDeleted(ServerEvent, frozen=True, tag="conversation.item.deleted"):
    item_id: str


class ItemTruncated(ServerEvent, frozen=True, tag="conversation.item.truncated"):
    item_id: str
    content_index: int
    audio_end_ms: int


class TranscriptionDelta(ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int = 0
    delta: str | None = None
    logprobs: list[Json] | None = None


class TranscriptionCompleted(
    ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.completed"
):
    item_id: str
    transcript: str
    content_index: int = 0
    usage: Json | None = None
    logprobs: list[Json] | None = None


class TranscriptionFailed(ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    content_index: int = 0
    error: Json | None = None


class InputAudioCommitted(ServerEvent, frozen=True, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None = None


class InputAudioCleared(ServerEvent, frozen=True, tag="input_audio_buffer.cleared"):
    pass


class SpeechStarted(ServerEvent, frozen=True, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int


class SpeechStopped(ServerEvent, frozen=True, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class TimeoutTriggered(ServerEvent, frozen=True, tag="input_audio_buffer.timeout_triggered"):
    item_id: str
    audio_start_ms: int
    audio_end_ms: int


class OutputAudioStarted(ServerEvent, frozen=True, tag="output_audio_buffer.started"):
    response_id: str


class OutputAudioStopped(ServerEvent, frozen=True, tag="output_audio_buffer.stopped"):
    response_id: str


class OutputAudioCleared(ServerEvent, frozen=True, tag="output_audio_buffer.cleared"):
    response_id: str


class ResponseCreated(ServerEvent, frozen=True, tag="response.created"):
    response: Json


class ResponseDone(ServerEvent, frozen=True, tag="response.done"):
    response: Json


class _OfItem(ServerEvent, frozen=True):
    response_id: str
    output_index: int
    item_id: str


class _OfPart(_OfItem, frozen=True):
    content_index: int


class OutputItemAdded(ServerEvent, frozen=True, tag="response.output_item.added"):
    response_id: str
    output_index: int
    item: Json


class OutputItemDone(ServerEvent, frozen=True, tag="response.output_item.done"):
    response_id: str
    output_index: int
    item: Json


class ContentPartAdded(_OfPart, frozen=True, tag="response.content_part.added"):
    part: Json


class ContentPartDone(_OfPart, frozen=True, tag="response.content_part.done"):
    part: Json


class OutputTextDelta(_OfPart, frozen=True, tag="response.output_text.delta"):
    delta: str


class OutputTextDone(_OfPart, frozen=True, tag="response.output_text.done"):
    text: str


class OutputAudioDelta(_OfPart, frozen=True, tag="response.output_audio.delta"):
    delta: str


class OutputAudioDone(_OfPart, frozen=True, tag="response.output_audio.done"):
    pass


class AudioTranscriptDelta(_OfPart, frozen=True, tag="response.output_audio_transcript.delta"):
    delta: str


class AudioTranscriptDone(_OfPart, frozen=True, tag="response.output_audio_transcript.done"):
    transcript: str


class ArgumentsDelta(_OfItem, frozen=True, tag="response.function_call_arguments.delta"):
    call_id: str
    delta: str


class ArgumentsDone(_OfItem, frozen=True, tag="response.function_call_arguments.done"):
    call_id: str
    arguments: str
    name: str | None = None


class RateLimitsUpdated(ServerEvent, frozen=True, tag="rate_limits.updated"):
    rate_limits: list[Json]


_KINDS: Final[tuple[type[ServerEvent], ...]] = (
    ErrorEvent, SessionCreated, SessionUpdated, ConversationCreated, ItemAdded, ItemDone,
    ItemCreated, ItemRetrieved, ItemDeleted, ItemTruncated, TranscriptionDelta,
    TranscriptionCompleted, TranscriptionFailed, InputAudioCommitted, InputAudioCleared,
    SpeechStarted, SpeechStopped, TimeoutTriggered, OutputAudioStarted, OutputAudioStopped,
    OutputAudioCleared, ResponseCreated, ResponseDone, OutputItemAdded, OutputItemDone,
    ContentPartAdded, ContentPartDone, OutputTextDelta, OutputTextDone, OutputAudioDelta,
    OutputAudioDone, AudioTranscriptDelta, AudioTranscriptDone, ArgumentsDelta, ArgumentsDone,
    RateLimitsUpdated,
)  # fmt: skip

_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    str(kind.__struct_config__.tag): msgspec.json.Decoder(kind) for kind in _KINDS
}
SERVER_EVENT_TYPES: Final = tuple(_decoders)

__all__ = ["SERVER_EVENT_TYPES", "ServerEvent", "UnknownEvent", "decode_server_event"]
__all__ += [kind.__name__ for kind in _KINDS]


def decode_server_event(frame: bytes | memoryview, *, head: EventHead | None = None) -> ServerEvent:
    """Decode one server frame; pass the head if it has been classified already.

    Raises MalformedFrameError if it is no event, ProtocolError if a documented field is missing or of another
    type.
    """
    head = head or classify(frame)
    decoder = _decoders.get(head.type)
    if decoder is None:
        return UnknownEvent(event_id=head.event_id or "", head=head)
    try:
        event: ServerEvent = decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError("the frame is nested too deeply") from None
    except ValueError as error:
        raise protocol_error(error).for_event(head.event_id) from None
    return event
