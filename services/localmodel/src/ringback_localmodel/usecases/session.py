"""One Realtime session: takes the client's events in order and answers as the protocol says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from ringback_realtime import (
    ContentPart,
    EventIds,
    Item,
    ProtocolError,
    ServerEvents,
    ServerVad,
    SessionConfig,
    active_response,
    cancel_not_active,
    client_events,
    decode_client_event,
    invalid_value,
    parse_item,
    resolve_response,
)

from ringback_localmodel.domain.audio import SAMPLE_BYTES, ms_of, samples_of
from ringback_localmodel.domain.turns import SpeechBegan, SpeechEnded
from ringback_localmodel.ports import Brain, Outbox, Recogniser, Synthesiser, Traces, VoiceDetector
from ringback_localmodel.usecases.codecs import AudioIn, wide
from ringback_localmodel.usecases.context_builder import ContextBuilder
from ringback_localmodel.usecases.conversation import Conversation
from ringback_localmodel.usecases.limits import SessionLimits
from ringback_localmodel.usecases.listening import Listening, Utterance
from ringback_localmodel.usecases.responder import Responder
from ringback_localmodel.usecases.response_run import ResponseRun
from ringback_localmodel.usecases.supported import check_response, check_session
from ringback_localmodel.usecases.transcriber import Transcriber

__all__ = ["RealtimeSession"]

# Audio is judged in pieces, so that one long append does not hold up the other sessions.
CHUNK_BYTES: Final = samples_of(200) * SAMPLE_BYTES
# Traces of words that wait for a reply.
UNANSWERED_MAX: Final = 32
log = logging.getLogger(__name__)


class RealtimeSession:
    """Holds one session's state. ``run`` is its life; events come in by ``handle`` and leave by the outbox."""

    def __init__(
        self,
        *,
        config: SessionConfig,
        ids: EventIds,
        outbox: Outbox,
        brain: Brain,
        recogniser: Recogniser,
        synthesiser: Synthesiser,
        detectors: Callable[[], VoiceDetector],
        limits: SessionLimits,
        traces: Traces,
        failing_words: str = "",
    ) -> None:
        self._traces = traces
        self._config = config
        self._ids = ids
        self._outbox = outbox
        self._limits = limits
        self._events = ServerEvents(ids)
        self._conversation = Conversation(id=ids.conversation(), limits=limits)
        self._audio_in = AudioIn(config.input_format)
        self._listening = Listening(detector=detectors(), limits=limits)
        self._transcriber = Transcriber(
            recogniser=recogniser,
            events=self._events,
            outbox=outbox,
            spawn=self._spawn,
            timeout_ms=limits.recognise_timeout_ms,
            failing_words=failing_words,
        )
        self._responder = Responder(
            brain=brain,
            synthesiser=synthesiser,
            outbox=outbox,
            traces=traces,
            reply_chars_max=limits.reply_chars_max,
        )
        self._contexts = ContextBuilder(
            conversation=self._conversation, transcriber=self._transcriber, detectors=detectors
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runs: dict[str, tuple[ResponseRun, asyncio.Task[Any]]] = {}
        self._active: ResponseRun | None = None
        self._spoke = False
        self._turn_item: str | None = None
        self._turn_start = 0
        self._idle_due: int | None = None

    async def run(self, frames: AsyncIterator[bytes]) -> None:
        """Announce the session and handle frames until there are no more; then stop what still goes on."""
        self._outbox.send(self._events.session_created(self._config))
        try:
            async for frame in frames:
                await self.handle(frame)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._contexts.let_go(self._traces, at_most=0)

    async def handle(self, frame: bytes) -> None:
        """Handle one client frame; a broken rule becomes one ``error`` event and changes nothing."""
        try:
            event = decode_client_event(frame)
        except ProtocolError as error:
            self._outbox.send(self._events.error(error))
            return
        try:
            if isinstance(event, client_events.InputAudioAppend):
                await self._append(event.audio)
            else:
                self._dispatch(event)
        except ProtocolError as error:
            self._outbox.send(self._events.error(error.for_event(event.event_id)))

    async def settled(self) -> None:
        """Wait until nothing is being transcribed or answered; for tests and for a clean end."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _dispatch(self, event: client_events.ClientEvent) -> None:
        match event:
            case client_events.SessionUpdate(session=update):
                self._update(update)
            case client_events.InputAudioCommit():
                self._commit()
            case client_events.InputAudioClear():
                self._listening.clear()
                self._drop_turn()
                self._outbox.send(self._events.cleared())
            case client_events.ResponseCreate(response=params):
                self._create_response(params)
            case client_events.ResponseCancel(response_id=response_id):
                self._cancel(response_id)
            case client_events.OutputAudioClear():
                raise invalid_value(
                    "type", "output_audio_buffer.clear is for WebRTC and SIP connections only"
                )
            case _:
                self._dispatch_item(event)

    def _dispatch_item(self, event: client_events.ClientEvent) -> None:
        match event:
            case client_events.ItemCreate(item=data, previous_item_id=previous):
                self._create_item(data, previous)
            case client_events.ItemDelete(item_id=item_id):
                self._conversation.delete(item_id)
                self._outbox.send(self._events.item_deleted(item_id))
            case client_events.ItemRetrieve(item_id=item_id):
                item = self._conversation.retrieved(item_id, self._config)
                self._outbox.send(self._events.item_retrieved(item.to_wire(with_audio=True)))
            case client_events.ItemTruncate(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                self._conversation.truncate(item_id, content_index=index, audio_end_ms=end_ms)
                truncated = self._events.item_truncated(item_id, content_index=index, audio_end_ms=end_ms)
                self._outbox.send(truncated)
            case _:
                raise invalid_value("type", "this event is not handled here")

    def _update(self, update: dict[str, Any]) -> None:
        config = self._config.merge(
            update, audio_started=self._spoke, response_active=self._active_run() is not None
        )
        check_session(config)
        detection_off = config.turn_detection is None and self._config.turn_detection is not None
        self._config = config
        if config.input_format != self._audio_in.format:
            self._audio_in = AudioIn(config.input_format)
        if detection_off:
            self._listening.stop_turn()
            self._drop_turn()
        self._outbox.send(self._events.session_updated(config))

    async def _append(self, audio: str) -> None:
        pcm = self._audio_in.decode(audio)
        for start in range(0, len(pcm), CHUNK_BYTES):
            detection = self._config.turn_detection
            for boundary in self._listening.feed(pcm[start : start + CHUNK_BYTES], detection):
                self._on_boundary(boundary)
            self._on_progress()
            if start + CHUNK_BYTES < len(pcm):
                await asyncio.sleep(0)

    def _on_boundary(self, boundary: SpeechBegan | SpeechEnded) -> None:
        detection = self._config.turn_detection
        if isinstance(boundary, SpeechBegan):
            self._turn_item, self._turn_start = self._ids.item(), boundary.sample
            self._idle_due = None
            self._outbox.send(
                self._events.speech_started(self._turn_item, audio_start_ms=ms_of(boundary.sample))
            )
            self._transcriber.begin(self._turn_item)
            active = self._active_run()
            if active is not None and detection is not None and detection.interrupt_response:
                self._stop(active, reason="turn_detected")
            return
        item_id, self._turn_item = self._turn_item or self._ids.item(), None
        self._outbox.send(self._events.speech_stopped(item_id, audio_end_ms=ms_of(boundary.sample)))
        utterance = self._listening.take(
            start=self._turn_start, end=boundary.sample, last_voice=boundary.last_voice
        )
        self._add_audio_item(item_id, utterance)
        # With interruption off a response may still be going on; then this turn waits for the client.
        if detection is not None and detection.create_response and self._active_run() is None:
            self._create_response(None)

    def _on_progress(self) -> None:
        config = self._config
        if self._listening.speaking:
            self._transcriber.progress(self._listening, partials=config.transcription is not None)
        due = self._idle_due
        if due is not None and self._listening.end >= due and not self._listening.speaking:
            self._idle_due = None
            if isinstance(config.turn_detection, ServerVad) and config.turn_detection.idle_timeout_ms:
                self._on_idle()

    def _on_idle(self) -> None:
        item_id, end = self._ids.item(), self._listening.end
        utterance = self._listening.take()
        start_ms = ms_of(end - len(utterance.pcm) // SAMPLE_BYTES)
        self._outbox.send(
            self._events.timeout_triggered(item_id, audio_start_ms=start_ms, audio_end_ms=ms_of(end))
        )
        self._add_audio_item(item_id, utterance)
        if self._active_run() is None:
            self._create_response(None)

    def _commit(self) -> None:
        utterance = self._contexts.utterance(self._listening.commit().pcm)
        item_id, self._turn_item = self._turn_item or self._ids.item(), None
        self._add_audio_item(item_id, utterance)

    def _drop_turn(self) -> None:
        self._turn_item = None
        self._transcriber.drop()

    def _add_audio_item(self, item_id: str, utterance: Utterance) -> None:
        item = Item(id=item_id, type="message", role="user", content=(ContentPart("input_audio"),))
        previous = self._conversation.items.insert(item)
        self._conversation.keep_audio(item_id, utterance.pcm)
        self._outbox.send(self._events.committed(item_id, previous_item_id=previous))
        self._acknowledge(item, previous)
        self._transcribe(item_id, utterance, tell=True)

    def _create_item(self, data: dict[str, Any], previous_item_id: str | None) -> None:
        item = parse_item(data, fresh_id=self._ids.item(), fresh_call_id=self._ids.call())
        audio = [part.audio for part in item.content if part.audio is not None]
        format = self._config.input_format
        pcm = b"".join(wide(text, format, param="item.content[0].audio") for text in audio)
        previous = self._conversation.items.insert(item, previous_item_id=previous_item_id)
        self._acknowledge(item, previous)
        if audio:
            self._conversation.keep_audio(item.id, pcm)
            self._transcribe(item.id, self._contexts.utterance(pcm), tell=False)

    def _acknowledge(self, item: Item, previous: str | None) -> None:
        wire = item.to_wire()
        self._outbox.send(self._events.item_added(wire, previous_item_id=previous))
        self._outbox.send(self._events.item_done(wire, previous_item_id=previous))

    def _transcribe(self, item_id: str, utterance: Utterance, *, tell: bool) -> None:
        config = self._config
        trace = self._traces.transcription()
        self._contexts.traces[item_id] = trace
        self._contexts.let_go(self._traces, at_most=UNANSWERED_MAX)

        async def work() -> None:
            source = "ahead" if self._transcriber.is_ahead(utterance) else "whole"
            words = await self._transcriber.transcribe(item_id, utterance, config=config, tell=tell)
            trace.done(source=source)
            self._conversation.heard(item_id, words)

        self._contexts.pending[item_id] = self._spawn(work())

    def _create_response(self, data: dict[str, Any] | None) -> None:
        params = resolve_response(data, self._config)
        check_response(params)
        active = self._active_run()
        if active is not None and not params.out_of_band:
            raise active_response(active.id)
        if len(self._runs) >= self._limits.parallel_responses_max:
            raise ProtocolError(
                "too_many_responses",
                f"At most {self._limits.parallel_responses_max} responses may run at once.",
                "response",
            )
        items = self._contexts.items(params, ids=self._ids)
        run = ResponseRun(
            id=self._ids.response(),
            params=params,
            config=self._config,
            conversation=self._conversation,
            events=self._events,
            outbox=self._outbox,
        )
        self._idle_due = None
        run.start()
        if not params.out_of_band:
            self._active = run
        task = self._spawn(self._respond(run, items))
        self._runs[run.id] = (run, task)

    async def _respond(self, run: ResponseRun, items: list[Item] | None) -> None:
        params = run.params
        try:
            await self._responder.drive(run, lambda trace: self._contexts.build(run, items, trace=trace))
        finally:
            self._runs.pop(run.id, None)
            self._spoke = self._spoke or run.audio_samples > 0
            detection = self._config.turn_detection
            if not params.out_of_band and isinstance(detection, ServerVad) and detection.idle_timeout_ms:
                wait = run.audio_samples + samples_of(detection.idle_timeout_ms)
                self._idle_due = self._listening.end + wait

    def _cancel(self, response_id: str | None) -> None:
        if response_id is None:
            run = self._active_run()
        else:
            run = self._runs[response_id][0] if response_id in self._runs else None
        if run is None or run.closed:
            raise cancel_not_active()
        self._stop(run, reason="client_cancelled")

    def _stop(self, run: ResponseRun, *, reason: str) -> None:
        run.finish("cancelled", reason=reason)
        self._spoke = self._spoke or run.audio_samples > 0
        entry = self._runs.pop(run.id, None)
        if entry is not None:
            entry[1].cancel()

    def _active_run(self) -> ResponseRun | None:
        return self._active if self._active is not None and not self._active.closed else None

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
