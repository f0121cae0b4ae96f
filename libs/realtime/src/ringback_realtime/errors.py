"""The protocol's errors: one exception, and a constructor for each documented code.

    RealtimeError
    └── ProtocolError          code, message, param, event_id: becomes one ``error`` event
        └── MalformedFrameError     the frame is not a JSON object with a string ``type``

Codes and messages follow the documented and field-reported wording, because clients match on them.
"""

from typing import Final

__all__ = [
    "MalformedFrameError",
    "ProtocolError",
    "RealtimeError",
    "active_response",
    "audio_already_shorter",
    "cancel_not_active",
    "commit_empty",
    "invalid_value",
    "missing_parameter",
    "only_audio_truncates",
    "transcription_session",
    "unknown_item",
    "unknown_parameter",
    "unknown_tool_call",
    "voice_is_fixed",
]

INVALID_REQUEST: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"


class RealtimeError(Exception):
    """The root of what this library raises."""


class ProtocolError(RealtimeError):
    """One broken rule of the protocol; the session stays open unless its owner decides otherwise."""

    def __init__(
        self,
        code: str,
        message: str,
        param: str | None = None,
        *,
        kind: str = INVALID_REQUEST,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind
        self.event_id = event_id

    def for_event(self, event_id: str | None) -> "ProtocolError":
        """Name the client event that caused this error and return the error itself."""
        self.event_id = event_id
        return self

    def to_wire(self) -> dict[str, str | None]:
        """The ``error`` object of an ``error`` event."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
        }


class MalformedFrameError(ProtocolError):
    """The frame is not a JSON object with a string ``type``."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_event", message)


def missing_parameter(param: str) -> ProtocolError:
    return ProtocolError("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def unknown_parameter(param: str) -> ProtocolError:
    return ProtocolError("unknown_parameter", f"Unknown parameter: '{param}'.", param)


def invalid_value(param: str, expected: str) -> ProtocolError:
    return ProtocolError("invalid_value", f"Invalid value for '{param}': {expected}.", param)


def transcription_session(param: str) -> ProtocolError:
    """Sessions that only transcribe are not offered; ``param`` is where one was asked for."""
    expected = (
        "sessions that only transcribe are not offered; expected a 'realtime' session, which transcribes what is said "
        "with 'audio.input.transcription' and answers nothing with 'turn_detection.create_response' false"
    )
    return invalid_value(param, expected)


def active_response(response_id: str) -> ProtocolError:
    return ProtocolError(
        "conversation_already_has_active_response",
        f"Conversation already has an active response in progress{f': {response_id}' if response_id else ''}. "
        "Wait until the response is finished before creating a new one.",
    )


def cancel_not_active() -> ProtocolError:
    return ProtocolError("response_cancel_not_active", "Cancellation failed: no active response found")


def commit_empty(buffered_ms: float) -> ProtocolError:
    return ProtocolError(
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. "
        f"Expected at least 100ms of audio, but buffer only has {buffered_ms:.2f}ms of audio.",
    )


def unknown_item(item_id: str, *, action: str) -> ProtocolError:
    """An id that names no item; ``action`` is ``retrieve``, ``delete`` or ``truncate``."""
    return ProtocolError(
        f"item_{action}_invalid_item_id",
        f"Error {_GERUND[action]} item: the item with id '{item_id}' does not exist.",
        "item_id",
    )


def unknown_tool_call(call_id: str) -> ProtocolError:
    return ProtocolError(
        "invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.", "item.call_id"
    )


def only_audio_truncates() -> ProtocolError:
    return ProtocolError(
        "unsupported_content_type", "Only model output audio messages can be truncated", "item_id"
    )


def audio_already_shorter(have_ms: int, asked_ms: int) -> ProtocolError:
    return ProtocolError(
        "invalid_value",
        f"Audio content of {have_ms}ms is already shorter than {asked_ms}ms",
        "audio_end_ms",
    )


def voice_is_fixed() -> ProtocolError:
    return ProtocolError(
        "cannot_update_voice",
        "Cannot update a conversation's voice if assistant audio is present.",
        "session.audio.output.voice",
    )


_GERUND: Final = {"retrieve": "retrieving", "delete": "deleting", "truncate": "truncating"}
