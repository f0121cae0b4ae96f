"""What a process exports arrives in the sink, whole and readable."""

import json

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Link, SpanKind
from ringback_errors import ConfigError
from ringback_telemetry import add_event, counter, extract, histogram, names, setup, span, tracer
from ringback_telemetry.exporting import encoded
from ringback_telemetry.sink import OtlpSink


@pytest.fixture
def sink(tmp_path):
    with OtlpSink(file=tmp_path / "spans.jsonl") as sink:
        yield sink


def test_spans_and_metrics_arrive_over_otlp(sink, tmp_path):
    telemetry = setup("policy", endpoint=sink.endpoint, instance="p0", export_every_ms=50)
    with span(names.Span.TURN, attributes={names.Attr.SEQ: 3}) as turn:
        add_event(turn, names.Event.FILLER)
        with pytest.raises(ValueError, match="x"), span(names.Span.ACTION):
            raise ValueError("x")
    histogram(names.Metric.FOLD_MS).record(4)
    counter(names.Metric.TURNS).add(2, {names.Attr.AGENT: "front"})
    spans = sink.wait_for(lambda spans: len(spans) == 2)
    telemetry.shutdown()
    action, outer = spans
    assert (outer["name"], outer["service"], outer["instance"]) == ("turn", "policy", "p0")
    assert outer["attributes"] == {"ringback.seq": 3}
    assert [event["name"] for event in outer["events"]] == ["filler"]
    assert action["parent_id"] == outer["span_id"]
    assert (action["error"], outer["error"]) == (True, False)
    assert outer["start_ns"] <= action["start_ns"] <= action["end_ns"] <= outer["end_ns"]
    assert [found["name"] for found in sink.trace(outer["trace_id"])] == ["turn", "action"]
    values = {metric["name"]: metric["points"][0] for metric in sink.metrics}
    assert values["ringback.memory.fold"]["sum"] == 4
    assert values["ringback.turns"] == {"attributes": {"ringback.agent": "front"}, "value": 2}
    assert sink.unregistered() == set()
    lines = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert lines == spans
    sink.clear()
    assert sink.spans == sink.metrics == []


def test_our_encoding_says_the_same_as_the_sdks_own():
    finished = []

    class Keep(SpanProcessor):
        def on_end(self, span):
            finished.append(span)

    telemetry = setup("policy", instance="p0", extra_processor=Keep())
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    values = {"t": "x", "b": True, "i": -3, "f": 0.5, "l": ("a", "b"), "n": (1, 2)}
    remote = extract({"traceparent": header, "tracestate": "a=b"})
    with tracer().start_as_current_span("plain", kind=SpanKind.SERVER, context=remote) as plain:
        plain.set_attributes(values)
        plain.add_event("event", values)
    with pytest.raises(ValueError, match="x"), span(names.Span.ACTION):
        raise ValueError("x")
    link = Link(plain.get_span_context(), values)
    tracer().start_span("linked", links=[link], kind=SpanKind.PRODUCER).end()
    telemetry.shutdown()
    assert len(finished) == 3

    def said(request):
        (group,) = request.resource_spans
        spans = group.scope_spans[0].spans
        for link in (link for found in spans for link in found.links):
            link.ClearField("flags")
        return (MessageToDict(group.resource), *(MessageToDict(found) for found in spans))

    assert said(encoded(finished)) == said(encode_spans(finished))
    assert not encoded([]).resource_spans


def test_names_that_slipped_past_the_registry_are_found(sink):
    telemetry = setup("policy", endpoint=sink.endpoint, export_every_ms=50)
    with tracer().start_as_current_span("rogue", attributes={"rogue.id": 1}) as found:
        found.add_event("rogue.event")
    telemetry.shutdown()
    assert sink.unregistered() == {"span rogue", "attribute rogue.id", "event rogue.event"}


def test_shutting_down_exports_what_waits_and_twice_is_once(sink):
    telemetry = setup("policy", endpoint=sink.endpoint, export_every_ms=60_000)
    with span(names.Span.TURN):
        pass
    telemetry.shutdown()
    telemetry.shutdown()
    assert [found["name"] for found in sink.spans] == ["turn"]


def test_flushing_exports_without_ending(sink):
    telemetry = setup("policy", endpoint=sink.endpoint, export_every_ms=60_000)
    for count in (1, 2):
        with span(names.Span.TURN):
            pass
        telemetry.flush()
        assert len(sink.spans) == count
    telemetry.shutdown()


def test_only_the_last_spans_are_kept():
    with OtlpSink(spans_max=3) as sink:
        telemetry = setup("policy", endpoint=sink.endpoint)
        for seq in range(10):
            with span(names.Span.MEMORY_FOLD, attributes={names.Attr.SEQ: seq}):
                pass
        telemetry.shutdown()
        assert [found["attributes"]["ringback.seq"] for found in sink.spans] == [7, 8, 9]


def test_waiting_in_vain_says_what_was_seen(sink):
    with pytest.raises(TimeoutError, match="spans so far: none"):
        sink.wait_for(lambda spans: len(spans) == 1, timeout_s=0.01)


def test_a_taken_port_is_named(sink):
    port = int(sink.endpoint.rpartition(":")[2])
    with pytest.raises(ConfigError, match=str(port)):
        OtlpSink(port)


def test_no_endpoint_means_no_export_and_no_thread():
    telemetry = setup("policy")
    with span(names.Span.TURN) as found:
        assert not found.is_recording()
    telemetry.flush()
    telemetry.shutdown()
