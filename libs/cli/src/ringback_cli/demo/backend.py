"""Owns what the demo asks the reservation system behind the tools' back: its ledger, and to misbehave."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import msgspec
from ringback_errors import Unavailable

from ringback_cli.caller.script import BackendFault

__all__ = ["Backend"]

_TIMEOUT_S = 5.0


class Backend:
    """The reservation system's own face for operators."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ledger(self) -> list[dict[str, Any]]:
        """Every effect that was ever booked, oldest first."""
        answer = await self._ask("GET", "/ledger")
        entries: list[dict[str, Any]] = answer["entries"]
        return entries

    async def set_faults(self, faults: Sequence[BackendFault]) -> None:
        """Replace the faults in force."""
        await self._ask("DELETE", "/faults")
        # The system meets the newest first, so the first of the list is added last.
        for fault in reversed(faults):
            await self._ask("POST", "/faults", msgspec.to_builtins(fault))

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return await asyncio.to_thread(self._ask_blocking, method, path, body)

    def _ask_blocking(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + path, method=method, data=json.dumps(body).encode() if body is not None else None
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise Unavailable(f"the reservation system at {self._url}{path}: {error}") from None
