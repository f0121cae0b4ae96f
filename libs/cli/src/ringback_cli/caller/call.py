"""Owns one spoken call: microphone out, loudspeaker in, both moved by one clock that counts samples.

Every tick is one frame of 40 ms: a frame of speech or silence is sent, the same stretch of received audio is played and
recorded. A speed of 1 is real time; faster calls tick sooner, and all that is measured in samples stays the same.
When the server hears the caller while the agent is audible, playback stops and the item is truncated to what was
played, as a Realtime client on WebSocket has to do.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from ringback_errors import RingbackError

from ringback_cli.caller.audio import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    StereoRecording,
    ms_of,
)
from ringback_cli.caller.client import Event, RealtimeClient
from ringback_cli.caller.playback import Playback, SpokenItem

__all__ = ["SPOKEN_SESSION", "Call", "CallEnded", "CallLine"]

# What a telephone caller's client asks for: a pause in a sentence is not its end.
SPOKEN_SESSION: Mapping[str, Any] = {
    "type": "realtime",
    "audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}},
}
_LINES_MAX = 5_000
_ERRORS_MAX = 100
# A caller who is behind catches up by this much at once; more is time lost, as for a stalled sound card.
_CATCH_UP_FRAMES_MAX = 25
_QUIET_MS = 300


class CallEnded(RingbackError):  # noqa: N818 - says what happened
    """The connection ended while something was still expected of it."""

    code = "unavailable"


@dataclass(frozen=True)
class CallLine:
    """One line of the transcript. `at_ms` by the call's clock; `heard` differs from `text` when the agent was cut."""

    at_ms: int
    speaker: Literal["caller", "agent", "system"]
    text: str
    heard: str = ""


@dataclass
class _Waiter:
    condition: Callable[[], bool]
    done: asyncio.Future[bool]
    deadline: int


