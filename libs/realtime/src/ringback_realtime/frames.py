"""Raw frames: their type and ids, the length of their audio, their ids rewritten. Audio is never decoded."""

from typing import Final

import msgspec
import orjson

from ringback_realtime.errors import MalformedFrameError

__all__ = ["AudioHead", "EventHead", "audio_samples", "classify", "peek", "splice_ids"]

_MAX_NESTED_SKIP: Final = "the frame is nested too deeply"


class EventHead(msgspec.Struct, frozen=True, gc=False):
    """What routing needs to know of a frame; everything else in it is skipped unread."""

    type: str
    event_id: str | None = None
    response_id: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    call_id: str | None = None


_QUOTE: Final = ord('"')
_EQUALS: Final = ord("=")
_ABSENT: Final = msgspec.Raw()


class AudioHead(EventHead, frozen=True, gc=False):
    """A head that also knows where the frame's audio is, so that a frame is read once."""

    audio: msgspec.Raw = _ABSENT
    delta: msgspec.Raw = _ABSENT

    def samples(self, frame: bytes, *, sample_bytes: int = 2) -> int:
        """As `audio_samples` of the frame that this is the head of."""
        if b"\\" in frame:
            return audio_samples(frame, sample_bytes=sample_bytes)
        raw = memoryview(self.audio) or memoryview(self.delta)
        if len(raw) < 3 or raw[0] != _QUOTE:
            return 0
        padding = 0 if raw[-2] != _EQUALS else 1 if raw[-3] != _EQUALS else 2
        return max(0, (len(raw) - 2 - padding) * 3 // 4) // sample_bytes


class _Payload(msgspec.Struct, gc=False):
    audio: msgspec.Raw = _ABSENT
    delta: msgspec.Raw = _ABSENT


_head_decoder: Final = msgspec.json.Decoder(EventHead)
_audio_head_decoder: Final = msgspec.json.Decoder(AudioHead)
_payload_decoder: Final = msgspec.json.Decoder(_Payload)
_fields_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def classify(frame: bytes | memoryview) -> EventHead:
    """Read the type and ids of a frame.

    Raises MalformedFrameError, and nothing else, whatever the bytes are.
    """
    try:
        return _head_decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError(_MAX_NESTED_SKIP) from None
    except ValueError as error:
        raise _malformed(error) from None


def peek(frame: bytes | memoryview) -> AudioHead:
    """As `classify`, for a frame that most likely carries audio."""
    try:
        return _audio_head_decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError(_MAX_NESTED_SKIP) from None
    except ValueError as error:
        raise _malformed(error) from None


def audio_samples(frame: bytes | memoryview, *, sample_bytes: int = 2) -> int:
    """How many samples an ``input_audio_buffer.append`` or ``response.output_audio.delta`` frame carries.

    Counts characters of base64 and its padding; a frame without audio has 0 samples. ``sample_bytes`` is 2
    for PCM16 and 1 for G.711.
    """
    try:
        payload = _payload_decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError(_MAX_NESTED_SKIP) from None
    except ValueError as error:
        raise _malformed(error) from None
    return _base64_bytes(bytes(payload.audio) or bytes(payload.delta)) // sample_bytes


def splice_ids(
    frame: bytes | memoryview,
    *,
    event_id: str | None = None,
    response_id: str | None = None,
    item_id: str | None = None,
    output_index: int | None = None,
    content_index: int | None = None,
    call_id: str | None = None,
    previous_item_id: str | None = None,
) -> bytes:
    """The frame with the given top-level ids set; every other value is carried over byte for byte."""
    try:
        fields = _fields_decoder.decode(frame)
    except RecursionError:
        raise MalformedFrameError(_MAX_NESTED_SKIP) from None
    except ValueError as error:
        raise _malformed(error) from None
    values: dict[str, bytes | msgspec.Raw] = dict(fields)
    given: dict[str, str | int | None] = {
        "event_id": event_id,
        "response_id": response_id,
        "item_id": item_id,
        "output_index": output_index,
        "content_index": content_index,
        "call_id": call_id,
        "previous_item_id": previous_item_id,
    }
    values.update((name, orjson.dumps(value)) for name, value in given.items() if value is not None)
    return b"{" + b",".join(b"%b:%b" % (orjson.dumps(k), bytes(v)) for k, v in values.items()) + b"}"


def _base64_bytes(raw: bytes) -> int:
    """Bytes that a JSON string of base64 stands for; ``raw`` includes the quotes."""
    if not raw.startswith(b'"'):
        return 0
    if b"\\" in raw:
        try:
            raw = orjson.dumps(orjson.loads(raw))
        except orjson.JSONDecodeError as error:
            raise _malformed(error) from None
    characters = len(raw) - 2
    padding = 2 if raw.endswith(b'=="') else 1 if raw.endswith(b'="') else 0
    return max(0, (characters - padding) * 3 // 4)


def _malformed(error: ValueError) -> MalformedFrameError:
    message = str(error)
    if "missing required field `type`" in message:
        return MalformedFrameError("The 'type' field is missing.")
    if "at `$.type`" in message:
        return MalformedFrameError("The 'type' field must be a string.")
    if isinstance(error, UnicodeDecodeError):
        return MalformedFrameError("The frame is not valid UTF-8.")
    return MalformedFrameError(f"The frame is not a JSON object as expected: {message}.")
