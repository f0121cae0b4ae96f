"""One response on the wire: every event in the protocol's order, and the closing ones whatever the end."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec.structs import replace
from ringback_realtime import (
    AudioFormat,
    ContentPart,
    Item,
    ResponseParams,
    ResponseStatus,
    ServerEvents,
    SessionConfig,
    response_object,
    usage_object,
)

from ringback_localmodel.domain.audio import RATE, SAMPLE_BYTES
from ringback_localmodel.domain.speech_text import AUDIO_TOKENS_PER_S, SpokenTrack, text_tokens
from ringback_localmodel.ports import Outbox
from ringback_localmodel.usecases.codecs import AudioOut
from ringback_localmodel.usecases.conversation import Conversation

__all__ = ["ResponseRun"]

ARGUMENTS_DELTA_CHARS = 48
ItemStatus = Literal["completed", "incomplete"]


class ResponseRun:
    """Emits one response. After ``finish`` it is closed and every further call is without effect."""

    def __init__(
        self,
        *,
        id: str,
        params: ResponseParams,
        config: SessionConfig,
        conversation: Conversation,
        events: ServerEvents,
        outbox: Outbox,
    ) -> None:
        self.id = id
        self.params = params
        self.closed = False
        self.audio_samples = 0
        self.outcome = "in_progress"
        self.on_audio: Callable[[], None] = _nothing
        self.input_tokens = {"text": 0, "audio": 0}
        self._config = config
        self._conversation = conversation
        self._events = events
        self._outbox = outbox
        self._output: list[Item] = []
        self._message: Item | None = None
        self._track = SpokenTrack()
        self._text_tokens = 0
        self._audio_out = AudioOut(params.output_format)

    @property
    def traceparent(self) -> str | None:
        """The client's trace, if it sent one in the response's metadata."""
        found = (self.params.metadata or {}).get("traceparent")
        return found if isinstance(found, str) else None

    @property
    def session_instructions(self) -> str:
        return self._config.instructions

    @property
    def input_format(self) -> AudioFormat:
        return self._config.input_format

    @property
    def spoken(self) -> bool:
        return self.params.output_modality == "audio"

    @property
    def output_tokens(self) -> int:
        """Tokens put out so far, audio included."""
        return self._text_tokens + self._audio_tokens

    @property
    def has_words(self) -> bool:
        """Whether the current message has words already."""
        return self._message is not None and bool(self._track.pieces)

    def start(self) -> None:
        self._outbox.send(self._events.response_created(self._object("in_progress")))

    def text(self, delta: str) -> None:
        """Words of the current message: written in text mode, announced before their audio in audio mode."""
        if self.closed or not delta:
            return
        message = self._open_message()
        self._text_tokens += text_tokens(delta)
        self._track.add_text(delta)
        where: dict[str, Any] = {"item_id": message.id, "output_index": len(self._output)}
        if self.spoken:
            self._outbox.send(self._events.transcript_delta(self.id, delta=delta, **where))
        else:
            self._outbox.send(self._events.text_delta(self.id, delta=delta, **where))

    def audio(self, pcm: bytes) -> None:
        """A piece of the current message's speech, at most 200 ms long."""
        if self.closed or not pcm:
            return
        message = self._open_message()
        samples = len(pcm) // SAMPLE_BYTES
        self._track.add_audio(samples)
        self.audio_samples += samples
        if not self.params.out_of_band:
            self._conversation.keep_audio(message.id, pcm)
        self.on_audio()
        self._send_audio(self._audio_out.encode(pcm), message)

    def call(self, name: str, arguments: str) -> None:
        """A whole function call, from the item's announcement to its end."""
        if self.closed:
            return
        self.end_message("completed")
        ids = self._events.ids
        item = Item(
            id=ids.item(),
            type="function_call",
            status="in_progress",
            call_id=ids.call(),
            name=name,
            arguments="",
        )
        self._add(item)
        self._text_tokens += text_tokens(arguments)
        where: dict[str, Any] = {
            "item_id": item.id,
            "output_index": len(self._output),
            "call_id": item.call_id,
        }
        for start in range(0, len(arguments), ARGUMENTS_DELTA_CHARS):
            delta = arguments[start : start + ARGUMENTS_DELTA_CHARS]
            self._outbox.send(self._events.arguments_delta(self.id, delta=delta, **where))
        self._outbox.send(self._events.arguments_done(self.id, name=name, arguments=arguments, **where))
        self._close_item(replace(item, status="completed", arguments=arguments))

    def end_message(self, status: ItemStatus) -> None:
        message = self._message
        if self.closed or message is None:
            return
        self._message = None
        words = self._track.text
        where: dict[str, Any] = {"item_id": message.id, "output_index": len(self._output)}
        if self.spoken:
            self._send_audio(self._audio_out.rest(), message)
            self._outbox.send(self._events.audio_done(self.id, **where))
            self._outbox.send(self._events.transcript_done(self.id, transcript=words, **where))
        else:
            self._outbox.send(self._events.text_done(self.id, text=words, **where))
        self._outbox.send(self._events.part_done(self.id, part=self._part(words), **where))
        self._close_item(replace(message, status=status, content=(self._content(words),)))

    def finish(
        self, status: ResponseStatus, *, reason: str | None = None, error: dict[str, str] | None = None
    ) -> None:
        """Close what is open and send the one ``response.done``."""
        if self.closed:
            return
        self.end_message("completed" if status == "completed" else "incomplete")
        self.closed = True
        self.outcome = status
        done = self._object(status, reason=reason, error=error)
        self._outbox.send(self._events.response_done(done))

    @property
    def _audio_tokens(self) -> int:
        return -(-self.audio_samples * AUDIO_TOKENS_PER_S["out"] // RATE)

    def _send_audio(self, audio: bytes, message: Item) -> None:
        if audio:
            index = len(self._output)
            self._outbox.send(
                self._events.audio_delta(self.id, item_id=message.id, output_index=index, audio=audio)
            )

    def _open_message(self) -> Item:
        if self._message is None:
            item = Item(
                id=self._events.ids.item(), type="message", role="assistant", status="in_progress", content=()
            )
            self._message = item
            self._track = SpokenTrack()
            if self.spoken and not self.params.out_of_band:
                self._track = self._conversation.track(item.id)
            self._add(item)
            self._outbox.send(
                self._events.part_added(
                    self.id, item_id=item.id, output_index=len(self._output), part=self._part("")
                )
            )
        return self._message

    def _add(self, item: Item) -> None:
        wire = item.to_wire()
        self._outbox.send(self._events.output_item_added(self.id, output_index=len(self._output), item=wire))
        if not self.params.out_of_band:
            previous = self._conversation.items.insert(item)
            self._outbox.send(self._events.item_added(wire, previous_item_id=previous))

    def _close_item(self, item: Item) -> None:
        wire = item.to_wire()
        items = self._conversation.items
        if item.id in items:
            items.replace(self._as_heard(item))
            self._outbox.send(self._events.item_done(wire, previous_item_id=items.previous_id(item.id)))
        self._outbox.send(self._events.output_item_done(self.id, output_index=len(self._output), item=wire))
        self._output.append(item)

    def _as_heard(self, item: Item) -> Item:
        """What the conversation keeps: an item that was truncated while it was spoken stays truncated."""
        if item.type != "message" or self._track.heard_samples is None:
            return item
        return replace(item, content=(self._content(self._track.heard_text),))

    def _part(self, words: str) -> dict[str, str]:
        return {"type": "audio", "transcript": words} if self.spoken else {"type": "text", "text": words}

    def _content(self, words: str) -> ContentPart:
        if self.spoken:
            return ContentPart("output_audio", transcript=words)
        return ContentPart("output_text", text=words)

    def _object(
        self, status: ResponseStatus, *, reason: str | None = None, error: dict[str, str] | None = None
    ) -> dict[str, Any]:
        usage = None
        if status != "in_progress":
            usage = usage_object(
                input_text_tokens=self.input_tokens["text"],
                input_audio_tokens=self.input_tokens["audio"],
                output_text_tokens=self._text_tokens,
                output_audio_tokens=self._audio_tokens,
            )
        return response_object(
            self.id,
            params=self.params,
            config=self._config,
            conversation_id=None if self.params.out_of_band else self._conversation.id,
            status=status,
            reason=reason,
            error=error,
            output=[item.to_wire() for item in self._output],
            usage=usage,
        )


def _nothing() -> None:
    return None
