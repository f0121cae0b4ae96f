"""The named timers of one call: starting one again moves it."""

from __future__ import annotations

from collections.abc import Callable

from ringback_session.domain.effects import StartTimer, StopTimer
from ringback_session.ports import Clock, TimerHandle

__all__ = ["Timers"]


class Timers:
    def __init__(self, clock: Clock, on_fired: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_fired = on_fired
        self._running: dict[str, TimerHandle] = {}

    def perform(self, effect: StartTimer | StopTimer) -> None:
        if isinstance(effect, StartTimer):
            self.start(effect.name, effect.delay_ms)
        else:
            self.stop(effect.name)

    def start(self, name: str, delay_ms: int) -> None:
        self.stop(name)
        self._running[name] = self._clock.call_later(delay_ms, lambda: self._fired(name))

    def stop(self, name: str) -> None:
        handle = self._running.pop(name, None)
        if handle is not None:
            handle.cancel()

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def _fired(self, name: str) -> None:
        self._running.pop(name, None)
        self._on_fired(name)
