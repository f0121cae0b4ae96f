"""Owns the counting of what the use cases report."""

from __future__ import annotations

from ringback_telemetry import counter
from ringback_telemetry.names import Attr, Metric


class MetricGauges:
    """Counts into the process's metrics."""

    def fell_back(self, reason: str) -> None:
        """A declared fallback was taken."""
        counter(Metric.FALLBACKS).add(1, {Attr.REASON: reason})
