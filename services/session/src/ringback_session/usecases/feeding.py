"""How whatever takes time gives its answer to the core of one call, and what waits there for its turn."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from ringback_session.domain.inputs import Input

__all__ = ["Feed", "Inbox"]


class Feed(Protocol):
    """Gives inputs to the core, in their order."""

    def __call__(self, *events: Input) -> None: ...


class Inbox(deque[Input]):
    """The inputs of one call that wait. Until it has begun, all do: others find it before its model answers.

    What they want of it would otherwise be done, and told, as of whoever had the call before.
    """

    is_open = False

    def opened(self, *first: Input) -> tuple[Input, ...]:
        """What is to be fed so that these come before all that waited for the beginning; the first time opens it."""
        waited: tuple[Input, ...] = ()
        if not self.is_open:
            self.is_open, waited = True, tuple(self)
            self.clear()
        return (*first, *waited)
