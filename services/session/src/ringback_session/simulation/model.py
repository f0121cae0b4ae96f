"""The realtime model as an actor: it hears, is asked for responses, and keeps its own conversation.

It holds every connection to the protocol: one response of the conversation at a time, one output for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import orjson
from ringback_errors import Unavailable
from ringback_realtime import EventIds, ProtocolError, ServerEvents

from ringback_session.ports import Term
from ringback_session.simulation.listening import QUESTION
from ringback_session.simulation.model_words import (
    Answer,
    calls_in,
    is_told_off,
    item_object,
    response_object,
    response_steps,
    words_to,
)
from ringback_session.simulation.pipe import Pipe
from ringback_session.simulation.process import Process
from ringback_session.simulation.sound import FRAME_MS, SILENCES, SOUNDS, words_in
from ringback_session.simulation.weather import Weather

__all__ = ["Connection", "ModelWorld", "ModelsOf"]

_VERBATIM: Final = 'Say exactly: "'
_GARBAGE: Final = (
    b"not json",
    b'{"type":"response.output_audio.delta","response_id":7}',
    b'{"type":"response.done","response":{"id":"resp_of_nobody","status":"completed"}}',
    b'{"type":"conversation.item.added","item":null}',
    b'{"type":"response.output_item.done","response_id":"x","item":{"type":"function_call"}}',
    b'{"type":"error","error":{"message":3}}',
    b'{"type":"no.such.event"}',
)


class ModelWorld:
    """All connections to the model, and what is wrong with it."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.connections: list[Connection] = []
        self.quirks: list[str] = []
        self.hears: list[str] = []
        # What it called last.
        self.called: list[tuple[str, str]] = []

    def drop(self) -> None:
        """Lose the newest connection that is open."""
        for connection in reversed(self.connections):
            if connection.open:
                connection.lose()
                return

    def forget(self, process: Process) -> None:
        """A process died: its connections end, and nobody is told."""
        for connection in self.connections:
            if connection.process is process:
                connection.end()

    def quirk(self, *kinds: str) -> str:
        """Take the first quirk that is due and fits."""
        for kind in self.quirks:
            if kind in kinds:
                self.quirks.remove(kind)
                return kind
        return ""


