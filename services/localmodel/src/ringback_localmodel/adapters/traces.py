"""Spans of replies and of the transcriptions that they rest on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ringback_telemetry import (
    Context,
    Span,
    add_event,
    current_traceparent,
    extract,
    names,
    set_attributes,
    span,
    tracer,
)

from ringback_localmodel.ports import ReplyTrace, TranscriptionTrace

__all__ = ["Spans"]


class _Transcription:
    """Two moments; they become a span when it is known under which parent."""

    def __init__(self) -> None:
        self.start_ns = time.time_ns()
        self.end_ns = 0
        self.source = ""

    def done(self, *, source: str) -> None:
        self.end_ns, self.source = time.time_ns(), source

    def write(self, parent: Context) -> None:
        attributes = {names.Attr.SOURCE: self.source}
        name = names.Span.SPEECH_TRANSCRIBE
        made = tracer().start_span(name, context=parent, start_time=self.start_ns, attributes=attributes)
        made.end(end_time=self.end_ns or time.time_ns())


class _Reply:
    def __init__(self, own: Span, parent: Context | None) -> None:
        self._own = own
        self._parent = parent
        self._heard = False

    def transcribed(self, trace: TranscriptionTrace) -> None:
        """The words were there before the reply began: their span stands beside its own, under the caller's."""
        assert isinstance(trace, _Transcription)
        trace.write(self._parent if self._parent is not None else inside(self._own))

    def first_audio(self) -> None:
        if not self._heard:
            self._heard = True
            add_event(self._own, names.Event.FIRST_AUDIO)

    def ended(self, outcome: str) -> None:
        set_attributes(self._own, {names.Attr.OUTCOME: outcome})


def inside(own: Span) -> Context:
    """The context below a span."""
    carrier: dict[str, str] = {}
    header = current_traceparent(own)
    if header is not None:
        carrier["traceparent"] = header
    return extract(carrier)


class Spans:
    """Implements `ports.Traces` with the process's telemetry."""

    def transcription(self) -> TranscriptionTrace:
        return _Transcription()

    def unanswered(self, trace: TranscriptionTrace) -> None:
        assert isinstance(trace, _Transcription)
        trace.write(Context())

    @contextmanager
    def reply(self, response_id: str, *, traceparent: str | None) -> Iterator[ReplyTrace]:
        parent = extract({"traceparent": traceparent}) if traceparent else Context()
        attributes = {names.Attr.GEN_AI_RESPONSE_ID: response_id}
        with span(names.Span.MODEL_REPLY, parent=parent, attributes=attributes) as own:
            yield _Reply(own, parent if traceparent and parent else None)
