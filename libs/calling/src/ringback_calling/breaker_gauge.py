"""Owns how the state of a breaker shows in the metrics: a number for each dependency."""

from __future__ import annotations

from typing import Final

from ringback_telemetry import gauge, names

from ringback_calling.breaker import BreakerState

__all__ = ["show_breaker"]

_VALUES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


def show_breaker(dependency: str, state: BreakerState) -> None:
    """Sets the gauge of a dependency's breaker."""
    gauge(names.Metric.BREAKER_STATE).set(_VALUES[state], {names.Attr.DEPENDENCY: dependency})
