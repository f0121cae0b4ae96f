"""One session's conversation: its items, the words heard and spoken in them, and the audio kept for retrieval."""

import base64
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace
from ringback_realtime import ContentPart, Item, ItemList, SessionConfig, check_truncation

from ringback_localmodel.domain.audio import RATE, ms_of, samples_of
from ringback_localmodel.domain.context import (
    AssistantSaid,
    CallMade,
    CallReturned,
    Entry,
    SystemNote,
    UserSaid,
)
from ringback_localmodel.domain.speech_text import SpokenTrack
from ringback_localmodel.usecases.codecs import encoded
from ringback_localmodel.usecases.limits import SessionLimits

__all__ = ["Conversation", "entries_of"]

# A retrieved item travels in one frame; most clients take no frame above 1 MiB.
RETRIEVED_AUDIO_BYTES_MAX: Final = 700_000


class Conversation:
    """Items in order, with what they sound like."""

    def __init__(self, *, id: str, limits: SessionLimits) -> None:
        self.id = id
        self.items = ItemList(items_max=limits.items_max)
        self._tracks: dict[str, SpokenTrack] = {}
        self._audio: dict[str, bytearray] = {}
        self._audio_bytes = 0
        self._audio_bytes_max = limits.retained_audio_bytes_max

    def track(self, item_id: str) -> SpokenTrack:
        """The timing of an assistant's spoken item; made when first asked for."""
        return self._tracks.setdefault(item_id, SpokenTrack())

    def delete(self, item_id: str) -> None:
        self.items.delete(item_id)
        self._tracks.pop(item_id, None)
        self._audio_bytes -= len(self._audio.pop(item_id, b""))

    def truncate(self, item_id: str, *, content_index: int, audio_end_ms: int) -> None:
        """Cut a spoken item where the client stopped playing it. Raises ProtocolError if it cannot be."""
        track = self._tracks.get(item_id)
        item = check_truncation(
            self.items.get(item_id),
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
            audio_ms=None if track is None else -(-track.samples * 1000 // RATE),
        )
        assert track is not None
        track.truncate(samples=samples_of(audio_end_ms))
        self.items.replace(replace(item, content=(ContentPart("output_audio", transcript=track.heard_text),)))

    def heard(self, item_id: str, transcript: str) -> None:
        """Write down what the caller said in an audio item, if the item is still there."""
        item = self.items.get(item_id)
        if item is not None:
            parts = tuple(
                replace(part, transcript=transcript) if part.type == "input_audio" else part
                for part in item.content
            )
            self.items.replace(replace(item, content=parts))

    def keep_audio(self, item_id: str, pcm: bytes) -> None:
        self._audio.setdefault(item_id, bytearray()).extend(pcm)
        self._audio_bytes += len(pcm)
        while self._audio_bytes > self._audio_bytes_max and self._audio:
            oldest = next(iter(self._audio))
            self._audio_bytes -= len(self._audio.pop(oldest))

    def retrieved(self, item_id: str, config: SessionConfig) -> Item:
        """The item with its audio, where that is still kept and fits a frame. Raises ProtocolError if unknown."""
        item = self.items.retrieve(item_id)
        pcm = bytes(self._audio.get(item_id, b""))
        track = self._tracks.get(item_id)
        if track is not None and track.heard_samples is not None:
            pcm = pcm[: track.heard_samples * 2]
        if not pcm or len(pcm) > RETRIEVED_AUDIO_BYTES_MAX:
            return item
        format = config.input_format if item.role == "user" else config.output_format
        audio = base64.b64encode(encoded(pcm, format)).decode("ascii")
        parts = tuple(
            replace(part, audio=audio) if part.type in ("input_audio", "output_audio") else part
            for part in item.content
        )
        return replace(item, content=parts)

    def input_audio_ms(self, items: Iterable[Item]) -> int:
        """How much caller's audio is in these items, as far as it is kept."""
        return sum(ms_of(len(self._audio.get(item.id, b"")) // 2) for item in items if item.role == "user")


def entries_of(items: Iterable[Item]) -> list[Entry]:
    """Items as a brain reads them; parts without words say nothing."""
    return [entry for item in items if (entry := _entry(item)) is not None]


def _entry(item: Item) -> Entry | None:
    match item.type, item.role:
        case "message", "user":
            return UserSaid(item.text)
        case "message", "assistant":
            return AssistantSaid(item.text)
        case "message", "system":
            return SystemNote(item.text)
        case "function_call", _:
            return CallMade(item.call_id or "", item.name or "", item.arguments or "{}")
        case "function_call_output", _:
            return CallReturned(item.call_id or "", item.output or "")
        case _:
            return None
