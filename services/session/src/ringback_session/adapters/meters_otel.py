"""The replica's own metrics over OpenTelemetry, and the probe that measures its event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ringback_telemetry import counter, gauge, histogram, names

from ringback_session.domain.usage import PICO, Tokens

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

    def spent(self, tenant: str, model: str, tokens: Tokens, *, cost_pico: int, unpriced: int) -> None:
        of = {names.Attr.TENANT: tenant, names.Attr.GEN_AI_REQUEST_MODEL: model}
        for kind in tokens.__struct_fields__:
            used = getattr(tokens, kind)
            if used and kind != "audio_ms":
                counter(names.Metric.TOKENS_BILLED).add(used, of | {names.Attr.TOKEN_KIND: kind})
        if cost_pico:
            counter(names.Metric.COST_USD).add(cost_pico / PICO, of)
        if unpriced:
            counter(names.Metric.UNPRICED).add(unpriced, of)

    def budget(self, scope: str, level: str) -> None:
        counter(names.Metric.BUDGETS_CROSSED).add(1, {names.Attr.SCOPE: scope, names.Attr.LEVEL: level})

    def interrupted(self, stop_ms: float) -> None:
        histogram(names.Metric.INTERRUPT_STOP_MS).record(stop_ms)

    def handed_over(self, outcome: str, took_ms: float) -> None:
        histogram(names.Metric.HANDOFF_MS).record(took_ms, {names.Attr.OUTCOME: outcome})


async def measure_loop(on_sample: Callable[[float], None]) -> None:
    """Tell, until cancelled, how much later than asked the loop came back. Its own clock would not show a stall."""
    while True:
        due = time.monotonic() + PROBE_MS / 1000
        await asyncio.sleep(PROBE_MS / 1000)
        # A timer may fire within the clock's resolution before it is due.
        on_sample(max(0.0, time.monotonic() - due) * 1000)
