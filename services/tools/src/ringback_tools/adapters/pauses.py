"""Owns the states at which a test may hold the process, to kill it there."""

from __future__ import annotations

import asyncio
from pathlib import Path

__all__ = ["STATES", "HoldAt", "NoPauses"]

STATES = ("admitted", "attempting", "answered", "finished")


class NoPauses:
    """Passes every state."""

    async def at(self, state: str) -> None:
        """Pass."""


class HoldAt:
    """Holds at one state for good, after leaving the file `paused.<state>` as a sign."""

    def __init__(self, state: str, *, folder: Path) -> None:
        self._state = state
        self._folder = folder

    async def at(self, state: str) -> None:
        """Pass, or stay."""
        if state != self._state:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"paused.{state}").touch()
        await asyncio.Event().wait()
