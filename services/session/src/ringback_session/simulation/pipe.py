"""A way from one actor to another: what goes in comes out in order, a little later, until it is cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ringback_session.simulation.weather import Weather

__all__ = ["Pipe"]


class Pipe:
    """`arrives` is called with each thing that went in."""

    def __init__(self, weather: Weather, arrives: Callable[[bytes], None], *, delay_ms: int) -> None:
        self._weather = weather
        self._arrives = arrives
        self._delay_ms = delay_ms
        self._under_way: deque[bytes] = deque()
        self.is_cut = False

    def send(self, frame: bytes) -> None:
        if self.is_cut:
            return
        self._under_way.append(frame)
        if len(self._under_way) == 1:
            self._weather.later(self._delay_ms, self._deliver)

    def after(self, do: Callable[[], None]) -> None:
        """Something that happens when all that is under way has come out, such as a close."""
        self._weather.later(self._delay_ms + 1, do)

    def cut(self) -> None:
        """What is under way is lost."""
        self.is_cut = True
        self._under_way.clear()

    def _deliver(self) -> None:
        frames, self._under_way = self._under_way, deque()
        for frame in frames:
            if not self.is_cut:
                self._arrives(frame)
