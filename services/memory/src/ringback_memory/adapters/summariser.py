"""Owns the embedded summariser behind the port: extractive, deterministic, without a network."""

from __future__ import annotations

from collections.abc import Sequence

from ringback_memory.domain.state import Summary, Turn
from ringback_memory.domain.summary import fold_turns


class ExtractiveSummariser:
    """Keeps the sentences that carry something, in their speakers' own words."""

    async def summarise(self, summary: Summary, *, turns: Sequence[Turn], deadline_ms: int) -> str:
        """The new summary's text."""
        return fold_turns(summary, turns).text
