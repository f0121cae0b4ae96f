"""Owns patterns of everyday phrases that are tried only where they can match: most sentences hold none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator


class Cue:
    """A pattern, case aside, of which each match holds at least one of the pieces in `holds` ("a|b|c", lower case)."""

    __slots__ = ("_holds", "pattern")

    def __init__(self, pattern: str, *, holds: str) -> None:
        self.pattern = re.compile(pattern, re.I)
        self._holds = tuple(holds.split("|"))

    def search(self, text: str) -> re.Match[str] | None:
        """The first match."""
        return self.pattern.search(text) if self._possible(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Every match."""
        return self.pattern.finditer(text) if self._possible(text) else iter(())

    def _possible(self, text: str) -> bool:
        # Beyond ASCII several letters match one: there the pattern itself is asked.
        if not text.isascii():
            return True
        lower = text.lower()
        return any(map(lower.__contains__, self._holds))
