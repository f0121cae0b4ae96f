"""Owns the spans and figures of executions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import StatusCode
from ringback_telemetry import (
    counter,
    current_traceparent,
    histogram,
    metrics_enabled,
    span,
    tracing_enabled,
)
from ringback_telemetry.names import Attr, Metric, Span

from ringback_tools.domain.results import Answer, Answered, Result, Status

__all__ = ["NoTracing", "OtelTracing"]

_ATTRIBUTES: Final = {
    "tenant": Attr.TENANT,
    "session_id": Attr.SESSION_ID,
    "epoch": Attr.EPOCH,
    "action_id": Attr.ACTION_ID,
    "decision_id": Attr.DECISION_ID,
    "tool": Attr.TOOL,
    "tool_version": Attr.TOOL_VERSION,
    "side_effect": Attr.SIDE_EFFECT,
    "connector": Attr.CONNECTOR,
    "dependency": Attr.DEPENDENCY,
    "attempt": Attr.ATTEMPT,
}


class OtelTracing:
    """Spans under the registered names; where nothing is exported, nothing is made."""

    def execution(self, record: Mapping[str, Any]) -> AbstractContextManager[Callable[[Result], None]]:
        return self._execution(record) if _heard() else _UNHEARD

    def attempt(self, record: Mapping[str, Any]) -> AbstractContextManager[Callable[[Answer], None]]:
        return self._attempt(record) if _heard() else _UNHEARD

    @contextmanager
    def _execution(self, record: Mapping[str, Any]) -> Iterator[Callable[[Result], None]]:
        with span(Span.TOOLS_EXECUTE, attributes=_named(record)) as found:

            def tell(result: Result) -> None:
                outcome = result.error_code.value if result.error_code else result.status.value
                found.set_attribute(Attr.OUTCOME, outcome)
                found.set_attribute(Attr.ATTEMPTS, result.attempts)
                if result.status is not Status.OK:
                    found.set_status(StatusCode.ERROR, outcome)
                labels = {Attr.TOOL: str(record["tool"]), Attr.OUTCOME: outcome}
                histogram(Metric.TOOL_MS).record(result.duration_ms, labels)
                counter(Metric.ACTIONS).add(1, labels)

            yield tell

    @contextmanager
    def _attempt(self, record: Mapping[str, Any]) -> Iterator[Callable[[Answer], None]]:
        labels = {Attr.TOOL: str(record["tool"]), Attr.DEPENDENCY: str(record["dependency"])}
        if record["attempt"] > 1:
            counter(Metric.RETRIES).add(1, labels)
        started = time.monotonic()
        with span(Span.TOOLS_ATTEMPT, attributes=_named(record)) as found:
            yield lambda answer: _tell(found, answer)
        histogram(Metric.TOOL_ATTEMPT_MS).record((time.monotonic() - started) * 1000, labels)

    @contextmanager
    def check(self, record: Mapping[str, Any]) -> Iterator[Callable[[Answer], None]]:
        with span(Span.TOOLS_CHECK, attributes=_named(record)) as found:
            yield lambda answer: _tell(found, answer)

    def trace_id(self) -> str:
        found = current_traceparent()
        return found.split("-")[1] if found else ""


def _heard() -> bool:
    return tracing_enabled() or metrics_enabled()


def _deaf(_: object) -> None: ...


_UNHEARD: Final = nullcontext(_deaf)


class NoTracing:
    """No spans."""

    @contextmanager
    def execution(self, record: Mapping[str, Any]) -> Iterator[Callable[[Result], None]]:
        yield lambda result: None

    @contextmanager
    def attempt(self, record: Mapping[str, Any]) -> Iterator[Callable[[Answer], None]]:
        yield lambda answer: None

    @contextmanager
    def check(self, record: Mapping[str, Any]) -> Iterator[Callable[[Answer], None]]:
        yield lambda answer: None

    def trace_id(self) -> str:
        return ""


def _named(record: Mapping[str, Any]) -> dict[str, Any]:
    return {_ATTRIBUTES[name]: value for name, value in record.items() if name in _ATTRIBUTES}


def _tell(found: OtelSpan, answer: Answer) -> None:
    if isinstance(answer, Answered):
        found.set_attribute(Attr.OUTCOME, "ok")
        return
    found.set_attribute(Attr.OUTCOME, answer.code.value)
    found.set_attribute(Attr.REASON, answer.detail)
    found.set_status(StatusCode.ERROR, answer.code.value)
