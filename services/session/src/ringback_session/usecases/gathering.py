"""Facts leave a call in bursts: what is made while something is being done for the caller goes on the bus after it.

A fact costs each side about as much work as the small steps that it tells of, and whoever consumes facts works on the
same cores as whoever must answer the call now. So the facts of a session wait for each other for `GATHER_MS`, in their
order. Nothing depends on the wait: until the stream has a fact it is in the outbox of the session's record.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Final

from ringback_session.domain.effects import Publish
from ringback_session.ports import Clock, Facts, Pinned, TimerHandle

__all__ = ["GATHER_MS", "GatheredFacts"]

# Longer than a quick action takes from the model's call to its output; far below what anybody who watches can tell.
GATHER_MS: Final = 20
WAITING_MAX: Final = 32
# Nobody comes back to a session that has ended: nothing of it may be left here.
_AT_ONCE: Final = frozenset({"session_ended"})


class _Waiting:
    """What one session's next burst will be. The trace that a fact belongs to is the one in which it was made."""

    __slots__ = ("facts", "timer")

    def __init__(self) -> None:
        self.facts: list[tuple[Context, Publish, Pinned, Callable[[], None]]] = []
        self.timer: TimerHandle | None = None


class GatheredFacts:
    """Implements `ports.Facts`: hands them on, a session's together."""

    def __init__(self, inner: Facts, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None:
        session_id = pinned.session_id
        waiting = self._waiting.get(session_id)
        if waiting is None:
            waiting = self._waiting[session_id] = _Waiting()
            waiting.timer = self._clock.call_later(GATHER_MS, lambda: self.hurry(session_id))
        waiting.facts.append((copy_context(), fact, pinned, on_ack))
        if fact.kind in _AT_ONCE or len(waiting.facts) >= WAITING_MAX:
            self.hurry(session_id)

    def hurry(self, session_id: str) -> None:
        waiting = self._waiting.pop(session_id, None)
        if waiting is None:
            return
        if waiting.timer is not None:
            waiting.timer.cancel()
        for context, fact, pinned, on_ack in waiting.facts:
            context.run(self._inner.publish, fact, pinned, on_ack)
        self._inner.hurry(session_id)
