"""The trace crosses the bus: publisher's span → headers → handler's span."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ringback_events import Delivery, MemoryBus, event_subject
from ringback_telemetry import setup, span
from ringback_telemetry.names import Attr, Span
from ringback_telemetry.sink import OtlpSink


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as made:
        yield made


async def test_a_handler_is_a_child_of_the_publisher_across_the_bus(sink: OtlpSink, wait_until: Any) -> None:
    telemetry = setup("test", endpoint=sink.endpoint)
    bus = MemoryBus()
    done: list[Delivery] = []

    async def handle(delivery: Delivery) -> None:
        done.append(delivery)

    await bus.consume("EVENTS", durable="d", handler=handle)
    with span(Span.TURN):
        bus.publish(event_subject("local", "sess_a", "x"), b"", msg_id="1")
    await wait_until(lambda: done)
    await bus.close()
    await telemetry.close()
    spans = {found["name"]: found for found in sink.wait_for(lambda found: len(found) >= 3)}
    turn, publish, process = spans[Span.TURN], spans[Span.NATS_PUBLISH], spans[Span.NATS_PROCESS]
    assert publish["parent_id"] == turn["span_id"]
    assert process["parent_id"] == publish["span_id"]
    assert process["trace_id"] == turn["trace_id"]
    assert process["attributes"][Attr.MESSAGING_CONSUMER_GROUP_NAME] == "EVENTS/d"
    assert not sink.unregistered()
