"""Owns when a refusal goes out: after what came meanwhile was taken in.

Calls are handed over one by one in the order in which they came, and to answer one costs about as much as to take
one in. A burst that finds no place would so make a call of another tool wait for its refusals, too; instead a few of
these go out at once and the rest in small portions, and what has a place is at work by then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["LastInLine"]

# A portion each so often; together somewhat less than one process can answer, so that calls are taken in between.
PORTION: Final = 4
EVERY_MS: Final = 2
WAITING_MAX: Final = 2_000


class LastInLine:
    """Refusals that are decided and not yet told."""

    def __init__(self, *, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = PORTION
        self._refilling = False

    async def turn(self) -> None:
        """Return when it is this refusal's turn; at once if there is no line, or more wait already than may."""
        loop = asyncio.get_running_loop()
        if not self._refilling:
            self._refilling = True
            loop.call_later(EVERY_MS / 1000, self._refill, loop)
        if self._left > 0:
            self._left -= 1
        elif len(self._waiting) < self._waiting_max:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _refill(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = PORTION
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            # Whoever left meanwhile has none.
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        self._refilling = self._left < PORTION
        if self._refilling:
            loop.call_later(EVERY_MS / 1000, self._refill, loop)