class ModelsOf:
    """Implements `ports.Models` for one process."""

    def __init__(self, world: ModelWorld, process: Process) -> None:
        self._world = world
        self._process = process

    async def connect(
        self,
        *,
        model: str,
        purpose: Literal["start", "reconnect", "rotation"],
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> Connection:
        await self._process.leaves()
        await self._world.weather.passes(self._world.weather.delay_ms("dial", 40))
        await self._process.passes()
        if self._world.weather.mode("model") == "away":
            raise Unavailable("the model is away")
        connection = Connection(self._world, self._process, on_frame, on_lost)
        self._world.connections.append(connection)
        return connection


@dataclass
class Response:
    """One response under way."""

    response_id: str
    metadata: dict[str, Any] | None
    in_conversation: bool
    steps: Iterator[tuple[int, bytes, dict[str, Any] | None]]
    over: bool = False


class Connection:
    """One connection, which is one generation of the model's conversation. Implements `ports.ModelSocket`."""

    def __init__(
        self,
        world: ModelWorld,
        process: Process,
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.world = world
        self.weather = world.weather
        self.process = process
        self.open = True
        self.items: dict[str, dict[str, Any]] = {}
        # Calls that the model made whole: how often each was answered.
        self.calls: dict[str, int] = {}
        self.forgotten: set[str] = set()
        self._responses: dict[str, Response] = {}
        self._on_lost = on_lost
        self._heard = ""
        self._told = ""
        # As configured: audio becomes an item only when it is committed; answers are text.
        self._manual = self._text = False
        self._sound_of = SOUNDS["pcm"]
        self._speaking: str | None = None
        self._ms_heard = 0
        self.events = ServerEvents(EventIds(f"{world.weather.plan.seed}/model/{len(world.connections)}"))
        self._ends_ms = self.weather.ms + world.weather.plan.model_lasts_ms
        if self.weather.plan.model_lasts_ms:
            self.weather.later(self.weather.plan.model_lasts_ms, self._expires)
        self._down = Pipe(self.weather, lambda frame: process.take(lambda: on_frame(frame)), delay_ms=3)
        self._up = Pipe(self.weather, self._takes, delay_ms=3)

    # The socket.

    @property
    def term(self) -> Term:
        """It is best replaced at half its time, at the latest a little before its end."""
        if not self.weather.plan.model_lasts_ms:
            return Term()
        left_ms = max(0, self._ends_ms - self.weather.ms)
        return Term(rotate_in_ms=max(1, left_ms // 2), last_in_ms=max(1, left_ms - 3_000))

    def _expires(self) -> None:
        if self.open:
            self.lose()

    def send(self, frame: bytes) -> None:
        if self.process.says():
            self._up.send(frame)

    def close(self) -> None:
        if self.process.says():
            self.end()

    def lose(self) -> None:
        """The connection breaks."""
        self.weather.note("model", "connection lost")
        self.end()
        self.process.take(lambda: self._on_lost("closed_1006"))

    def end(self) -> None:
        """Nothing passes any more."""
        self.open = False
        self._up.cut()
        self._down.cut()

    # What comes.

    def _takes(self, frame: bytes) -> None:
        silent_ms = SILENCES.get(frame)
        if silent_ms is not None:
            self._ms_heard += silent_ms
            if self._speaking is not None and not self._manual:
                self._stopped(self._speaking)
            return
        event = orjson.loads(frame)
        handle = self._TAKES.get(event["type"])
        if handle is not None:
            handle(self, event)

    def _deletes(self, event: dict[str, Any]) -> None:
        item = self.items.pop(event["item_id"], None)
        if item is None:
            self._error("item_not_found", event)
        elif item["type"] == "function_call":
            # Nobody owes an answer to what it does not remember to have asked.
            self.forgotten.add(item["call_id"])

    def _truncates(self, event: dict[str, Any]) -> None:
        if event["item_id"] not in self.items:
            self._error("item_not_found", event)

    def _configured(self, event: dict[str, Any]) -> None:
        session = event["session"]
        self._manual = session["audio"]["input"]["turn_detection"] is None
        self._text = session["output_modalities"] == ["text"]
        heard, said = (session["audio"][way]["format"] for way in ("input", "output"))
        if heard != said:
            self.weather.wrong(f"the client's formats are one, the model's are {heard} and {said}")
        self._sound_of = next(sound for sound in SOUNDS.values() if sound.wire == said)

    def _commits(self, event: dict[str, Any]) -> None:
        text, self._speaking = self._speaking, None
        if text is None and self._manual:
            self._error("input_audio_buffer_commit_empty", event)
        else:
            self._committed(text or "", 250 if text else 0)

    def _sound(self, event: dict[str, Any]) -> None:
        audio = event["audio"]
        if not isinstance(audio, str):
            self._error("invalid_value", event)
            return
        self._ms_heard += FRAME_MS
        text = words_in(audio)
        if self._speaking is None:
            self._speaking = text
            if self._manual:
                return
            self._item_id = self.events.ids.item()
            self._emit(self.events.speech_started(self._item_id, audio_start_ms=self._ms_heard))

    def _stopped(self, text: str) -> None:
        self._speaking = None
        if self.world.hears and self.world.hears[0] == "nothing":
            self.world.hears.pop(0)
            text = ""
        self._emit(self.events.speech_stopped(self._item_id, audio_end_ms=self._ms_heard))
        self._committed(text, 250, self._item_id)

    def _committed(self, text: str, wait_ms: int, item_id: str = "") -> None:
        item_id = item_id or self.events.ids.item()
        content = [{"type": "input_audio", "transcript": None}]
        item = item_object(item_id, "message", "completed", role="user", content=content)
        self.items[item_id] = item
        self._emit(self.events.committed(item_id, previous_item_id=None))
        self._emit(self.events.item_added(item, previous_item_id=None))
        self._emit(self.events.item_done(item, previous_item_id=None))
        self._heard = text or self._heard
        kind = self.world.hears.pop(0) if self.world.hears else ""
        wait_ms = 7_500 if kind == "late" else self.weather.delay_ms("transcription", wait_ms)
        self.weather.later(wait_ms, lambda: self._transcribed(item_id, text, kind))

    def _transcribed(self, item_id: str, text: str, kind: str) -> None:
        if kind == "failed":
            self._emit(self.events.transcription_failed(item_id, code="failed", message="noise"))
            return
        logprobs = [{"token": "t", "logprob": -3.0 if kind == "badly" else -0.05, "bytes": [116]}]
        self._emit(
            self.events.transcription_completed(item_id, transcript=text, seconds=1.0, logprobs=logprobs)
        )

    def _created(self, event: dict[str, Any]) -> None:
        item = event["item"]
        if item["id"] in self.items:
            self.weather.wrong(f"the model is given the item {item['id']} twice")
        self.items[item["id"]] = item
        match item["type"]:
            case "function_call":
                self.calls.setdefault(item["call_id"], 0)
            case "function_call_output":
                self._answered(item)
            case "message" if item["role"] == "user":
                self._heard = item["content"][0].get("text") or self._heard

    def _answered(self, item: dict[str, Any]) -> None:
        call_id = item["call_id"]
        if call_id not in self.calls:
            self.weather.wrong(f"an output for the call {call_id}, which the model does not hold")
            return
        self.calls[call_id] += 1
        if self.calls[call_id] > 1:
            self.weather.wrong(f"the call {call_id} got {self.calls[call_id]} outputs")
        self._told = item["output"]
        self.weather.note("model", f"told of {call_id}: {item['output'][:100]}")

    # What it says.

    def _wanted(self, event: dict[str, Any]) -> None:
        asked = event.get("response") or {}
        alone = asked.get("conversation") == "none"
        active = next((r for r in self._responses.values() if r.in_conversation and not r.over), None)
        if not alone and active is not None:
            self.weather.wrong("a response is asked for while one is active")
            self._error("conversation_already_has_active_response", event)
            return
        quirk = self.world.quirk("silent", "slow", "no_metadata", "fails", "garbage", "incomplete")
        if quirk == "silent":
            self.weather.note("model", "does not answer")
            return
        answer = self._own_words(asked) if alone else self._answer(asked)
        if quirk in ("fails", "incomplete"):
            answer = Answer(answer.words[:9], status="failed" if quirk == "fails" else "incomplete")
        answer.text = (asked.get("output_modalities") or ["text" if self._text else "audio"]) == ["text"]
        answer.sound = self._sound_of
        metadata = None if quirk == "no_metadata" else asked.get("metadata")
        response_id = self.events.ids.response()
        steps = response_steps(self.events, response_id, answer, metadata, alone=alone)
        response = self._responses[response_id] = Response(response_id, metadata, not alone, steps)
        wait_ms = 12_000 if quirk == "slow" else self.weather.delay_ms("model", 150)
        if quirk == "garbage":
            for frame in _GARBAGE:
                self._emit(frame)
        said = f"{answer.words!r} {[name for name, _ in answer.calls]}"
        self.weather.note("model", f"{response_id[-4:]} says {said} {answer.status}")
        self.weather.later(wait_ms, lambda: self._go_on(response))

    def _own_words(self, asked: dict[str, Any]) -> Answer:
        words = str(asked.get("instructions") or "Aside.").removeprefix(_VERBATIM).removesuffix('"')
        garbles = self.weather.plan.garbles and words.endswith(QUESTION)
        if garbles or self.world.quirk("wrong_words"):
            words = "Well, whatever."
        return Answer(words)

    def _answer(self, asked: dict[str, Any]) -> Answer:
        heard, self._heard = self._heard, ""
        told, self._told = self._told, ""
        may_call = asked.get("tool_choice") != "none"
        calls = calls_in(heard) if may_call or self.world.quirk("calls_anyway") else []
        if calls and self.world.quirk("repeats_call"):
            calls = [*calls, calls[0]]
        if may_call and (heard.startswith("Again") or (told and self.world.quirk("calls_again"))):
            # What the caller wants once more, or nobody.
            calls = self.world.called
        if calls:
            self.world.called = calls
            return Answer("Let me see.", calls)
        if is_told_off(asked):
            return Answer("Which one, then?")
        return Answer(words_to(heard, told=bool(told)))

    def _go_on(self, response: Response) -> None:
        """The next frame, and a timer for the one after it."""
        while self.open and not response.over:
            wait_ms, frame, item = next(response.steps)
            response.over = b'"response.done"' in frame[:40]
            self._say(response, frame, item)
            if wait_ms:
                self.weather.later(wait_ms, lambda: self._go_on(response))
                return

    def _say(self, response: Response, frame: bytes, item: dict[str, Any] | None) -> None:
        if item is not None and response.in_conversation:
            self.items[item["id"]] = item
            if item["type"] == "function_call":
                self.calls[item["call_id"]] = 0
        self._emit(frame)
        if b'"response.created"' in frame[:40] and self.world.quirk("double_created"):
            self._emit(frame)
        if b'"response.done"' in frame[:40] and self.world.quirk("double_done"):
            self._emit(frame)
        if item is not None and item["type"] == "function_call" and self.world.quirk("cut_call"):
            self.weather.later(5, self.lose)

    def _cancel(self, event: dict[str, Any]) -> None:
        response = self._responses.get(event.get("response_id") or "")
        if response is None or response.over:
            self._error("response_cancel_not_active", event)
            return
        response.over = True
        alone = not response.in_conversation
        done = response_object(response.response_id, "cancelled", response.metadata, alone=alone)
        self.weather.note("model", f"{response.response_id[-4:]} is cancelled")
        self._emit(self.events.response_done(done))

    def _error(self, code: str, event: dict[str, Any]) -> None:
        error = ProtocolError(code, code)
        error.event_id = event.get("event_id")
        self._emit(self.events.error(error))

    def _emit(self, frame: bytes) -> None:
        if self.open:
            self._down.send(frame)

    _TAKES: ClassVar[dict[str, Callable[[Connection, dict[str, Any]], None]]] = {
        "session.update": _configured,
        "input_audio_buffer.append": _sound,
        "input_audio_buffer.commit": _commits,
        "conversation.item.create": _created,
        "conversation.item.delete": _deletes,
        "conversation.item.truncate": _truncates,
        "response.create": _wanted,
        "response.cancel": _cancel,
    }