@dataclass
class Call:
    """An async context: inside it the call runs, leaving it hangs up."""

    url: str
    api_key: str
    speed: float = 1.0
    recording: StereoRecording = field(default_factory=lambda: StereoRecording(None))
    session_update: Mapping[str, Any] | None = field(default_factory=lambda: SPOKEN_SESSION)
    on_event: Callable[[Event], None] = lambda _: None
    on_line: Callable[[CallLine], None] = lambda _: None
    client: RealtimeClient = field(init=False)
    playback: Playback = field(default_factory=Playback)
    lines: list[CallLine] = field(default_factory=list)
    errors: list[Event] = field(default_factory=list)
    session_id: str = ""
    seen: dict[str, int] = field(default_factory=dict)
    reply_waits_ms: list[float] = field(default_factory=list)
    longest_silence_ms: int = 0
    _silent_from: int = -1
    _speech: bytearray = field(default_factory=bytearray)
    _waiters: list[_Waiter] = field(default_factory=list)
    _active_responses: set[str] = field(default_factory=set)
    _speech_ended_at: float = 0.0
    _reported: set[str] = field(default_factory=set)
    _ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.client = await RealtimeClient.connect(self.url, api_key=self.api_key, on_event=self._on_event)
        self._ticker = asyncio.create_task(self._run(), name="call clock")
        await self.until(lambda: "session.created" in self.seen, within_ms=30_000, what="session.created")
        if self.session_update is not None:
            self.client.send({"type": "session.update", "session": dict(self.session_update)})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    @property
    def clock_ms(self) -> int:
        """Milliseconds of audio since the call began."""
        return ms_of(self.playback.clock)

    @property
    def speaking(self) -> bool:
        """The caller's microphone still holds speech."""
        return bool(self._speech)

    @property
    def agent_quiet(self) -> bool:
        """The agent has finished: nothing is being generated or played, and has not been for a moment."""
        since = self.playback.clock - self.playback.last_sound_at
        return (
            not self._active_responses
            and not self.playback.sounding
            and since >= _QUIET_MS * SAMPLE_RATE // 1000
        )

    def speak(self, pcm: bytes) -> int:
        """Put speech into the microphone and return the clock (samples) at which it starts."""
        start = self.playback.clock + len(self._speech) // 2
        self._speech += pcm
        return start

    def items_since(self, clock: int) -> list[SpokenItem]:
        """What the agent began to say after that moment, in order."""
        return [item for item in self.playback.items.values() if item.first_heard_at >= clock]

    def heard_since(self, clock: int) -> str:
        """All that was heard of the agent since then, as one text."""
        return " ".join(item.heard for item in self.items_since(clock) if item.heard)

    async def until(self, condition: Callable[[], bool], *, within_ms: int, what: str) -> None:
        """Wait, by the call's clock, until the condition holds; TimeoutError and CallEnded name `what` was awaited."""
        if condition():
            return
        deadline = self.playback.clock + within_ms * SAMPLE_RATE // 1000
        waiter = _Waiter(condition, asyncio.get_running_loop().create_future(), deadline)
        self._waiters.append(waiter)
        try:
            if not await waiter.done:
                raise TimeoutError(f"{what}: not within {within_ms / 1000:g} s of the call")
        except CallEnded:
            raise CallEnded(f"the call ended ({self.client.close_reason}) while waiting for {what}") from None
        finally:
            self._waiters.remove(waiter)

    async def hang_up(self) -> None:
        """End the call and keep what was said until then."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
            await self.client.close()
            self._report_items(final=True)
            self.recording.close()

    def add_line(
        self,
        speaker: Literal["caller", "agent", "system"],
        text: str,
        *,
        heard: str = "",
        at_ms: int | None = None,
    ) -> None:
        """Add a line to the transcript, by default at this moment of the call."""
        if len(self.lines) < _LINES_MAX:
            line = CallLine(self.clock_ms if at_ms is None else at_ms, speaker, text, heard or text)
            self.lines.append(line)
            self.on_line(line)

    async def _run(self) -> None:
        period_s = FRAME_MS / 1000 / self.speed
        due = time.monotonic()
        while not self.client.closed.is_set():
            self._tick()
            due += period_s
            behind_s = time.monotonic() - due
            if behind_s > _CATCH_UP_FRAMES_MAX * period_s:
                due = time.monotonic()
            await asyncio.sleep(max(0.0, -behind_s))
        self._end_waiters()

    def _tick(self) -> None:
        speech = bytes(self._speech[:FRAME_BYTES])
        if speech:
            del self._speech[:FRAME_BYTES]
            if not self._speech:
                self._speech_ended_at = time.monotonic()
            speech = speech.ljust(FRAME_BYTES, b"\0")
        frame = speech or bytes(FRAME_BYTES)
        self.client.send_audio(frame)
        self.recording.write(caller=frame, agent=self.playback.pull(FRAME_SAMPLES))
        self._measure_silence(caller_speaks=bool(speech))
        self._report_items(final=False)
        self._check_waiters()

    def _measure_silence(self, *, caller_speaks: bool) -> None:
        """Silence counts from the last word of either side until the agent's next; what the caller ends is theirs."""
        now = self.playback.clock
        if not caller_speaks and self.playback.last_sound_at != now:
            return
        if not caller_speaks and self._silent_from >= 0:
            gap_ms = ms_of(now - FRAME_SAMPLES - self._silent_from)
            self.longest_silence_ms = max(self.longest_silence_ms, gap_ms)
        self._silent_from = now

    def _on_event(self, event: Event) -> None:
        kind = str(event.get("type", ""))
        self.seen[kind] = self.seen.get(kind, 0) + 1
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, event)
        self.on_event(event)
        self._check_waiters()

    def _check_waiters(self) -> None:
        for waiter in self._waiters:
            if waiter.done.done():
                continue
            if waiter.condition():
                waiter.done.set_result(True)
            elif self.playback.clock >= waiter.deadline:
                waiter.done.set_result(False)

    def _end_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(CallEnded("the call ended"))

    def _report_items(self, *, final: bool) -> None:
        for item in self.playback.items.values():
            complete = item.finished and (item.text_done or item.cut)
            if item.item_id in self._reported or not (complete or final) or not item.text:
                continue
            self._reported.add(item.item_id)
            at_ms = ms_of(item.first_heard_at) if item.first_heard_at >= 0 else None
            self.add_line("agent", item.text, heard=item.heard or "(nothing)", at_ms=at_ms)

    def _on_session_created(self, event: Event) -> None:
        self.session_id = str(event["session"].get("id", ""))

    def _on_response_created(self, event: Event) -> None:
        self._active_responses.add(str(event["response"]["id"]))

    def _on_response_done(self, event: Event) -> None:
        self._active_responses.discard(str(event["response"]["id"]))

    def _on_audio(self, event: Event) -> None:
        if self._speech_ended_at and not self._speech:
            self.reply_waits_ms.append((time.monotonic() - self._speech_ended_at) * 1000 * self.speed)
            self._speech_ended_at = 0.0
        self.playback.receive(
            event["item_id"], base64.b64decode(event["delta"]), content_index=event.get("content_index", 0)
        )

    def _on_audio_done(self, event: Event) -> None:
        self.playback.item(event["item_id"]).audio_done = True

    def _on_text(self, event: Event) -> None:
        self.playback.item(event["item_id"]).text += event["delta"]

    def _on_text_done(self, event: Event) -> None:
        item = self.playback.item(event["item_id"])
        item.text = str(event.get("transcript") or event.get("text") or item.text)
        item.text_done = True
        if event["type"] == "response.output_text.done":
            item.kind, item.first_heard_at = "text", self.playback.clock

    def _on_speech_started(self, _: Event) -> None:
        for cut in self.playback.stop():
            self.client.send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": cut.item_id,
                    "content_index": cut.content_index,
                    "audio_end_ms": cut.audio_end_ms,
                }
            )

    def _on_error(self, event: Event) -> None:
        if len(self.errors) < _ERRORS_MAX:
            self.errors.append(event)
        error = event.get("error") or {}
        self.add_line("system", f"error {error.get('code') or error.get('type')}: {error.get('message')}")


_HANDLERS: dict[str, Callable[[Call, Event], None]] = {
    "session.created": Call._on_session_created,
    "response.created": Call._on_response_created,
    "response.done": Call._on_response_done,
    "response.output_audio.delta": Call._on_audio,
    "response.output_audio.done": Call._on_audio_done,
    "response.output_audio_transcript.delta": Call._on_text,
    "response.output_audio_transcript.done": Call._on_text_done,
    "response.output_text.delta": Call._on_text,
    "response.output_text.done": Call._on_text_done,
    "input_audio_buffer.speech_started": Call._on_speech_started,
    "error": Call._on_error,
}
