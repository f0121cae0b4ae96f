"""Owns the cutting of text into tokens whose spans point into the text as it was given."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

GLUED, WEAK, STRONG = 0, 1, 2
SIGNS = frozenset("$€£%")

_WEAK_MARKS = frozenset(",-()_'\"‑")
_FOLDED = {"’": "'", "‘": "'", "–": "-", "‐": "-", "‑": "-", "“": '"', "”": '"', "\u00a0": " "}
_TOKEN = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])"
    r"|[0-9]+(?:\.[0-9]+)?"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|[$€£%]"
)


class Token(NamedTuple):
    """A number, word or sign; `gap` says how it follows the token before: glued, weakly or after a break."""

    text: str
    start: int
    end: int
    gap: int
    capital: bool = False
    comma: bool = False

    @property
    def numeric(self) -> bool:
        return self.text[0] in "0123456789"

    @property
    def word(self) -> bool:
        return not self.numeric and self.text not in SIGNS


@dataclass(frozen=True, slots=True)
class Scan:
    """A text with its tokens; `folded` is as long as the text, in lower case, plain digits and quotes."""

    folded: str
    tokens: tuple[Token, ...]
    # Numbers in words by the index where they begin: many grammars ask for the same one.
    cardinals: dict[int, tuple[int, int] | None] = field(default_factory=dict, compare=False, repr=False)

    def text(self, index: int) -> str:
        """The token's text, or "" beyond the ends."""
        return self.tokens[index][0] if 0 <= index < len(self.tokens) else ""

    def gap(self, index: int) -> int:
        """The gap before the token; the ends of the text are strong breaks."""
        return self.tokens[index].gap if 0 < index < len(self.tokens) else STRONG

    def follow(self, index: int) -> str:
        """The token's text if it follows the one before without a strong break, else ""."""
        return self.text(index) if self.gap(index) != STRONG else ""

    def after(self, position: int, index: int) -> int:
        """The index of the first token from `index` on that starts at or after the position."""
        while index < len(self.tokens) and self.tokens[index].start < position:
            index += 1
        return index


def scan(text: str) -> Scan:
    """Cut the text into tokens, in linear time; no text is refused."""
    folded = text.lower() if text.isascii() else "".join(map(_fold, text))
    tokens: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(folded):
        start, stop = match.span()
        word, between = match[0], folded[end:start]
        if between == " " and tokens:  # as between most words
            tokens.append(Token(word, start, stop, WEAK, text[start].isupper()))
        else:
            gap = _gap(between) if tokens else STRONG
            if gap == GLUED and (_apart(word) or _apart(tokens[-1].text)):
                gap = WEAK
            tokens.append(Token(word, start, stop, gap, text[start].isupper(), "," in between))
        end = stop
    return Scan(folded, tuple(tokens))


def _fold(char: str) -> str:
    if char.isascii():
        return char.lower()
    if char in _FOLDED:
        return _FOLDED[char]
    decimal = unicodedata.decimal(char, None)
    if decimal is not None:
        return str(decimal)
    lower = char.lower()
    return lower if len(lower) == 1 else char


def _apart(text: str) -> bool:
    """Whether the token is never part of a code: a sign or a number with a fraction."""
    return text in SIGNS or "." in text


def _gap(between: str) -> int:
    if not between:
        return GLUED
    weak = all(char.isspace() or char in _WEAK_MARKS for char in between)
    return WEAK if weak else STRONG
