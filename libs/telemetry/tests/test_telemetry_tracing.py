"""Spans carry registered names, the right parent and the right error; context survives every hop."""

import asyncio
import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ringback_errors import Forbidden, InvalidInput
from ringback_telemetry import (
    Context,
    add_event,
    current_traceparent,
    extract,
    inject,
    mark_error,
    names,
    set_attributes,
    setup,
    span,
    start_span,
    tracing_enabled,
)

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def recorded():
    exporter = InMemorySpanExporter()
    telemetry = setup("test", extra_processor=SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    telemetry.shutdown()


def test_a_span_has_its_name_attributes_and_parent(recorded):
    with span(names.Span.TURN, attributes={names.Attr.TURN_ID: "turn_a"}), span(names.Span.POLICY_DECIDE):
        pass
    inner, outer = recorded()
    assert (outer.name, inner.name) == ("turn", "policy.decide")
    assert inner.parent.span_id == outer.context.span_id
    assert outer.attributes == {"ringback.turn_id": "turn_a"}


def test_an_error_of_the_vocabulary_becomes_the_status(recorded):
    with pytest.raises(Forbidden), span(names.Span.ACTION):
        raise Forbidden("no scope")
    (found,) = recorded()
    assert found.attributes["error.type"] == "forbidden"
    assert found.status.description == "no scope"


def test_a_strangers_error_leaves_its_class_and_not_its_text(recorded):
    with pytest.raises(ValueError, match="secret"), span(names.Span.ACTION):
        raise ValueError("secret")
    (found,) = recorded()
    assert found.attributes["error.type"] == "ValueError"
    assert found.status.description is None
    assert found.events == ()


def test_a_cancellation_is_marked_and_is_no_error(recorded):
    with pytest.raises(asyncio.CancelledError), span(names.Span.ACTION):
        raise asyncio.CancelledError
    (found,) = recorded()
    assert found.attributes["error.type"] == "cancelled"
    assert found.status.status_code is trace.StatusCode.UNSET


def test_a_started_span_is_not_current_until_it_is_a_parent(recorded):
    turn = start_span(names.Span.TURN)
    assert current_traceparent() is None
    with span(names.Span.SPEAK, parent=trace.set_span_in_context(turn)):
        pass
    turn.end()
    assert recorded()[0].parent.span_id == turn.get_span_context().span_id


@pytest.mark.parametrize(
    "use",
    [
        lambda: span("turns"),
        lambda: span("grpc "),
        lambda: span("grpc no_method"),
        lambda: span(names.Span.TURN, attributes={"turn_id": 1}),
        lambda: start_span("x"),
        lambda: set_attributes(start_span(names.Span.TURN), {"x": 1}),
        lambda: add_event(start_span(names.Span.TURN), "x"),
    ],
)
def test_a_name_outside_the_registry_is_refused_also_when_nothing_is_exported(use):
    assert not tracing_enabled()
    with pytest.raises(InvalidInput, match="registry"):
        use()


def test_events_and_late_attributes_are_recorded(recorded):
    with span(names.Span.TURN) as turn:
        set_attributes(turn, {names.Attr.EFFECT: "ALLOW"})
        add_event(turn, names.Event.RETRY, {names.Attr.ATTEMPT: 2})
    (found,) = recorded()
    assert found.attributes["ringback.effect"] == "ALLOW"
    assert found.events[0].name == "retry"


def test_context_survives_a_carrier(recorded):
    carrier: dict[str, str] = {}
    with span(names.Span.TURN):
        inject(carrier)
    with span(names.Span.NATS_PROCESS, parent=extract(carrier)):
        pass
    sender, receiver = recorded()
    assert receiver.parent.span_id == sender.context.span_id
    assert receiver.context.trace_id == sender.context.trace_id


def test_a_process_that_exports_nothing_still_hands_the_context_on():
    carrier: dict[str, str] = {}
    with span(names.Span.NATS_PROCESS, parent=extract({"traceparent": HEADER, "tracestate": "a=b"})):
        inject(carrier)
    assert carrier == {"traceparent": HEADER, "tracestate": "a=b"}


def test_nothing_is_injected_outside_a_trace():
    carrier: dict[str, str] = {}
    inject(carrier)
    assert carrier == {}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        HEADER.upper(),
        HEADER + "-extra",
        "ff" + HEADER[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-001",
    ],
)
def test_a_malformed_header_starts_a_new_trace(header):
    assert extract({"traceparent": header}) == Context()


def test_a_header_of_a_later_version_is_read():
    found = trace.get_current_span(extract({"traceparent": "01" + HEADER[2:] + "-new"}))
    assert found.get_span_context().span_id == 0xB7AD6B7169203331


@given(st.text(), st.text())
def test_any_header_is_read_without_an_exception(header, state):
    extract({"traceparent": header, "tracestate": state})
    extract({"traceparent": HEADER, "tracestate": state})


def test_marking_a_span_that_is_not_recorded_is_harmless():
    contextvars.copy_context().run(mark_error, start_span(names.Span.TURN), ValueError("x"))
