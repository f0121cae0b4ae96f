"""A small honest Realtime server on loopback: hears speech by its energy, answers with a tone and a text."""

import base64
import itertools
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import orjson
import pytest
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

# The made airline of this folder is a kit of its tests.
sys.path.insert(0, str(Path(__file__).parent))

KEY = "rb_test"
SILENT_FRAMES_TO_STOP = 5


@dataclass
class Answer:
    """What the agent says next: its text, how long its audio lasts, and whether it is sent at once."""

    text: str
    audio_ms: int = 400


@dataclass
class ScriptedAgent:
    """One server; `received` holds every client event but audio, of all connections."""

    answers: list[Answer]
    greeting: Answer | None = None
    received: list[dict] = field(default_factory=list)
    frames: int = 0
    url: str = ""
    connections: list["_Connection"] = field(default_factory=list)

    def events(self, kind: str) -> list[dict]:
        return [event for event in self.received if event["type"] == kind]


class _Connection(WSListener):
    def __init__(self, agent: ScriptedAgent) -> None:
        self.agent = agent
        self.ids = itertools.count(1)
        self.answers = iter(agent.answers)
        self.speaking = False
        self.silent = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.agent.connections.append(self)
        self.send({"type": "session.created", "session": {"id": "sess_test", "type": "realtime"}})
        if self.agent.greeting:
            self.say(self.agent.greeting)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()
            return
        event = orjson.loads(frame.get_payload_as_bytes())
        if event["type"] == "input_audio_buffer.append":
            self.agent.frames += 1
            self.hear(base64.b64decode(event["audio"]))
        else:
            self.agent.received.append(event)

    def hear(self, pcm: bytes) -> None:
        loud = any(pcm)
        if loud and not self.speaking:
            self.speaking, self.silent = True, 0
            self.send({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0})
        elif self.speaking and not loud:
            self.silent += 1
            if self.silent >= SILENT_FRAMES_TO_STOP:
                self.speaking = False
                self.send({"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 0})
                answer = next(self.answers, None)
                if answer:
                    self.say(answer)
        elif loud:
            self.silent = 0

    def say(self, answer: Answer) -> None:
        number = next(self.ids)
        place = {
            "response_id": f"resp_{number}",
            "item_id": f"item_{number}",
            "output_index": 0,
            "content_index": 0,
        }
        audio = base64.b64encode(b"\x10\x20" * (answer.audio_ms * 24)).decode()
        self.send({"type": "response.created", "response": {"id": place["response_id"]}})
        self.send({"type": "response.output_audio_transcript.delta", "delta": answer.text, **place})
        self.send({"type": "response.output_audio.delta", "delta": audio, **place})
        self.send({"type": "response.output_audio.done", **place})
        self.send({"type": "response.output_audio_transcript.done", "transcript": answer.text, **place})
        self.send({"type": "response.done", "response": {"id": place["response_id"]}})

    def send(self, event: dict) -> None:
        self.transport.send(WSMsgType.TEXT, orjson.dumps({"event_id": "event_x", **event}))


@pytest.fixture
async def start_agent():
    """Start a scripted agent: `agent = await start_agent(Answer("Hello."))`."""
    servers = []

    async def start(*answers: Answer, greeting: Answer | None = None) -> ScriptedAgent:
        agent = ScriptedAgent(list(answers), greeting)

        def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener | _Connection:
            if request.headers.get("Authorization") == f"Bearer {KEY}":
                return _Connection(agent)
            body = b'{"error":{"message":"no tenant has this key"}}'
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(HTTPStatus.UNAUTHORIZED, body), None
            )

        server = await ws_create_server(accept, "127.0.0.1", 0)
        servers.append(server)
        agent.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        return agent

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def answer():
    return Answer


@pytest.fixture
def tone():
    """PCM of a caller's line that lasts so long."""
    return lambda audio_ms: b"\x00\x30" * (audio_ms * 24)
