"""Who else hears of a session's facts as they are made: watchers, and the ledger of what was spent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback_session.domain.effects import Publish
from ringback_session.ports import Facts, Pinned

__all__ = ["Listener", "ObservedFacts"]


class Listener(Protocol):
    """Told of each fact once, as its call makes it. Never raises, never waits."""

    def __call__(self, fact: Publish, pinned: Pinned) -> None: ...


class ObservedFacts:
    """Implements `ports.Facts`: passes each on, and tells the listeners. What a former owner made is no news."""

    def __init__(self, inner: Facts) -> None:
        self._inner = inner
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None:
        self._inner.publish(fact, pinned, on_ack)
        if fact.epoch == pinned.epoch:
            for listener in self._listeners:
                listener(fact, pinned)

    def hurry(self, session_id: str) -> None:
        self._inner.hurry(session_id)
