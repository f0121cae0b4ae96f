"""Owns spans: starting them under registered names, their status on error, and W3C trace context on every
hop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)
from opentelemetry.util.types import AttributeValue
from ringback_errors import InvalidInput, RingbackError

from ringback_telemetry import names
from ringback_telemetry.redaction import redact

__all__ = [
    "Context",
    "Span",
    "SpanKind",
    "add_event",
    "current_traceparent",
    "extract",
    "inject",
    "mark_error",
    "set_attributes",
    "span",
    "start_span",
    "tracer",
    "tracing_enabled",
    "use_tracer",
]

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
_HEX: Final = frozenset("0123456789abcdef")
_GRPC_SPANS_MAX: Final = 4096


class _Current:
    """The process's tracer; None while nothing is exported."""

    tracer: Tracer | None = None


_NOOP: Final = NoOpTracer()
_seen_grpc: set[str] = set()


def use_tracer(found: Tracer | None) -> None:
    """Make this the tracer of the process; `setup` calls it."""
    _Current.tracer = found


def tracing_enabled() -> bool:
    """Whether spans are recorded in this process."""
    return _Current.tracer is not None


def tracer() -> Tracer:
    """The process's tracer, for the rare case that `span` does not fit; its user checks the names."""
    return _Current.tracer or _NOOP


def start_span(
    name: str,
    *,
    parent: Context | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    began_ms_ago: float = 0.0,
) -> Span:
    """A started span that is *not* made current; whoever starts it ends it (`mark_error` first, on failure).

    For what outlives a block: a streaming call, or a turn. Raises InvalidInput for a name outside the
    registry.
    """
    _check_span(name)
    if attributes:
        _check_attributes(attributes)
    current = _Current.tracer
    if current is None:
        return NonRecordingSpan(trace.get_current_span(parent).get_span_context())
    return current.start_span(
        name,
        context=parent,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
        start_time=time.time_ns() - int(began_ms_ago * 1e6) if began_ms_ago else None,
    )


def span(
    name: str,
    *,
    parent: Context | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> SpanScope:
    """A context manager that yields the span and makes it current inside.

    `parent` defaults to the current context. An error that leaves the block becomes the span's status: the
    code of a RingbackError, ``cancelled`` for a cancellation, else the exception's class and no text.
    """
    return SpanScope(start_span(name, parent=parent, attributes=attributes, kind=kind), parent)


class SpanScope:
    """A started span, current between enter and exit, ended at exit."""

    __slots__ = ("_parent", "_span", "_token")

    def __init__(self, started: Span, parent: Context | None = None) -> None:
        self._span = started
        self._parent = parent

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span, self._parent))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        if error is not None:
            mark_error(self._span, error)
        self._span.end()
        otel_context.detach(self._token)


def mark_error(target: Span, error: BaseException) -> None:
    """Write an error into a span: ``error.type`` and the status; never a stack trace or a stranger's text."""
    if not target.is_recording():
        return
    match error:
        case RingbackError():
            target.set_attribute(names.Attr.ERROR_TYPE, error.code)
            target.set_status(Status(StatusCode.ERROR, redact(str(error))))
        case asyncio.CancelledError():
            target.set_attribute(names.Attr.ERROR_TYPE, "cancelled")
        case GeneratorExit():
            pass
        case _:
            target.set_attribute(names.Attr.ERROR_TYPE, type(error).__name__)
            target.set_status(Status(StatusCode.ERROR))


def set_attributes(target: Span, attributes: Mapping[str, AttributeValue]) -> None:
    """Set registered attributes on a span; raises InvalidInput for a name outside the registry."""
    _check_attributes(attributes)
    if target.is_recording():
        target.set_attributes(attributes)


def add_event(target: Span, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
    """Add a registered event to a span."""
    if name not in names.EVENTS:
        raise _unregistered("event", name, "Event")
    if attributes:
        _check_attributes(attributes)
    target.add_event(name, attributes)


def inject(carrier: MutableMapping[str, str], context: Context | None = None) -> None:
    """Write W3C ``traceparent`` (and ``tracestate``, if any) of a context, by default the current one."""
    found = trace.get_current_span(context).get_span_context()
    if not found.is_valid:
        return
    carrier[TRACEPARENT] = _header(found)
    if found.trace_state:
        carrier[TRACESTATE] = found.trace_state.to_header()


def extract(carrier: Mapping[str, str]) -> Context:
    """A fresh context below the carrier's ``traceparent``; empty where that is absent or malformed."""
    header = carrier.get(TRACEPARENT)
    found = _parsed(header, carrier.get(TRACESTATE)) if header else None
    if found is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(found), Context())


def current_traceparent(target: Span | None = None) -> str | None:
    """The ``traceparent`` header of a span, by default the current one; None outside any trace."""
    found = (target or trace.get_current_span()).get_span_context()
    return _header(found) if found.is_valid else None


def _header(found: SpanContext) -> str:
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def _parsed(header: str, state: str | None) -> SpanContext | None:
    """W3C Trace Context §3.2: 2-32-16-2 lower-case hex; a later version may append more after a dash."""
    parts = header.split("-", 4)
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    version, trace_id, span_id, flags = parts[:4]
    if version == "ff" or (version == "00" and len(parts) > 4) or not _HEX.issuperset("".join(parts[:4])):
        return None
    found = SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & 0x03),  # sampled, random: all that is defined
        trace_state=TraceState.from_header([state[:512]]) if state else None,
    )
    return found if found.is_valid else None


def _check_span(name: str) -> None:
    if name in names.SPANS or name in _seen_grpc:
        return
    service, _, method = name.removeprefix(names.GRPC_PREFIX).partition("/")
    if not name.startswith(names.GRPC_PREFIX) or not service or not method:
        raise _unregistered("span", name, "Span")
    if len(_seen_grpc) < _GRPC_SPANS_MAX:
        _seen_grpc.add(name)


def _check_attributes(attributes: Mapping[str, AttributeValue]) -> None:
    for name in attributes:
        if name not in names.ATTRIBUTES:
            raise _unregistered("attribute", name, "Attr")


def _unregistered(what: str, name: str, home: str) -> InvalidInput:
    return InvalidInput(f"expected a {what} name of the registry (names.{home}), got {name!r}", field=what)
