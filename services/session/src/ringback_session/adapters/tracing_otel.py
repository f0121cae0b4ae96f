"""Spans of one call: a trace per turn, and per-turn metrics as they happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from ringback_telemetry import Context, Span, counter, current_traceparent, names, start_span

__all__ = ["TracingWithOtel"]

log = logging.getLogger(__name__)
_ATTRIBUTES = {
    "session_id": names.Attr.SESSION_ID,
    "turn_id": names.Attr.TURN_ID,
    "tenant": names.Attr.TENANT,
    "agent": names.Attr.AGENT,
    "epoch": names.Attr.EPOCH,
}


class TracingWithOtel:
    """Implements `ports.Tracing` for one call."""

    def __init__(self) -> None:
        self._turn: Span | None = None
        self._context: Context | None = None

    def begin_turn(self, attributes: Mapping[str, Any]) -> None:
        self.end_turn()
        named = {_ATTRIBUTES[key]: value for key, value in attributes.items()}
        self._turn = start_span(names.Span.TURN, parent=Context(), attributes=named)
        self._context = trace.set_span_in_context(self._turn, Context())

    def end_turn(self) -> None:
        """The context stays: what comes late of the turn still belongs to its trace."""
        if self._turn is not None:
            self._turn.end()
            self._turn = None
            counter(names.Metric.TURNS).add(1)

    def traceparent(self) -> str | None:
        return current_traceparent()

    def failed(self, error: Exception) -> None:
        log.error("a call failed", exc_info=error)

    def bad_model_frame(self) -> None:
        counter(names.Metric.REFUSED).add(1, {names.Attr.REASON: "bad_model_frame"})

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        if self._context is None:
            yield
            return
        token = otel_context.attach(self._context)
        try:
            yield
        finally:
            otel_context.detach(token)
