"""Owns the states at which a test may hold the process, to kill it there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ringback_tools.domain.holding import ON_REQUEST

__all__ = ["HoldAt", "HoldOnRequest", "NoPauses", "held_at"]


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


class HoldOnRequest:
    """Holds at the state that the file `hold` names, once per request, so that one stack serves many tests."""

    def __init__(self, *, folder: Path) -> None:
        self._request = folder / "hold"
        self._folder = folder

    async def at(self, state: str) -> None:
        """Pass, or stay if a test asked for it."""
        try:
            wanted = self._request.read_text().strip()
        except OSError:
            return
        if wanted == state:
            self._request.unlink(missing_ok=True)
            (self._folder / f"paused.{state}").touch()
            await asyncio.Event().wait()


def held_at(setting: str, *, folder: Path) -> HoldAt | HoldOnRequest | None:
    """What the setting RINGBACK_TEST_PAUSE_AT asks for; None outside tests."""
    if not setting:
        return None
    return HoldOnRequest(folder=folder) if setting == ON_REQUEST else HoldAt(setting, folder=folder)
