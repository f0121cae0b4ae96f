"""What the model says, read with a stranger's caution: typed where we rely on it, left out where it is not sound.

Reading raises ValueError or ProtocolError for an event that cannot be used at all; an end of a response can
always be used, however odd its details are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from ringback_realtime import EventHead, decode_server_event, usage_object

__all__ = [
    "TOLD_CHARS_MAX",
    "ItemEvent",
    "Milliseconds",
    "RawItem",
    "RawResponse",
    "check_part",
    "read_item",
    "read_item_event",
    "read_response",
    "sound_logprobs",
]

# Far beyond any call, and within every integer of the contracts.
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
# Of what it says about a problem.
TOLD_CHARS_MAX: Final = 4_000
_PARTS = frozenset(
    {
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
    }
)


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    transcript: str | None = None


class _PartEvent(msgspec.Struct, frozen=True):
    part: _SpokenPart


class _SpokenPart(msgspec.Struct, frozen=True):
    type: Literal["audio", "text"]
    text: str | None = None
    transcript: str | None = None


class _ArgumentsDone(msgspec.Struct, frozen=True):
    name: str


class _ItemType(msgspec.Struct, frozen=True):
    id: Identifier
    type: Literal["message", "function_call", "function_call_output"]


class RawItem(_ItemType, frozen=True):
    """An item of the model's conversation, as far as we read it."""

    status: str | None = None
    role: Literal["assistant", "user", "system"] | None = None
    content: list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None

    def __post_init__(self) -> None:
        if self.type == "message" and self.role is None:
            raise ValueError("a message without a role")
        if self.type == "function_call" and not (self.call_id and self.name):
            raise ValueError("a function call without call_id or name")


class ItemEvent(msgspec.Struct, frozen=True):
    """`response.output_item.added` and `.done`."""

    item: RawItem


class RawResponse(msgspec.Struct, frozen=True):
    """A response with only what is sound of it; `settings` is what it repeats of its parameters."""

    id: str
    own_id: str = ""
    # Is it one of the conversation? None: the model does not say.
    in_conversation: bool | None = None
    status: str = "completed"
    reason: str | None = None
    error: dict[str, str] | None = None
    usage: dict[str, Any] | None = None
    settings: dict[str, Any] = {}


class _Cached(msgspec.Struct, frozen=True, omit_defaults=True):
    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Input(_Cached, frozen=True, omit_defaults=True):
    cached_tokens: int | None = None
    cached_tokens_details: _Cached | None = None


class _Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Compatible servers leave out what clients insist on: what they tell is kept."""

    total_tokens: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: _Input | None = None
    output_token_details: _Cached | None = None


class _Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    output_modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    max_output_tokens: int | Literal["inf"] = "inf"


class _Format(msgspec.Struct, frozen=True, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24_000] | None = None


class _Output(msgspec.Struct, frozen=True):
    format: _Format
    voice: Identifier


class _Audio(msgspec.Struct, frozen=True):
    output: _Output


class _Logprob(msgspec.Struct, frozen=True):
    token: Annotated[str, msgspec.Meta(max_length=48)]
    logprob: float
    bytes: Annotated[list[int], msgspec.Meta(max_length=48)]


class _ResponseEvent(msgspec.Struct, frozen=True):
    response: dict[str, Any]


_items = msgspec.json.Decoder(ItemEvent)
_responses = msgspec.json.Decoder(_ResponseEvent)
_parts = msgspec.json.Decoder(_PartEvent)
_arguments = msgspec.json.Decoder(_ArgumentsDone)
_STATUSES = ("in_progress", "completed", "cancelled", "incomplete", "failed")
_REASONS = ("turn_detected", "client_cancelled", "max_output_tokens", "content_filter")


def read_item_event(frame: bytes) -> ItemEvent:
    return _items.decode(frame)


def read_item(raw: Mapping[str, Any]) -> RawItem:
    return msgspec.convert(raw, RawItem)


def check_part(head: EventHead, frame: bytes) -> bool:
    """May this part of a response be passed on? False for what is not in the protocol."""
    if head.type not in _PARTS:
        return False
    decode_server_event(frame, head=head)
    if head.type.startswith("response.content_part."):
        _parts.decode(frame)
    elif head.type == "response.function_call_arguments.done":
        _arguments.decode(frame)
    return True


def read_response(frame: bytes, own_key: str) -> RawResponse:
    """Raises only if it cannot be told which response it is."""
    raw = _responses.decode(frame).response
    response_id = raw.get("id")
    if not isinstance(response_id, str) or not response_id:
        raise ValueError("a response without an id")
    metadata = raw.get("metadata")
    own_id = metadata.get(own_key) if isinstance(metadata, Mapping) else None
    details = raw.get("status_details")
    if not isinstance(details, Mapping):
        details = {}
    settings = _sound(raw, _Settings)
    audio = _sound(raw.get("audio"), _Audio)
    return RawResponse(
        id=response_id,
        own_id=own_id if isinstance(own_id, str) else "",
        in_conversation=raw["conversation_id"] is not None if "conversation_id" in raw else None,
        status=_one_of(raw.get("status"), _STATUSES) or "completed",
        reason=_one_of(details.get("reason"), _REASONS),
        error=_error(details.get("error")),
        usage=_usage(raw.get("usage")),
        settings=(settings or {}) | ({"audio": audio} if audio else {}),
    )


def sound_logprobs(entries: Sequence[Any] | None) -> list[dict[str, Any]] | None:
    """What a client may be shown of log probabilities."""
    found = [_sound(entry, _Logprob) for entry in entries or ()]
    known = [entry for entry in found if entry is not None]
    return known if known and len(known) == len(found) else None


def _usage(raw: object) -> dict[str, Any] | None:
    """All that clients read of it: what the model does not tell is zero, and the total a sum."""
    told = _sound(raw, _Usage)
    if told is None:
        return None
    whole: dict[str, Any] = {
        **usage_object(),
        **{name: value for name, value in told.items() if value is not None},
    }
    if told.get("total_tokens") is None:
        whole["total_tokens"] = whole["input_tokens"] + whole["output_tokens"]
    return whole


def _sound(raw: object, shape: type[msgspec.Struct]) -> dict[str, Any] | None:
    try:
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(raw, shape))
    except (msgspec.ValidationError, OverflowError):
        return None
    # What would not go through JSON again is not sound either.
    orjson.dumps(plain)
    return plain


def _one_of(value: object, known: Sequence[str]) -> str | None:
    return value if isinstance(value, str) and value in known else None


def _error(raw: object) -> dict[str, str] | None:
    if not isinstance(raw, Mapping):
        return None
    return {
        name: value[:TOLD_CHARS_MAX]
        for name in ("type", "code", "message")
        if isinstance(value := raw.get(name), str)
    } or None
