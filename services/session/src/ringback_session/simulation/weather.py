"""How the world around a call is at a moment: which part is away, late or wrong, and how long things take."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable

from ringback_session.simulation.plan import Plan
from ringback_session.simulation.virtual_loop import START_MS, VirtualLoop

__all__ = ["Weather"]

LOG_MAX = 20_000


class Weather:
    """Shared by all actors: virtual time, the faults that are on, delays, and what happened when."""

    def __init__(self, loop: VirtualLoop, plan: Plan, *, keeps_log: bool) -> None:
        self.loop = loop
        self.plan = plan
        self.log: list[str] = []
        self.violations: list[str] = []
        # What tells it at length asks first whether anybody reads it.
        self.keeps_log = keeps_log
        self._counts: Counter[str] = Counter()
        self._modes: dict[str, list[str]] = {}

    @property
    def ms(self) -> int:
        """Since the call's beginning."""
        return int(self.loop.time() * 1000 + 1e-6)

    @property
    def now_ms(self) -> int:
        return START_MS + self.ms

    def note(self, who: str, what: str) -> None:
        """For the trace of a failure."""
        if self.keeps_log and len(self.log) < LOG_MAX:
            self.log.append(f"{self.ms:>7} ms  {who:<9} {what}")

    def wrong(self, what: str) -> None:
        """Something that must hold does not."""
        self.violations.append(what)
        self.note("VIOLATION", what)

    def mode(self, who: str) -> str:
        """The fault that a part suffers now, or ""."""
        modes = self._modes.get(who)
        return modes[-1] if modes else ""

    def begin(self, who: str, mode: str) -> None:
        self._modes.setdefault(who, []).append(mode)

    def end(self, who: str, mode: str) -> None:
        modes = self._modes.get(who, [])
        if mode in modes:
            modes.remove(mode)

    def clear(self) -> None:
        self._modes.clear()

    def delay_ms(self, kind: str, base_ms: int) -> int:
        """How long something takes; with jitter between half and twice as long."""
        if not self.plan.jitter:
            return base_ms
        self._counts[kind] += 1
        share = zlib.crc32(f"{self.plan.seed}/{kind}/{self._counts[kind]}".encode()) % 1000
        return base_ms // 2 + base_ms * share * 3 // 2000

    async def passes(self, ms: int) -> None:
        await asyncio.sleep(ms / 1000)

    def later(self, ms: int, do: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(ms / 1000, do)
