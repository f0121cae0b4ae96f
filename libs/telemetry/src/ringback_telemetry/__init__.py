"""Spans, metrics and logs: set-up, propagation, and one registry of names.

`setup` once per process; then `span`, `histogram`, `counter` and `gauge` with names from `names`. Without an
endpoint everything here is a cheap no-op that still hands a caller's trace context on.
"""

from ringback_telemetry import names
from ringback_telemetry.logs import setup_logging
from ringback_telemetry.metrics import counter, gauge, histogram, metrics_enabled
from ringback_telemetry.redaction import redact
from ringback_telemetry.setup import Telemetry, setup
from ringback_telemetry.tracing import (
    Context,
    Span,
    SpanKind,
    add_event,
    current_traceparent,
    extract,
    inject,
    mark_error,
    set_attributes,
    span,
    start_span,
    tracer,
    tracing_enabled,
)

__all__ = [
    "Context",
    "Span",
    "SpanKind",
    "Telemetry",
    "add_event",
    "counter",
    "current_traceparent",
    "extract",
    "gauge",
    "histogram",
    "inject",
    "mark_error",
    "metrics_enabled",
    "names",
    "redact",
    "set_attributes",
    "setup",
    "setup_logging",
    "span",
    "start_span",
    "tracer",
    "tracing_enabled",
]
