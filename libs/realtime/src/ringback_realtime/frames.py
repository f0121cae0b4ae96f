"""Raw frames: their type and ids, the length of their audio, their ids rewritten. Audio is never decoded."""

from typing import Any, Final

import msgspec
import orjson

from ringback_realtime.errors import MalformedFrameError

__all__ = ["AudioHead", "EventHead", "classify", "peek", "splice_ids"]

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


class AudioHead(EventHead, frozen=True, gc=False):
    """A head with the payload of an `input_audio_buffer.append` or a delta: a frame is read once.

    `audio` and `delta` are text where the frame is as it should be, and base64 where it carries audio.
    """

    audio: Any = None
    delta: Any = None

    def samples(self, sample_bytes: int = 2) -> int:
        """How many samples the audio has: by the characters of base64 and its padding, nothing is decoded.

        A frame without audio has 0. ``sample_bytes`` is 2 for PCM16 and 1 for G.711.
        """
        payload = self.delta if self.audio is None else self.audio
        if type(payload) is not str or not payload:
            return 0
        characters = len(payload)
        if payload[-1] == "=":
            characters -= 2 if payload[-2:] == "==" else 1
        return characters * 3 // 4 // sample_bytes

    def without_payload(self) -> EventHead:
        """What there is to keep of it beside the frame."""
        return EventHead(
            self.type,
            self.event_id,
            self.response_id,
            self.item_id,
            self.output_index,
            self.content_index,
            self.call_id,
        )


_head_decoder: Final = msgspec.json.Decoder(EventHead)
_audio_head_decoder: Final = msgspec.json.Decoder(AudioHead)
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


def _malformed(error: ValueError) -> MalformedFrameError:
    message = str(error)
    if "missing required field `type`" in message:
        return MalformedFrameError("The 'type' field is missing.")
    if "at `$.type`" in message:
        return MalformedFrameError("The 'type' field must be a string.")
    if isinstance(error, UnicodeDecodeError):
        return MalformedFrameError("The frame is not valid UTF-8.")
    return MalformedFrameError(f"The frame is not a JSON object as expected: {message}.")
