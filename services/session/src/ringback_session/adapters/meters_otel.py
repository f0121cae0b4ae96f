"""The replica's own metrics over OpenTelemetry, and the probe that measures its event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ringback_telemetry import counter, gauge, histogram, names

__all__ = ["MetersWithOtel", "measure_loop"]

PROBE_MS = 100


class MetersWithOtel:
    """Implements `ports.Meters`."""

    def refused(self, reason: str) -> None:
        counter(names.Metric.REFUSED).add(1, {names.Attr.REASON: reason})

    def sessions(self, number: int) -> None:
        gauge(names.Metric.SESSIONS).set(number)

    def loop_lag(self, late_ms: float) -> None:
        histogram(names.Metric.LOOP_LAG_MS).record(late_ms)


async def measure_loop(on_sample: Callable[[float], None]) -> None:
    """Tell, until cancelled, how much later than asked the loop came back. Its own clock would not show a stall."""
    while True:
        due = time.monotonic() + PROBE_MS / 1000
        await asyncio.sleep(PROBE_MS / 1000)
        # A timer may fire within the clock's resolution before it is due.
        on_sample(max(0.0, time.monotonic() - due) * 1000)
