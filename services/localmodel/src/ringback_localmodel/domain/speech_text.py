"""Text on its way to the ear: sentences, word groups, and how much of a text was heard by a moment."""

import re
from dataclasses import dataclass, field
from typing import Final

from ringback_localmodel.domain.audio import RATE

__all__ = ["AUDIO_TOKENS_PER_S", "SpokenTrack", "cut_to_tokens", "sentences", "text_tokens", "word_groups"]

# How a realtime model bills audio: one token per 100 ms heard and per 50 ms spoken.
AUDIO_TOKENS_PER_S: Final = {"in": 10, "out": 20}
_SENTENCE: Final = re.compile(
    r".+?(?:(?<!\b[A-Z])(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)[.!?…]+[\"”')\]]*(?:\s+|$)|\n+|$)", re.S
)
_WORDS: Final = re.compile(r"\s*\S+\s*")
SENTENCE_CHARS_MAX: Final = 280
CHARS_PER_S: Final = 15


def sentences(text: str) -> list[str]:
    """The text cut after each sentence; joined, the pieces are the text again."""
    pieces = [piece for piece in _SENTENCE.findall(text) if piece]
    return [part for piece in pieces for part in _shorten(piece)]


def word_groups(text: str, *, size: int = 4) -> list[str]:
    """The text in groups of words; joined, they are the text again."""
    words = _WORDS.findall(text)
    return ["".join(words[n : n + size]) for n in range(0, len(words), size)]


def text_tokens(text: str) -> int:
    """A plausible count: about four characters, and at least one token a word."""
    return max(len(text.split()), (len(text) + 3) // 4)


def cut_to_tokens(text: str, *, tokens_max: int, spoken: bool) -> str:
    """The longest start of the text, in whole words, that costs no more than ``tokens_max``."""
    taken = ""
    for word in _WORDS.findall(text):
        longer = taken + word
        seconds = len(longer) / CHARS_PER_S
        if text_tokens(longer) + (int(seconds * AUDIO_TOKENS_PER_S["out"]) if spoken else 0) > tokens_max:
            break
        taken = longer
    return taken.rstrip() if taken != text else taken


@dataclass(slots=True)
class SpokenTrack:
    """The words of one spoken item and the samples in which each piece of them is heard."""

    pieces: list[tuple[str, int]] = field(default_factory=list)
    samples: int = 0
    heard_samples: int | None = None

    def add_text(self, text: str) -> None:
        self.pieces.append((text, self.samples))

    def add_audio(self, samples: int) -> None:
        self.samples += samples

    def truncate(self, *, samples: int) -> None:
        """A second truncation can only shorten what the first one left."""
        self.heard_samples = samples if self.heard_samples is None else min(samples, self.heard_samples)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    @property
    def heard_text(self) -> str:
        """All words, or after a truncation those before it; a piece cut in two counts by its share of words."""
        if self.heard_samples is None or not self.pieces:
            return self.text
        ends = [start for _, start in self.pieces[1:]] + [self.samples]
        heard = ""
        for (text, start), end in zip(self.pieces, ends, strict=True):
            if self.heard_samples >= end and end > start:
                heard += text
                continue
            length = max(end - start, len(text) * RATE // CHARS_PER_S if end == self.samples else 1)
            share = max(0, self.heard_samples - start) / length
            words = _WORDS.findall(text)
            heard += "".join(words[: int(len(words) * min(1.0, share))])
            break
        return heard.rstrip()


def _shorten(piece: str) -> list[str]:
    """A run-on sentence is cut at word groups, so that its audio starts soon and its text stays in step."""
    if len(piece) <= SENTENCE_CHARS_MAX:
        return [piece]
    return word_groups(piece, size=24)
