"""Owns what a running tool says of its progress: safe to speak, at a bounded rate, the newest word first.

A tool may say as much as it likes. The first word goes on at once; what follows within the gap replaces what
waited before it, and goes on at the gap's end.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ringback_tools.domain.messages import clean_text
from ringback_tools.ports import Clock
from ringback_tools.usecases.execution import Execution, Progress

__all__ = ["GAP_MS", "TOLD_MAX", "Teller"]

GAP_MS: Final = 1_000
# Of one execution; below what it keeps for observers, so that its end always has a place.
TOLD_MAX: Final = 256


class Teller:
    """Tells an execution's observers what its tool says."""

    def __init__(self, execution: Execution, *, clock: Clock) -> None:
        self._execution = execution
        self._clock = clock
        self._told = 0
        self._said = ""
        self._waiting = ""
        self._next_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, text: str) -> None:
        """Take a word; one that must not be spoken, or was just said, is left out. Never waits."""
        said = clean_text(text)
        if not said or said == (self._waiting or self._said) or self._told >= TOLD_MAX:
            return
        left_ms = self._next_ms - self._clock.elapsed_ms()
        if left_ms <= 0:
            self._tell(said)
            return
        self._waiting = said
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left_ms / 1000, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._waiting:
            self._tell(self._waiting)

    def _tell(self, text: str) -> None:
        now_ms = self._clock.elapsed_ms()
        self._said, self._waiting = text, ""
        self._told += 1
        self._next_ms = now_ms + GAP_MS
        self._execution.emit(Progress(text, int(now_ms - self._execution.started_ms)))
        if self._execution.pass_on is not None:
            self._execution.pass_on(text)
