"""What of one reply must wait: for its input to pass, and for each of its words to pass before they are heard.

Frames wait in one line, so that what is shown is shown in the order in which the model said it, and as it said it. A
piece of audio needs the words that were known when it came: models announce words before they voice them. Where one
does not, and its audio comes before any word of its item, the audio needs the words after it too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from ringback_realtime import EventHead

from ringback_session.domain.guarded import SentenceMade
from ringback_session.domain.sentences import sentence_end
from ringback_session.views.upstream import read_item_event

__all__ = ["HELD_BYTES_MAX", "Holding"]

# A minute and a half of PCM16 as base64 JSON.
HELD_BYTES_MAX: Final = 6 * 1024 * 1024
# Beyond every character: the ends of an item need this, and one more for each time that the model tells other words.
_END: Final = 1 << 40
_AUDIO: Final = "response.output_audio.delta"
_WORDS: Final = ("response.output_audio_transcript.delta", "response.output_text.delta")
_WORDS_DONE: Final = {
    "response.output_audio_transcript.done": "transcript",
    "response.output_text.done": "text",
}
_ADDED, _DONE = "response.output_item.added", "response.output_item.done"
_PART_ADDED, _PART_DONE = "response.content_part.added", "response.content_part.done"
_Need = tuple[str, int] | None


@dataclass(slots=True)
class _Item:
    """One message: its words so far, up to where they were asked about, and up to where they have passed."""

    words: str = ""
    asked: int = 0
    passed: int = 0
    audio: bool = False
    audio_leads: bool = False
    judged: str | None = None
    tellings: int = 0


@dataclass(slots=True)
class Holding:
    """The line of one reply. `watch`: see effects.RequestReply."""

    reply_id: str
    watch: str
    shut: bool = False
    out_of_band: bool = False
    muted: bool = False
    full: bool = False
    # Items of the model that came, and are not known to be shown or done.
    unshown: dict[str, None] = field(default_factory=dict)
    _items: dict[str, _Item] = field(default_factory=dict)
    _line: deque[tuple[EventHead, bytes, _Need]] = field(default_factory=deque)
    _bytes: int = 0

    @property
    def waiting(self) -> bool:
        return bool(self._line)

    def made(self, head: EventHead, frame: bytes) -> list[SentenceMade]:
        """Note what came; returns what policy must be asked about now."""
        if head.type == "response.done":
            # What is cut off in the middle of a sentence is judged as far as it goes.
            left = [item_id for item_id, item in self._items.items() if item.judged is None]
            return [made for item_id in left for made in self._ended(item_id, "")]
        if head.type == _ADDED:
            item = read_item_event(frame).item
            self.unshown[item.id] = None
            if item.type == "message":
                self._items.setdefault(item.id, _Item())
            return []
        if head.type == _DONE:
            raw = read_item_event(frame).item
            return self._ended(raw.id, _words_of(raw.content))
        known = self._items.get(head.item_id or "")
        if known is None:
            return []
        if head.type == _AUDIO:
            known.audio_leads = known.audio_leads or not known.words
            known.audio = True
        elif head.type in _WORDS:
            # Words after the end were not meant when it was judged.
            known.judged = None
            known.words += orjson.loads(frame)["delta"]
            return self._sentences(str(head.item_id), known)
        elif head.type in _WORDS_DONE:
            return self._ended(str(head.item_id), orjson.loads(frame)[_WORDS_DONE[head.type]])
        elif head.type == _PART_DONE:
            return self._ended(str(head.item_id), _words_in(frame))
        return []

    def keeps(self, head: EventHead, frame: bytes) -> bool:
        """Take the frame into the line, if it must wait. False: it may be shown now."""
        need = self._need(head, frame) if self.watch == "hold" else None
        if not self._line and not self.shut and self._has_passed(need):
            return False
        self._bytes += len(frame)
        self.full = self.full or self._bytes > HELD_BYTES_MAX
        if not self.full:
            self._line.append((head, frame, need))
        return True

    def let_pass(self, item_id: str, upto: int) -> None:
        item = self._items.get(item_id)
        if item is not None:
            item.passed = max(item.passed, upto)

    def silences(self, head: EventHead, frame: bytes) -> bool:
        """Is this of a message that is not to be shown as the model said it?"""
        if not self.muted:
            return False
        item_id = head.item_id
        if head.type in (_ADDED, _DONE):
            item_id = read_item_event(frame).item.id
        return item_id in self._items

    def lapse(self) -> None:
        """What waits now needs nothing any more."""
        self._line = deque((head, frame, None) for head, frame, _ in self._line)

    def ready(self) -> Iterator[tuple[EventHead, bytes]]:
        """Take what may be shown out of the line, in order."""
        while self._line and not self.shut and self._has_passed(self._line[0][2]):
            head, frame, _ = self._line.popleft()
            self._bytes -= len(frame)
            yield head, frame

    def clear(self) -> list[bytes]:
        """Nothing that waits is shown any more. Returns what must be known all the same: calls, and the end.

        What a reply called that nobody may know of, its end makes the model forget.
        """
        known = [
            frame for head, frame, _ in self._line if head.type == "response.done" or self._calls(head, frame)
        ]
        self._line.clear()
        self._bytes = 0
        return known

    def _calls(self, head: EventHead, frame: bytes) -> bool:
        return not self.shut and head.type == _DONE and read_item_event(frame).item.type == "function_call"

    def _need(self, head: EventHead, frame: bytes) -> _Need:
        item_id = head.item_id or ""
        if head.type in (_ADDED, _DONE):
            item_id = read_item_event(frame).item.id
        item = self._items.get(item_id)
        if item is None:
            return None
        if item.tellings and item.judged is None:
            return item_id, _END + item.tellings + 1
        spoken = len(item.words.rstrip())
        if head.type == _AUDIO:
            return item_id, max(1, spoken + item.audio_leads)
        if head.type in _WORDS:
            return item_id, max(1, spoken)
        early_words = head.type == _PART_ADDED and _words_in(frame)
        early_words = early_words or (head.type == _ADDED and _words_of(read_item_event(frame).item.content))
        if head.type in (_ADDED, _PART_ADDED) and not early_words:
            return item_id, 1
        return item_id, _END + item.tellings

    def _has_passed(self, need: _Need) -> bool:
        if need is None:
            return True
        item = self._items.get(need[0])
        return item is None or item.passed >= need[1]

    def _sentences(self, item_id: str, item: _Item) -> list[SentenceMade]:
        found: list[SentenceMade] = []
        # A reply that only waits for its turn is judged by nobody.
        while self.watch and (end := sentence_end(item.words, item.asked)):
            text = item.words[item.asked : end]
            found.append(
                SentenceMade(
                    reply_id=self.reply_id,
                    item_id=item_id,
                    text=text,
                    ends_at=end,
                    out_of_band=self.out_of_band,
                )
            )
            item.asked = end
        return found

    def _ended(self, item_id: str, words: str) -> list[SentenceMade]:
        """All words of an item are known; asked about once, and again only if the model tells them otherwise."""
        item = self._items.get(item_id)
        if not self.watch or item is None or (item.judged is not None and words in ("", item.judged)):
            return []
        words = words or item.words
        item.judged = words
        item.tellings += 1
        if not words.strip() and not item.audio:
            item.passed = _END + item.tellings
            return []
        since = item.asked if words.startswith(item.words[: item.asked]) else 0
        return [
            SentenceMade(
                reply_id=self.reply_id,
                item_id=item_id,
                text=words,
                ends_at=_END + item.tellings,
                since=min(since, len(words)),
                final=True,
                out_of_band=self.out_of_band,
            )
        ]


def _words_of(parts: Sequence[Any] | None) -> str:
    return "".join(part.transcript or part.text or "" for part in parts or ())


def _words_in(frame: bytes) -> str:
    part = orjson.loads(frame)["part"]
    return str(part.get("transcript") or part.get("text") or "")
