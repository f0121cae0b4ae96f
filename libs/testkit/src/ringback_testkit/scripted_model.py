"""A realtime model that says what a test tells it to: in this process over a socket, or without one.

`ModelFrames` makes the protocol's server events, in order; `ScriptedModel` serves them on loopback, keeps what each
connection sent, and answers `response.create` from a script. Audio is a fixed pattern: nobody listens to it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from picows import WSUpgradeRequest, WSUpgradeResponseWithListener
from ringback_realtime import (
    Close,
    EventIds,
    ProtocolError,
    ServerEvents,
    SessionConfig,
    closes,
    usage_object,
)
from ringback_sockets import Closed, RealtimeLink, accepted, listen, read_upgrade

__all__ = ["CHUNK", "Answer", "ModelConnection", "ModelFrames", "ScriptedModel"]

# 160 ms of PCM16 at 24 kHz.
CHUNK: Final = bytes(range(256)) * 30
WAIT_S: Final = 5.0
_VERBATIM: Final = 'Say exactly: "'
_Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the model does when it is asked for a response: words, then calls of (name, arguments).

    `ends` False leaves the response open, for the test to go on with.
    """

    words: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    kind: str = "audio"
    chunks: int = 1
    ends: bool = True


@dataclass
class ModelFrames:
    """Makes whole turns of server events and gives them to `send`, one by one."""

    send: Callable[[bytes], None]
    seed: str = "model"
    events: ServerEvents = field(init=False)

    def __post_init__(self) -> None:
        self.events = ServerEvents(EventIds(self.seed))

    @property
    def ids(self) -> EventIds:
        return self.events.ids

    def emit(self, frame: bytes) -> None:
        self.send(frame)

    def say(self, type: str, **fields: Any) -> None:
        """Any event."""
        self.emit(self.events.build(type, **fields))

    # The caller's turn.

    def hears(
        self,
        text: str,
        *,
        item_id: str | None = None,
        logprob: float = -0.05,
        start_ms: int = 0,
        end_ms: int = 800,
    ) -> str:
        """A whole spoken utterance, from its first sound to its transcript; returns its item's id."""
        item_id = item_id or self.ids.item()
        self.emit(self.events.speech_started(item_id, audio_start_ms=start_ms))
        self.emit(self.events.speech_stopped(item_id, audio_end_ms=end_ms))
        self.commits(item_id)
        self.transcribes(item_id, text, logprob=logprob)
        return item_id

    def commits(self, item_id: str) -> None:
        content = [{"type": "input_audio", "transcript": None}]
        item = _item(item_id, "message", "completed", role="user", content=content)
        self.emit(self.events.committed(item_id, previous_item_id=None))
        self.emit(self.events.item_added(item, previous_item_id=None))
        self.emit(self.events.item_done(item, previous_item_id=None))

    def transcribes(self, item_id: str, text: str, *, logprob: float = -0.05) -> None:
        logprobs = [{"token": "t", "logprob": logprob, "bytes": [116]}]
        self.emit(self.events.transcription_delta(item_id, delta=text, logprobs=logprobs))
        self.emit(
            self.events.transcription_completed(item_id, transcript=text, seconds=0.8, logprobs=logprobs)
        )

    # Responses.

    def begins(self, metadata: Mapping[str, str] | None = None, *, response_id: str | None = None) -> str:
        response_id = response_id or self.ids.response()
        self.emit(self.events.response_created(self.response(response_id, metadata=metadata)))
        return response_id

    def response(self, response_id: str, *, status: str = "in_progress", **more: Any) -> _Json:
        """The object that `response.created` and `response.done` carry."""
        return {
            "object": "realtime.response",
            "id": response_id,
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": "conv_model",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}},
            "usage": None if status == "in_progress" else usage_object(output_text_tokens=7),
            "metadata": None,
        } | more

    def opens_message(self, response_id: str, index: int = 0, *, kind: str = "audio") -> str:
        """A message begins; returns its item's id."""
        item_id = self.ids.item()
        item = _item(item_id, "message", "in_progress", role="assistant", content=[])
        self.emit(self.events.output_item_added(response_id, output_index=index, item=item))
        self.emit(self.events.item_added(item, previous_item_id=None))
        part = {"type": kind, _words(kind): ""}
        self.emit(self.events.part_added(response_id, item_id=item_id, output_index=index, part=part))
        return item_id

    def message(
        self, response_id: str, words: str, index: int = 0, *, kind: str = "audio", chunks: int = 1
    ) -> str:
        """A whole message; returns its item's id."""
        item_id = self.opens_message(response_id, index, kind=kind)
        where: _Json = {"item_id": item_id, "output_index": index}
        if kind == "audio":
            self.emit(self.events.transcript_delta(response_id, delta=words, **where))
            for _ in range(chunks):
                self.emit(self.events.audio_delta(response_id, audio=CHUNK, **where))
            self.emit(self.events.audio_done(response_id, **where))
            self.emit(self.events.transcript_done(response_id, transcript=words, **where))
        else:
            self.emit(self.events.text_delta(response_id, delta=words, **where))
            self.emit(self.events.text_done(response_id, text=words, **where))
        part = {"type": kind, _words(kind): words}
        self.emit(self.events.part_done(response_id, part=part, **where))
        content = [{"type": f"output_{kind}", _words(kind): words}]
        done = _item(item_id, "message", "completed", role="assistant", content=content)
        self.emit(self.events.item_done(done, previous_item_id=None))
        self.emit(self.events.output_item_done(response_id, output_index=index, item=done))
        return item_id

    def function_call(
        self,
        response_id: str,
        name: str,
        arguments: Mapping[str, Any] | str,
        index: int = 0,
        *,
        call_id: str | None = None,
    ) -> str:
        """A whole function call; returns its call_id."""
        item_id, call_id = self.ids.item(), call_id or self.ids.call()
        body = arguments if isinstance(arguments, str) else json.dumps(arguments)
        named = {"call_id": call_id, "name": name}
        began = _item(item_id, "function_call", "in_progress", arguments="", **named)
        self.emit(self.events.output_item_added(response_id, output_index=index, item=began))
        where: _Json = {"item_id": item_id, "output_index": index, "call_id": call_id}
        self.emit(self.events.arguments_delta(response_id, delta=body, **where))
        self.emit(self.events.arguments_done(response_id, name=name, arguments=body, **where))
        done = _item(item_id, "function_call", "completed", arguments=body, **named)
        self.emit(self.events.output_item_done(response_id, output_index=index, item=done))
        return call_id

    def ends(self, response_id: str, *, status: str = "completed", **more: Any) -> None:
        self.emit(self.events.response_done(self.response(response_id, status=status, **more)))

    def answers(self, answer: Answer, metadata: Mapping[str, str] | None) -> str:
        """A whole response; returns its id."""
        response_id = self.begins(metadata)
        index = itertools.count()
        if answer.words:
            self.message(response_id, answer.words, next(index), kind=answer.kind, chunks=answer.chunks)
        for name, arguments in answer.calls:
            self.function_call(response_id, name, arguments, next(index))
        if answer.ends:
            self.ends(response_id)
        return response_id


