"""Facts leave a call in bursts: what is made while something is being done for the caller goes on the bus after it.

A fact costs each side about as much work as the small steps that it tells of, and whoever consumes facts works on the
same cores as whoever must answer the call now. So the facts of a session wait for each other, in their order, until
none was made for `GATHER_MS`: an action's then leave together when it is over, also where it takes longer than it
should. Nothing depends on the wait: until the stream has a fact it is in the outbox of the session's record.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Final

from ringback_session.domain.effects import Publish
from ringback_session.ports import Clock, Facts, Pinned, TimerHandle

__all__ = ["GATHER_MS", "WAIT_MS_MAX", "GatheredFacts"]

# As long as a step of a quick action may take; with more the burst meets what is done next.
GATHER_MS: Final = 8
# No fact waits longer: far below what anybody who watches can tell.
WAIT_MS_MAX: Final = 100
WAITING_MAX: Final = 32
# Nobody comes back to a session that has ended: nothing of it may be left here.
_AT_ONCE: Final = frozenset({"session_ended"})


class _Waiting:
    """What one session's next burst will be. The trace that a fact belongs to is the one in which it was made."""

    __slots__ = ("began_ms", "facts", "last_ms", "timer")

    def __init__(self, began_ms: int) -> None:
        self.facts: list[tuple[Context, Publish, Pinned, Callable[[], None]]] = []
        self.timer: TimerHandle | None = None
        self.began_ms = self.last_ms = began_ms

    def due_ms(self) -> int:
        return min(self.last_ms + GATHER_MS, self.began_ms + WAIT_MS_MAX)


class GatheredFacts:
    """Implements `ports.Facts`: hands them on, a session's together."""

    def __init__(self, inner: Facts, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None:
        session_id, now_ms = pinned.session_id, self._clock.now_ms()
        waiting = self._waiting.get(session_id)
        if waiting is None:
            waiting = self._waiting[session_id] = _Waiting(now_ms)
            self._look_later(session_id, waiting, GATHER_MS)
        waiting.last_ms = now_ms
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

    def _look_later(self, session_id: str, waiting: _Waiting, delay_ms: int) -> None:
        waiting.timer = self._clock.call_later(delay_ms, lambda: self._look(session_id, waiting))

    def _look(self, session_id: str, waiting: _Waiting) -> None:
        """Did one more come meanwhile? Looked after here: a timer for each would cost as much as it saves."""
        left_ms = waiting.due_ms() - self._clock.now_ms()
        # A clock that was put back must not hold anything up.
        if 0 < left_ms <= GATHER_MS:
            self._look_later(session_id, waiting, left_ms)
        else:
            self.hurry(session_id)
