"""Owns the process's telemetry: providers, the bounded batch exporters, and their end."""

from __future__ import annotations

import asyncio
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from ringback_telemetry import names
from ringback_telemetry.metrics import use_meter
from ringback_telemetry.tracing import use_tracer

QUEUE_SPANS_MAX: Final = 8192
BATCH_SPANS_MAX: Final = 64  # encoded in one go, against the event loop: about 1.5 ms
_EXPORT_TIMEOUT_S: Final = 5.0
_LIMITS: Final = SpanLimits(
    max_span_attributes=64, max_events=64, max_links=8, max_event_attributes=16, max_attribute_length=1024
)


class Telemetry:
    """What `setup` made; shut it down last, so that the closing itself is still recorded."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._traces = tracer_provider
        self._metrics = meter_provider

    def flush(self, *, timeout_ms: int = 5_000) -> None:
        """Export what is waiting; blocks up to the timeout."""
        if self._traces is not None:
            self._traces.force_flush(timeout_ms)
        if self._metrics is not None:
            self._metrics.force_flush(timeout_ms)

    def shutdown(self, timeout_ms: int = 5_000) -> None:
        """Export what is waiting and stop; blocks about the timeout at most. A second call does nothing."""
        traces, metrics = self._traces, self._metrics
        self._traces = self._metrics = None
        if traces is None and metrics is None:
            return
        use_tracer(None)
        use_meter(None)
        if traces is not None:
            traces.shutdown()
        if metrics is not None:
            metrics.shutdown(timeout_millis=timeout_ms)

    async def close(self) -> None:
        """`shutdown` without blocking the event loop; fits as the last of `serve`'s closers."""
        await asyncio.to_thread(self.shutdown)


def setup(
    service: str,
    *,
    endpoint: str | None = None,
    instance: str = "",
    extra_processor: SpanProcessor | None = None,
    extra_reader: MetricReader | None = None,
    export_every_ms: int = 1_000,
) -> Telemetry:
    """Set up spans and metrics of this process.

    `endpoint` is an OTLP/gRPC address, ``127.0.0.1:4317`` (``https://…`` for TLS). Without one, and without
    the extras, nothing is recorded.
    """
    resource = Resource({names.Attr.SERVICE_NAME: service, names.Attr.SERVICE_INSTANCE_ID: instance})
    traces = _traces(resource, endpoint, extra_processor, export_every_ms)
    metrics = _metrics(resource, endpoint, extra_reader, export_every_ms)
    use_tracer(traces.get_tracer("ringback") if traces else None)
    use_meter(metrics.get_meter("ringback") if metrics else None)
    return Telemetry(traces, metrics)


def _traces(
    resource: Resource, endpoint: str | None, extra: SpanProcessor | None, every_ms: int
) -> TracerProvider | None:
    if not endpoint and extra is None:
        return None
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON), resource=resource, span_limits=_LIMITS, shutdown_on_exit=False
    )
    if endpoint:
        # Here, and not for a process that exports nothing: they take a sixth of a command's start.
        from ringback_telemetry.exporting import SpanExporter

        address, insecure = _address(endpoint)
        exporter = SpanExporter(endpoint=address, insecure=insecure, timeout=_EXPORT_TIMEOUT_S)
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=QUEUE_SPANS_MAX,
                max_export_batch_size=BATCH_SPANS_MAX,
                schedule_delay_millis=every_ms,
            )
        )
    if extra is not None:
        provider.add_span_processor(extra)
    return provider


def _metrics(
    resource: Resource, endpoint: str | None, extra: MetricReader | None, every_ms: int
) -> MeterProvider | None:
    readers = [extra] if extra is not None else []
    if endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        address, insecure = _address(endpoint)
        exporter = OTLPMetricExporter(endpoint=address, insecure=insecure, timeout=_EXPORT_TIMEOUT_S)
        readers.append(PeriodicExportingMetricReader(exporter, export_interval_millis=5 * every_ms))
    if not readers:
        return None
    return MeterProvider(readers, resource=resource, shutdown_on_exit=False)


def _address(endpoint: str) -> tuple[str, bool]:
    return endpoint.removeprefix("http://").removeprefix("https://"), not endpoint.startswith("https://")
