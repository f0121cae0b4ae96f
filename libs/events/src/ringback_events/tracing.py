"""Carries the trace across the bus: the publisher's context in the headers, the handler's span below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ringback_telemetry import SpanKind, extract, inject, span, tracing_enabled
from ringback_telemetry.names import Attr, Span

from ringback_events.bus import Delivery

__all__ = ["consuming", "published_headers"]


def published_headers(subject: str, headers: Mapping[str, str] | None, *, msg_id: str) -> dict[str, str]:
    """Return the headers with the trace context of the caller added."""
    carrier = dict(headers or {})
    if not tracing_enabled():
        # What is below the caller's own context is the same without a span that nobody records.
        inject(carrier)
        return carrier
    attributes = {
        Attr.MESSAGING_SYSTEM: "nats",
        Attr.MESSAGING_OPERATION_TYPE: "send",
        Attr.MESSAGING_DESTINATION_NAME: subject,
        Attr.MESSAGING_MESSAGE_ID: msg_id,
    }
    with span(Span.NATS_PUBLISH, attributes=attributes, kind=SpanKind.PRODUCER):
        inject(carrier)
    return carrier


@contextmanager
def consuming(delivery: Delivery, *, consumer: str) -> Iterator[None]:
    """Run the body in a span whose parent is the publisher's."""
    attributes: dict[str, str | bool] = {
        Attr.MESSAGING_SYSTEM: "nats",
        Attr.MESSAGING_OPERATION_TYPE: "process",
        Attr.MESSAGING_DESTINATION_NAME: delivery.subject,
        Attr.MESSAGING_CONSUMER_GROUP_NAME: consumer,
        Attr.REDELIVERED: delivery.redelivered,
    }
    parent = extract(delivery.headers)
    with span(Span.NATS_PROCESS, parent=parent, attributes=attributes, kind=SpanKind.CONSUMER):
        yield