class ModelConnection(ModelFrames):
    """One client of the scripted model."""

    def __init__(self, link: RealtimeLink, model: ScriptedModel, *, number: int) -> None:
        super().__init__(link.send, seed=f"model/{number}")
        self.link = link
        self.received: list[_Json] = []
        self.appends = 0
        self.closed: Closed | None = None
        self.last_response_id = ""
        self._model = model
        self._changed = asyncio.Event()
        self._config = SessionConfig.defaults(
            id=self.ids.session(), model="scripted", expires_at=model.expires_at
        )
        self._greet(model.greeting)
        link.take(self._take, self._lost)

    def got(self, type: str) -> list[_Json]:
        """The events of a type that the client sent, in order."""
        return [event for event in self.received if event["type"] == type]

    async def wait_for(self, type: str, *, count: int = 1, timeout_s: float = WAIT_S) -> list[_Json]:
        """Wait until that many events of a type have come."""
        async with asyncio.timeout(timeout_s):
            while len(self.got(type)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.got(type)

    def lose(self) -> None:
        """Cut the connection without a word."""
        self.link.abort()

    def hang_up(self, close: Close = closes.NORMAL) -> None:
        self.link.close(close)

    def _greet(self, greeting: ProtocolError | bool) -> None:
        if isinstance(greeting, ProtocolError):
            self.emit(self.events.error(greeting))
            self.hang_up(closes.invalid_request(greeting.code))
        elif greeting:
            self.emit(self.events.session_created(self._config))

    def _take(self, frame: bytes) -> None:
        event = json.loads(frame)
        if event["type"] == "input_audio_buffer.append":
            self.appends += 1
        else:
            self.received.append(event)
            self._answer(event)
        self._changed.set()

    def _answer(self, event: _Json) -> None:
        match event["type"]:
            case "session.update":
                self.emit(self.events.session_updated(self._config))
            case "conversation.item.create":
                item = {"object": "realtime.item", "status": "completed", **event["item"]}
                self.emit(self.events.item_added(item, previous_item_id=None))
                self.emit(self.events.item_done(item, previous_item_id=None))
            case "conversation.item.truncate":
                where = {name: event[name] for name in ("content_index", "audio_end_ms")}
                self.emit(self.events.item_truncated(event["item_id"], **where))
            case "response.create":
                wanted = event.get("response") or {}
                answer = self._model.answer_to(wanted)
                if answer is not None:
                    self.last_response_id = self.answers(answer, wanted.get("metadata"))
            case _:
                pass

    def _lost(self, closed: Closed) -> None:
        self.closed = closed
        self._changed.set()


class ScriptedModel:
    """Serves the Realtime protocol on a free port of loopback, in the loop that started it.

    Words that must be said exactly are said so; every other response takes the next answer of the script, then
    `default`. None as an answer: nothing is said, and the test goes on by itself.
    """

    def __init__(
        self, script: Iterable[Answer | None] = (), *, default: Answer | None = Answer("All right.")
    ) -> None:
        self.script: deque[Answer | None] = deque(script)
        self.default = default
        self.connections: list[ModelConnection] = []
        # Every upgrade that was asked for: path with its query, and headers.
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refuses = False
        # What an upgrade is answered with instead, and what comes first after one: nothing, or an error and the close.
        self.refusal: WSUpgradeResponseWithListener | None = None
        self.greeting: ProtocolError | bool = True
        self.expires_at = 2**31
        self.url = ""
        self._server: asyncio.Server | None = None
        self._came = asyncio.Event()

    async def __aenter__(self) -> ScriptedModel:
        self._server, port = await listen(self._admit, host="127.0.0.1", port=0)
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.lose()

    async def connection(self, number: int = 1, *, timeout_s: float = WAIT_S) -> ModelConnection:
        """Wait for the n-th connection that is made."""
        async with asyncio.timeout(timeout_s):
            while len(self.connections) < number:
                self._came.clear()
                await self._came.wait()
        return self.connections[number - 1]

    def answer_to(self, wanted: Mapping[str, Any]) -> Answer | None:
        """The next answer; `wanted` is what `response.create` asked for."""
        kind = (wanted.get("output_modalities") or ["audio"])[0]
        instructions = str(wanted.get("instructions") or "")
        if instructions.startswith(_VERBATIM):
            return Answer(instructions.removeprefix(_VERBATIM).removesuffix('"'), kind=kind)
        return self.script.popleft() if self.script else self.default

    def _admit(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener | None:
        self.asked.append(
            (request.path.decode(), {key.lower(): value for key, value in request.headers.items()})
        )
        if self.refuses:
            return None
        if self.refusal is not None:
            return self.refusal
        link = RealtimeLink(on_open=self._opened)
        return accepted(read_upgrade(request), link)

    def _opened(self, link: RealtimeLink) -> None:
        self.connections.append(ModelConnection(link, self, number=len(self.connections) + 1))
        self._came.set()


def _words(kind: str) -> str:
    return "transcript" if kind == "audio" else "text"


def _item(item_id: str, type: str, status: str, **fields: Any) -> _Json:
    return {"id": item_id, "object": "realtime.item", "type": type, "status": status, **fields}
