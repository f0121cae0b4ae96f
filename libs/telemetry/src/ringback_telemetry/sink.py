"""Owns an OTLP/gRPC collector inside a process, for tests and demonstrations: it keeps the last it got."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from ringback_errors import ConfigError

from ringback_telemetry import names

SpanDict = dict[str, Any]
MetricDict = dict[str, Any]


class OtlpSink:
    """Receives spans and metrics over OTLP/gRPC and keeps the last `spans_max` of each.

    A span is a dict: name, service, instance, trace_id, span_id, parent_id, kind, start_ns, end_ns,
    attributes, events, error (bool), status. A metric is a dict: name, service, kind, points (attributes,
    value or sum and count).
    """

    def __init__(
        self, port: int = 0, *, host: str = "127.0.0.1", spans_max: int = 50_000, file: Path | None = None
    ) -> None:
        self._spans: deque[SpanDict] = deque(maxlen=spans_max)
        self._metrics: deque[MetricDict] = deque(maxlen=spans_max)
        self._changed = threading.Condition()
        self._file = file.open("a", encoding="utf-8") if file else None
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _Traces(self), self._server
        )
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _Metrics(self), self._server
        )
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            raise ConfigError(f"{host}:{port} is taken: give the sink another port, or 0") from None
        self.endpoint = f"{host}:{bound}"
        self._server.start()

    def __enter__(self) -> OtlpSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def spans(self) -> list[SpanDict]:
        """The spans received so far, oldest first."""
        with self._changed:
            return list(self._spans)

    @property
    def metrics(self) -> list[MetricDict]:
        """The metrics received so far, oldest first."""
        with self._changed:
            return list(self._metrics)

    def wait_for(self, predicate: Callable[[list[SpanDict]], Any], timeout_s: float = 10.0) -> list[SpanDict]:
        """Wait until the predicate holds for the spans, and return them; blocks. Raises TimeoutError.

        In an event loop: ``await asyncio.to_thread(sink.wait_for, …)``.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(list(self._spans)), timeout_s):
                seen = ", ".join(sorted({f"{span['service']}: {span['name']}" for span in self._spans}))
                raise TimeoutError(f"not seen within {timeout_s} s; spans so far: {seen or 'none'}")
            return list(self._spans)

    def trace(self, trace_id: str) -> list[SpanDict]:
        """The spans of one trace by start time."""
        return sorted(
            (span for span in self.spans if span["trace_id"] == trace_id), key=lambda span: span["start_ns"]
        )

    def unregistered(self) -> set[str]:
        """Names that were received and are not in the registry; a test asserts that this is empty."""
        found = set()
        for span in self.spans:
            if span["name"] not in names.SPANS and not span["name"].startswith(names.GRPC_PREFIX):
                found.add(f"span {span['name']}")
            events = {event["name"] for event in span["events"]}
            found |= {f"event {name}" for name in events - names.EVENTS.keys()}
            found |= {f"attribute {name}" for name in span["attributes"].keys() - names.ATTRIBUTES.keys()}
        received = {metric["name"] for metric in self.metrics}
        return found | {f"metric {name}" for name in received - names.METRICS.keys()}

    def clear(self) -> None:
        """Forget what was received."""
        with self._changed:
            self._spans.clear()
            self._metrics.clear()

    def close(self) -> None:
        """Stop receiving."""
        self._server.stop(grace=0.5).wait()
        if self._file:
            self._file.close()

    def _take(self, spans: Iterable[SpanDict] = (), metrics: Iterable[MetricDict] = ()) -> None:
        with self._changed:
            for span in spans:
                self._spans.append(span)
                if self._file:
                    self._file.write(json.dumps(span) + "\n")
            self._metrics.extend(metrics)
            if self._file:
                self._file.flush()
            self._changed.notify_all()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, sink: OtlpSink) -> None:
        self._sink = sink

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._sink._take(
            spans=[
                _span(span, resource)
                for group in request.resource_spans
                for resource in (_attributes(group.resource.attributes),)
                for scope in group.scope_spans
                for span in scope.spans
            ]
        )
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, sink: OtlpSink) -> None:
        self._sink = sink

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._sink._take(
            metrics=[
                _metric(metric, resource)
                for group in request.resource_metrics
                for resource in (_attributes(group.resource.attributes),)
                for scope in group.scope_metrics
                for metric in scope.metrics
            ]
        )
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _span(span: Any, resource: dict[str, Any]) -> SpanDict:
    return {
        "name": span.name,
        "service": resource.get(names.Attr.SERVICE_NAME, ""),
        "instance": resource.get(names.Attr.SERVICE_INSTANCE_ID, ""),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "kind": span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": _attributes(span.attributes),
        "events": [
            {"name": event.name, "time_ns": event.time_unix_nano, "attributes": _attributes(event.attributes)}
            for event in span.events
        ],
        "error": span.status.code == 2,
        "status": span.status.message,
    }


def _metric(metric: Any, resource: dict[str, Any]) -> MetricDict:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points if kind else ()
    return {
        "name": metric.name,
        "service": resource.get(names.Attr.SERVICE_NAME, ""),
        "kind": kind,
        "unit": metric.unit,
        "points": [_point(point) for point in points],
    }


def _point(point: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"attributes": _attributes(point.attributes)}
    if hasattr(point, "bucket_counts"):
        return {**found, "count": point.count, "sum": point.sum}
    return {**found, "value": getattr(point, point.WhichOneof("value") or "as_int")}


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
