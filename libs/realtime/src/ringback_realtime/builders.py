"""Every event that a Realtime server of ours sends, as JSON bytes ready for the wire."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import orjson

from ringback_realtime.errors import ProtocolError
from ringback_realtime.ids import EventIds
from ringback_realtime.response_params import ResponseParams
from ringback_realtime.session_config import SessionConfig

__all__ = ["ResponseStatus", "ServerEvents", "Usage", "response_object", "usage_object"]

Json = Mapping[str, Any]
Usage = dict[str, Any]
ResponseStatus = Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]


def usage_object(
    *,
    input_text_tokens: int = 0,
    input_audio_tokens: int = 0,
    output_text_tokens: int = 0,
    output_audio_tokens: int = 0,
    cached_text_tokens: int = 0,
    cached_audio_tokens: int = 0,
) -> Usage:
    """The usage of one response, with both detail objects that clients insist on."""
    inputs = input_text_tokens + input_audio_tokens
    outputs = output_text_tokens + output_audio_tokens
    return {
        "total_tokens": inputs + outputs,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "input_token_details": {
            "text_tokens": input_text_tokens,
            "audio_tokens": input_audio_tokens,
            "image_tokens": 0,
            "cached_tokens": cached_text_tokens + cached_audio_tokens,
            "cached_tokens_details": {
                "text_tokens": cached_text_tokens,
                "audio_tokens": cached_audio_tokens,
                "image_tokens": 0,
            },
        },
        "output_token_details": {"text_tokens": output_text_tokens, "audio_tokens": output_audio_tokens},
    }


def response_object(
    response_id: str,
    *,
    params: ResponseParams,
    config: SessionConfig,
    conversation_id: str | None,
    status: ResponseStatus = "in_progress",
    reason: str | None = None,
    error: Json | None = None,
    output: Sequence[Json] = (),
    usage: Usage | None = None,
) -> dict[str, Any]:
    """A response as ``response.created`` and ``response.done`` carry it.

    ``reason`` and ``error`` fill ``status_details``; ``conversation_id`` is None for an out-of-band response.
    """
    details: dict[str, Any] | None = None
    if status in ("cancelled", "incomplete", "failed"):
        details = {"type": status}
        if reason is not None:
            details["reason"] = reason
        if error is not None:
            details["error"] = dict(error)
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": details,
        "output": list(output),
        "conversation_id": conversation_id,
        "output_modalities": [params.output_modality],
        "max_output_tokens": params.max_output_tokens,
        "audio": {"output": {"format": msgspec.to_builtins(params.output_format), "voice": params.voice}},
        "usage": usage,
        "metadata": None if params.metadata is None else dict(params.metadata),
    }


class ServerEvents:
    """Builds the server's events; each gets a fresh ``event_id`` from ``ids``."""

    def __init__(self, ids: EventIds) -> None:
        self.ids = ids

    def build(self, type: str, **fields: Any) -> bytes:
        """Any event, from its type and fields."""
        return orjson.dumps({"type": type, "event_id": self.ids.event(), **fields})

    def error(self, error: ProtocolError) -> bytes:
        return self.build("error", error=error.to_wire())

    def session_created(self, config: SessionConfig) -> bytes:
        return self.build("session.created", session=config.to_wire())

    def session_updated(self, config: SessionConfig) -> bytes:
        return self.build("session.updated", session=config.to_wire())

    def item_added(self, item: Json, *, previous_item_id: str | None) -> bytes:
        return self.build("conversation.item.added", previous_item_id=previous_item_id, item=item)

    def item_done(self, item: Json, *, previous_item_id: str | None) -> bytes:
        return self.build("conversation.item.done", previous_item_id=previous_item_id, item=item)

    def item_retrieved(self, item: Json) -> bytes:
        return self.build("conversation.item.retrieved", item=item)

    def item_deleted(self, item_id: str) -> bytes:
        return self.build("conversation.item.deleted", item_id=item_id)

    def item_truncated(self, item_id: str, *, content_index: int, audio_end_ms: int) -> bytes:
        return self.build(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )

    def transcription_delta(
        self, item_id: str, *, delta: str, logprobs: Sequence[Json] | None = None
    ) -> bytes:
        extra = {} if logprobs is None else {"logprobs": list(logprobs)}
        return self.build(
            "conversation.item.input_audio_transcription.delta",
            item_id=item_id,
            content_index=0,
            delta=delta,
            **extra,
        )

    def transcription_completed(
        self, item_id: str, *, transcript: str, seconds: float, logprobs: Sequence[Json] | None = None
    ) -> bytes:
        """``seconds`` of audio is the usage; it is the form that every client reads."""
        extra = {} if logprobs is None else {"logprobs": list(logprobs)}
        return self.build(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=transcript,
            usage={"type": "duration", "seconds": seconds},
            **extra,
        )

    def transcription_failed(self, item_id: str, *, code: str, message: str) -> bytes:
        return self.build(
            "conversation.item.input_audio_transcription.failed",
            item_id=item_id,
            content_index=0,
            error={"type": "server_error", "code": code, "message": message},
        )

    def committed(self, item_id: str, *, previous_item_id: str | None) -> bytes:
        return self.build("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous_item_id)

    def cleared(self) -> bytes:
        return self.build("input_audio_buffer.cleared")

    def speech_started(self, item_id: str, *, audio_start_ms: int) -> bytes:
        return self.build("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=audio_start_ms)

    def speech_stopped(self, item_id: str, *, audio_end_ms: int) -> bytes:
        return self.build("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=audio_end_ms)

    def timeout_triggered(self, item_id: str, *, audio_start_ms: int, audio_end_ms: int) -> bytes:
        return self.build(
            "input_audio_buffer.timeout_triggered",
            item_id=item_id,
            audio_start_ms=audio_start_ms,
            audio_end_ms=audio_end_ms,
        )

    def response_created(self, response: Json) -> bytes:
        return self.build("response.created", response=response)

    def response_done(self, response: Json) -> bytes:
        return self.build("response.done", response=response)

    def output_item_added(self, response_id: str, *, output_index: int, item: Json) -> bytes:
        return self.build(
            "response.output_item.added", response_id=response_id, output_index=output_index, item=item
        )

    def output_item_done(self, response_id: str, *, output_index: int, item: Json) -> bytes:
        return self.build(
            "response.output_item.done", response_id=response_id, output_index=output_index, item=item
        )

    def part_added(self, response_id: str, *, item_id: str, output_index: int, part: Json) -> bytes:
        return self._part("response.content_part.added", response_id, item_id, output_index, part=part)

    def part_done(self, response_id: str, *, item_id: str, output_index: int, part: Json) -> bytes:
        return self._part("response.content_part.done", response_id, item_id, output_index, part=part)

    def text_delta(self, response_id: str, *, item_id: str, output_index: int, delta: str) -> bytes:
        return self._part("response.output_text.delta", response_id, item_id, output_index, delta=delta)

    def text_done(self, response_id: str, *, item_id: str, output_index: int, text: str) -> bytes:
        return self._part("response.output_text.done", response_id, item_id, output_index, text=text)

    def audio_delta(self, response_id: str, *, item_id: str, output_index: int, audio: bytes) -> bytes:
        delta = base64.b64encode(audio).decode("ascii")
        return self._part("response.output_audio.delta", response_id, item_id, output_index, delta=delta)

    def audio_done(self, response_id: str, *, item_id: str, output_index: int) -> bytes:
        return self._part("response.output_audio.done", response_id, item_id, output_index)

    def transcript_delta(self, response_id: str, *, item_id: str, output_index: int, delta: str) -> bytes:
        return self._part(
            "response.output_audio_transcript.delta", response_id, item_id, output_index, delta=delta
        )

    def transcript_done(self, response_id: str, *, item_id: str, output_index: int, transcript: str) -> bytes:
        return self._part(
            "response.output_audio_transcript.done", response_id, item_id, output_index, transcript=transcript
        )

    def arguments_delta(
        self, response_id: str, *, item_id: str, output_index: int, call_id: str, delta: str
    ) -> bytes:
        return self.build(
            "response.function_call_arguments.delta",
            response_id=response_id,
            item_id=item_id,
            output_index=output_index,
            call_id=call_id,
            delta=delta,
        )

    def arguments_done(
        self, response_id: str, *, item_id: str, output_index: int, call_id: str, name: str, arguments: str
    ) -> bytes:
        return self.build(
            "response.function_call_arguments.done",
            response_id=response_id,
            item_id=item_id,
            output_index=output_index,
            call_id=call_id,
            name=name,
            arguments=arguments,
        )

    def rate_limits_updated(self, limits: Sequence[Json]) -> bytes:
        return self.build("rate_limits.updated", rate_limits=list(limits))

    def _part(self, type: str, response_id: str, item_id: str, output_index: int, **fields: Any) -> bytes:
        return self.build(
            type,
            response_id=response_id,
            item_id=item_id,
            output_index=output_index,
            content_index=0,
            **fields,
        )
