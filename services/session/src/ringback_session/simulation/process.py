"""One process of session, as the world outside sees it: it may die or stand still between any two of its words."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Process"]


class Process:
    """The gate that everything passes on its way into and out of a process.

    A dead process says nothing and hears nothing: what waits in it waits for ever. One that stands still says nothing
    either; what came for it meanwhile it takes in order when it goes on.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.words = 0
        self._held: deque[Callable[[], None]] | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._at_word: tuple[int, Callable[[], None]] | None = None

    @property
    def still(self) -> bool:
        return self._held is not None

    def kill(self) -> None:
        self.alive = False

    def stall(self) -> None:
        if self._held is None:
            self._held = deque()
            self._going.clear()

    def go_on(self) -> None:
        held, self._held = self._held, None
        self._going.set()
        while held:
            self.take(held.popleft())

    def after_words(self, count: int, do: Callable[[], None]) -> None:
        """Do something to this process at its n-th word from now."""
        if count == 0:
            do()
        else:
            self._at_word = (self.words + count, do)

    def spare(self) -> None:
        """Whatever was to happen to it at a later word does not."""
        self._at_word = None

    def take(self, arrival: Callable[[], None]) -> None:
        """Something arrives."""
        if not self.alive:
            return
        if self._held is not None:
            self._held.append(arrival)
        else:
            arrival()

    def says(self) -> bool:
        """Something leaves, unless the process is dead; returns whether it does."""
        self.words += 1
        if self._at_word is not None and self.words >= self._at_word[0]:
            _, do = self._at_word
            self._at_word = None
            do()
        return self.alive

    async def passes(self) -> None:
        """Wait until the process may go on; for ever, if it is dead."""
        while not (self.alive and self._held is None):
            if not self.alive:
                await asyncio.get_running_loop().create_future()
            await self._going.wait()
            if self._held is None:
                # In the order in which it came: after what was held.
                await asyncio.sleep(0)

    async def leaves(self) -> None:
        """A request leaves the process."""
        self.says()
        await self.passes()
