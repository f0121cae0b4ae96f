"""Owns what the caller hears: received audio against a clock of played samples, and where it was cut."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ringback_errors import Overloaded

from ringback_cli.caller.audio import ms_of, silence

__all__ = ["Cut", "Playback", "SpokenItem"]

# Ten minutes: more than a server that generates faster than real time may be ahead.
_QUEUED_BYTES_MAX = 10 * 60 * 24_000 * 2
_ITEMS_MAX = 2_000


@dataclass
class SpokenItem:
    """One utterance of the agent as the caller met it. Samples at 24 kHz; `first_heard_at` by the call's clock."""

    item_id: str
    content_index: int = 0
    text: str = ""
    received: int = 0
    played: int = 0
    first_heard_at: int = -1
    audio_done: bool = False
    text_done: bool = False
    cut: bool = False
    kind: str = "audio"

    @property
    def finished(self) -> bool:
        """Nothing more of it will be heard."""
        if self.cut:
            return True
        if self.kind == "text":
            return self.text_done
        return self.audio_done and self.played >= self.received

    @property
    def heard(self) -> str:
        """The part of the text that was audible, cut at a word; all of it once it was played to its end."""
        if self.kind == "text" or (self.finished and not self.cut):
            return self.text
        if not self.received or not self.played:
            return ""
        end = len(self.text) * self.played // self.received
        if end >= len(self.text):
            return self.text
        return self.text[:end].rpartition(" ")[0]


@dataclass(frozen=True)
class Cut:
    """Where an item's audio was stopped, for `conversation.item.truncate`."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass
class _Chunk:
    item: SpokenItem
    pcm: bytes
    at: int = 0


@dataclass
class Playback:
    """A loudspeaker that plays exactly as many samples as it is asked for."""

    clock: int = 0
    items: dict[str, SpokenItem] = field(default_factory=dict)
    _queue: deque[_Chunk] = field(default_factory=deque)
    _queued_bytes: int = 0
    last_sound_at: int = -1

    @property
    def sounding(self) -> bool:
        """There is audio left to play."""
        return bool(self._queue)

    def item(self, item_id: str, *, content_index: int = 0) -> SpokenItem:
        """The item of that id, made when it is new."""
        found = self.items.get(item_id)
        if found is None:
            if len(self.items) >= _ITEMS_MAX:
                del self.items[next(iter(self.items))]
            found = self.items[item_id] = SpokenItem(item_id, content_index)
        return found

    def receive(self, item_id: str, pcm: bytes, *, content_index: int = 0) -> None:
        """Queue audio. What still arrives of a cut item is dropped: the caller has spoken over it."""
        item = self.item(item_id, content_index=content_index)
        if item.cut or not pcm:
            return
        if self._queued_bytes + len(pcm) > _QUEUED_BYTES_MAX:
            raise Overloaded(
                f"more than {ms_of(_QUEUED_BYTES_MAX // 2) // 1000} s of audio wait to be played"
            )
        item.received += len(pcm) // 2
        self._queued_bytes += len(pcm)
        self._queue.append(_Chunk(item, pcm))

    def pull(self, samples: int) -> bytes:
        """Play the next samples, silence where there are none, and move the clock."""
        parts, wanted = [], samples * 2
        while wanted and self._queue:
            chunk = self._queue[0]
            part = chunk.pcm[chunk.at : chunk.at + wanted]
            if chunk.item.first_heard_at < 0:
                chunk.item.first_heard_at = self.clock + samples - wanted // 2
            chunk.at += len(part)
            chunk.item.played += len(part) // 2
            wanted -= len(part)
            parts.append(part)
            if chunk.at >= len(chunk.pcm):
                self._queue.popleft()
        self._queued_bytes -= samples * 2 - wanted
        self.clock += samples
        if parts:
            self.last_sound_at = self.clock
        return b"".join(parts) + silence(wanted // 2)

    def stop(self) -> list[Cut]:
        """Stop at once: forget what waits, and say of every unfinished item how much of it was heard."""
        cuts = []
        for item in self.items.values():
            if item.received and not item.finished:
                item.cut = True
                cuts.append(Cut(item.item_id, item.content_index, ms_of(item.played)))
        self._queue.clear()
        self._queued_bytes = 0
        return cuts
