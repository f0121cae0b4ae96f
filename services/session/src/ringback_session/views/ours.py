"""Words of ours that no model is asked for, in the frames in which a model would send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ringback_realtime import Pcm, ServerEvents, SessionConfig

from ringback_session.views.model import OWN_KEY

__all__ = ["as_spoken", "as_written", "bytes_per_ms"]

_CHUNK_MS: Final = 200


def bytes_per_ms(config: SessionConfig) -> int:
    """Of the audio that the client gets."""
    return 48 if isinstance(config.output_format, Pcm) else 8


def as_spoken(
    events: ServerEvents, own_id: str, text: str, audio: bytes, config: SessionConfig
) -> list[bytes]:
    """A response that says the text; its audio is in the client's format."""
    chunk = _CHUNK_MS * bytes_per_ms(config)
    frames = _Frames(events, own_id, text, config, modality="audio")
    where = frames.where
    frames.part("audio", "transcript")
    frames.add(events.transcript_delta(frames.response_id, delta=text, **where))
    for at in range(0, len(audio), chunk):
        frames.add(events.audio_delta(frames.response_id, audio=audio[at : at + chunk], **where))
    frames.add(events.audio_done(frames.response_id, **where))
    frames.add(events.transcript_done(frames.response_id, transcript=text, **where))
    return list(frames.ended("audio", "transcript"))


def as_written(events: ServerEvents, own_id: str, text: str, config: SessionConfig) -> list[bytes]:
    """The same for a client that wants text."""
    frames = _Frames(events, own_id, text, config, modality="text")
    frames.part("text", "text")
    frames.add(events.text_delta(frames.response_id, delta=text, **frames.where))
    frames.add(events.text_done(frames.response_id, text=text, **frames.where))
    return list(frames.ended("text", "text"))


class _Frames:
    """One response with one message, as it grows."""

    def __init__(
        self, events: ServerEvents, own_id: str, text: str, config: SessionConfig, *, modality: str
    ) -> None:
        self._events, self._text = events, text
        self.response_id = events.ids.response()
        output = config.to_wire()["audio"]["output"]
        self._response: dict[str, Any] = {
            "id": self.response_id,
            "metadata": {OWN_KEY: own_id},
            "status": "in_progress",
            "output_modalities": [modality],
            "audio": {"output": {name: output[name] for name in ("format", "voice")}},
        }
        self._item: dict[str, Any] = {"id": events.ids.item(), "type": "message", "role": "assistant"}
        self.where: dict[str, Any] = {"item_id": self._item["id"], "output_index": 0}
        self._made = [
            events.response_created(self._response),
            events.output_item_added(self.response_id, output_index=0, item=self._item | {"content": []}),
        ]

    def add(self, frame: bytes) -> None:
        self._made.append(frame)

    def part(self, kind: str, words: str) -> None:
        self.add(self._events.part_added(self.response_id, part={"type": kind, words: ""}, **self.where))

    def ended(self, kind: str, words: str) -> Iterator[bytes]:
        events, part = self._events, {"type": kind, words: self._text}
        item = self._item | {"status": "completed", "content": [part | {"type": f"output_{kind}"}]}
        yield from self._made
        yield events.part_done(self.response_id, part=part, **self.where)
        yield events.output_item_done(self.response_id, output_index=0, item=item)
        yield events.response_done(self._response | {"status": "completed"})
