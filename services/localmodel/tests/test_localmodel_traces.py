"""The spans of replies: which there are, and whose they are."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ringback_localmodel.adapters.twins import ScriptedBrain
from ringback_localmodel.domain.context import Say
from ringback_telemetry import setup

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry = setup("localmodel", extra_processor=SimpleSpanProcessor(exporter))
    yield exporter
    telemetry.shutdown()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


async def answered(start: Any, **metadata: str) -> None:
    call = start(ScriptedBrain([Say("It is yours. Anything else?")]))
    vad = {"type": "server_vad", "create_response": False}
    await call.update(audio={"input": {"turn_detection": vad}})
    await call.say("Which card is it?")
    await call.send("response.create", response={"metadata": metadata})


async def test_a_reply_is_a_part_of_the_callers_trace(start: Any, spans: InMemorySpanExporter) -> None:
    await answered(start, traceparent=f"00-{TRACE}-{PARENT}-01")
    (reply,) = named(spans, "model.reply")
    (heard,) = named(spans, "speech.transcribe")
    said = named(spans, "speech.synthesize")
    for span in (reply, heard):
        assert span.parent is not None
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == PARENT
    assert len(said) == 2
    assert all(span.parent.span_id == reply.context.span_id for span in said)
    assert heard.attributes["ringback.source"] == "ahead"
    assert reply.attributes["ringback.outcome"] == "completed"
    assert [event.name for event in reply.events] == ["first_audio"]


@pytest.mark.parametrize("metadata", [{}, {"traceparent": "no such thing"}])
async def test_without_a_trace_of_the_callers_a_reply_has_its_own(
    start: Any, spans: InMemorySpanExporter, metadata: dict[str, str]
) -> None:
    await answered(start, **metadata)
    (reply,) = named(spans, "model.reply")
    (heard,) = named(spans, "speech.transcribe")
    assert reply.parent is None
    assert heard.parent.span_id == reply.context.span_id


async def test_words_that_nobody_answers_have_a_trace_too(start: Any, spans: InMemorySpanExporter) -> None:
    call = start(ScriptedBrain())
    await call.update(audio={"input": {"turn_detection": None}})
    for _ in range(40):
        await call.hear(call.speech("Nobody answers."), settle=False)
        await call.send("input_audio_buffer.commit")
    unanswered = named(spans, "speech.transcribe")
    assert len(unanswered) == 8
    assert all(span.parent is None and span.end_time >= span.start_time for span in unanswered)
