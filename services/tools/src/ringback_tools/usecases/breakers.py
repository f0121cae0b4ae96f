"""Owns this replica's breakers, one per dependency, and tells others when one changes."""

from __future__ import annotations

from ringback_tools.domain.breaker import Breaker, BreakerRule, BreakerState, allow, record, unused
from ringback_tools.domain.catalogue import Tool
from ringback_tools.domain.results import Answer, Answered
from ringback_tools.ports import Clock, Facts

__all__ = ["Breakers"]


class Breakers:
    """The state of every dependency that was called; tools without one have none."""

    def __init__(self, *, facts: Facts, clock: Clock) -> None:
        self._facts = facts
        self._clock = clock
        self._breakers: dict[tuple[str, BreakerRule], Breaker] = {}

    def allow(self, tool: Tool) -> bool:
        """Whether one attempt may go now; it must then be recorded, or be said to be unused."""
        if not tool.dependency:
            return True
        breaker, allowed = allow(self._breaker(tool), now_ms=self._clock.now_ms())
        self._breakers[tool.dependency, tool.breaker] = breaker
        return allowed

    def record(self, tool: Tool, answer: Answer, *, duration_ms: float) -> None:
        """Count how an attempt ended."""
        if not tool.dependency:
            return
        before = self._breaker(tool)
        ok = isinstance(answer, Answered) or not answer.blames
        after = record(before, ok=ok, duration_ms=duration_ms, now_ms=self._clock.now_ms())
        self._breakers[tool.dependency, tool.breaker] = after
        opened = after.state is BreakerState.OPEN and before.state is not BreakerState.OPEN
        closed = after.state is BreakerState.CLOSED and before.state is not BreakerState.CLOSED
        if opened or closed:
            self._facts.breaker_changed(tool.dependency, after)

    def unused(self, tool: Tool) -> None:
        """Take back an allowed attempt that was not made."""
        if tool.dependency:
            self._breakers[tool.dependency, tool.breaker] = unused(self._breaker(tool))

    def is_open(self, tool: Tool) -> bool:
        """Whether an attempt would be refused now; asks without taking a probe's place."""
        if not tool.dependency:
            return False
        return not allow(self._breaker(tool), now_ms=self._clock.now_ms())[1]

    def open(self) -> tuple[str, ...]:
        """Dependencies that are refused now; after `open_ms` no longer listed, so that the probe comes."""
        now_ms = self._clock.now_ms()
        found = {
            dependency
            for (dependency, rule), breaker in self._breakers.items()
            if breaker.state is BreakerState.OPEN and now_ms - breaker.opened_at_ms < rule.open_ms
        }
        return tuple(sorted(found))

    def _breaker(self, tool: Tool) -> Breaker:
        key = (tool.dependency, tool.breaker)
        found = self._breakers.get(key)
        if found is None:
            found = Breaker(rule=tool.breaker, half_started_ms=self._clock.now_ms())
            self._breakers[key] = found
        return found
