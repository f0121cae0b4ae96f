"""Owns metrics: instruments under registered names, with attributes that stay few.

Ids of sessions, turns and actions are refused as attributes of a metric: each value is a series of its own,
kept for the life of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.metrics import Meter
from opentelemetry.util.types import AttributeValue
from ringback_errors import InvalidInput

from ringback_telemetry import names

__all__ = ["Counter", "Gauge", "Histogram", "counter", "gauge", "histogram", "metrics_enabled", "use_meter"]

UNBOUNDED: Final = frozenset(
    {
        names.Attr.SESSION_ID,
        names.Attr.TURN_ID,
        names.Attr.RESPONSE_ID,
        names.Attr.ACTION_ID,
        names.Attr.DECISION_ID,
        names.Attr.CONSENT_ID,
        names.Attr.GEN_AI_CONVERSATION_ID,
        names.Attr.GEN_AI_RESPONSE_ID,
        names.Attr.GEN_AI_TOOL_CALL_ID,
        names.Attr.MESSAGING_MESSAGE_ID,
        names.Attr.MESSAGING_DESTINATION_NAME,
        names.Attr.SEQ,
    }
)

Attributes = Mapping[str, AttributeValue]


class _Current:
    meter: Meter | None = None


_instruments: dict[str, Any] = {}


class Histogram:
    """A registered histogram."""

    __slots__ = ("_inner",)

    def __init__(self, name: str, meter: Meter | None) -> None:
        known = names.METRICS[name]
        self._inner = (
            meter.create_histogram(
                name,
                unit=known.unit,
                description=known.description,
                explicit_bucket_boundaries_advisory=known.bounds,
            )
            if meter
            else None
        )

    def record(self, value: float, attributes: Attributes | None = None) -> None:
        """Record one value, in the metric's unit."""
        if attributes:
            _check(attributes)
        if self._inner is not None:
            self._inner.record(value, attributes)


class Counter:
    """A registered counter."""

    __slots__ = ("_inner",)

    def __init__(self, name: str, meter: Meter | None) -> None:
        known = names.METRICS[name]
        self._inner = (
            meter.create_counter(name, unit=known.unit, description=known.description) if meter else None
        )

    def add(self, amount: float = 1, attributes: Attributes | None = None) -> None:
        """Add to the count; never negative."""
        if attributes:
            _check(attributes)
        if self._inner is not None:
            self._inner.add(amount, attributes)


class Gauge:
    """A registered gauge: the last value set counts."""

    __slots__ = ("_inner",)

    def __init__(self, name: str, meter: Meter | None) -> None:
        known = names.METRICS[name]
        self._inner = (
            meter.create_gauge(name, unit=known.unit, description=known.description) if meter else None
        )

    def set(self, value: float, attributes: Attributes | None = None) -> None:
        """Set the current value."""
        if attributes:
            _check(attributes)
        if self._inner is not None:
            self._inner.set(value, attributes)


def use_meter(meter: Meter | None) -> None:
    """Make this the meter of the process; `setup` calls it."""
    _Current.meter = meter
    _instruments.clear()


def metrics_enabled() -> bool:
    """Whether metrics are recorded in this process: for a hot path that would make attributes for nobody."""
    return _Current.meter is not None


def histogram(name: str) -> Histogram:
    """The histogram of this name; raises InvalidInput unless the registry has it as a histogram."""
    return _instrument(name, "histogram", Histogram)  # type: ignore[no-any-return]


def counter(name: str) -> Counter:
    """The counter of this name; raises InvalidInput unless the registry has it as a counter."""
    return _instrument(name, "counter", Counter)  # type: ignore[no-any-return]


def gauge(name: str) -> Gauge:
    """The gauge of this name; raises InvalidInput unless the registry has it as a gauge."""
    return _instrument(name, "gauge", Gauge)  # type: ignore[no-any-return]


def _instrument(name: str, kind: str, make: Any) -> Any:
    found = _instruments.get(name)
    if type(found) is make:
        return found
    known = names.METRICS.get(name)
    if known is None or known.kind != kind:
        raise InvalidInput(
            f"expected a {kind} name of the registry (names.Metric), got {name!r}", field="metric"
        )
    found = make(name, _Current.meter)
    _instruments[name] = found
    return found


def _check(attributes: Attributes) -> None:
    for name in attributes:
        if name not in names.ATTRIBUTES:
            raise InvalidInput(
                f"expected an attribute name of the registry (names.Attr), got {name!r}", field="attribute"
            )
        if name in UNBOUNDED:
            raise InvalidInput(
                f"{name!r} has too many values for a metric; put it on a span", field="attribute"
            )
