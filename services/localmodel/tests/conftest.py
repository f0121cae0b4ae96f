"""A whole session in one process: tones for speech, a scripted or a real brain, and the events it sent."""

import base64
from collections.abc import Iterator
from datetime import date
from typing import Any

import orjson
import pytest
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from ringback_localmodel.adapters.dialogue_brain import DialogueBrain
from ringback_localmodel.adapters.speech import Ears, Mouth, detectors
from ringback_localmodel.adapters.traces import Spans
from ringback_localmodel.adapters.twins import MemoryOutbox
from ringback_localmodel.ports import Brain, Recogniser
from ringback_localmodel.usecases.limits import SessionLimits
from ringback_localmodel.usecases.session import RealtimeSession
from ringback_realtime import EventIds, SessionConfig
from ringback_speech import InferencePool, tone_voice

ADAPTER: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
VOICE = tone_voice()


class Harness:
    """Sends client events in order and keeps what came back, each one checked against the openai types."""

    def __init__(
        self, pool: InferencePool, *, brain: Brain, recogniser: Recogniser | None, limits: SessionLimits
    ) -> None:
        ids = EventIds("test")
        self.outbox = MemoryOutbox()
        self.session = RealtimeSession(
            config=SessionConfig.defaults(id="sess_1", model="m", expires_at=1),
            ids=ids,
            outbox=self.outbox,
            brain=brain,
            recogniser=recogniser or Ears(VOICE, pool=pool),
            synthesiser=Mouth(VOICE, pool=pool),
            detectors=detectors(VOICE),
            limits=limits,
            traces=Spans(),
        )
        self._seen = 0

    async def now(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        """Send one event and return what came back before anything was waited for."""
        await self.session.handle(orjson.dumps({"type": type, **fields}))
        return self.news()

    async def send(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        """Send one event, wait until all is done, and return the events that came of it."""
        await self.session.handle(orjson.dumps({"type": type, **fields}))
        await self.session.settled()
        return self.news()

    async def update(self, **session: Any) -> list[dict[str, Any]]:
        return await self.now("session.update", session={"type": "realtime", **session})

    async def hear(self, pcm: bytes, *, settle: bool = True) -> list[dict[str, Any]]:
        """Stream audio in frames of 40 ms."""
        for start in range(0, len(pcm), 1_920):
            audio = base64.b64encode(pcm[start : start + 1_920]).decode()
            await self.session.handle(orjson.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        if settle:
            await self.session.settled()
        return self.news()

    async def say(self, text: str, *, settle: bool = True) -> list[dict[str, Any]]:
        """A caller's turn: the words as tones, then enough silence to end it."""
        return await self.hear(self.speech(text) + bytes(48_000), settle=settle)

    async def user(self, text: str) -> str:
        """A typed user item; returns its id."""
        content = [{"type": "input_text", "text": text}]
        events = await self.now(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content}
        )
        return str(events[0]["item"]["id"])

    def news(self) -> list[dict[str, Any]]:
        """Events since the last look."""
        frames = self.outbox.frames[self._seen :]
        self._seen = len(self.outbox.frames)
        for frame in frames:
            ADAPTER.validate_json(frame)
            assert len(frame) < 1024 * 1024
        return [orjson.loads(frame) for frame in frames]

    @staticmethod
    def speech(text: str) -> bytes:
        return b"".join(chunk.pcm for chunk in VOICE.synthesiser.stream(text))


class Start:
    """Makes harnesses; the dialogue brain lives on 22 November 2026."""

    def __init__(self, pool: InferencePool) -> None:
        self._pool = pool

    def __call__(
        self,
        brain: Brain | None = None,
        *,
        recogniser: Recogniser | None = None,
        limits: SessionLimits | None = None,
    ) -> Harness:
        return Harness(
            self._pool,
            brain=brain or DialogueBrain(today=lambda: date(2026, 11, 22)),
            recogniser=recogniser,
            limits=limits or SessionLimits(),
        )


@pytest.fixture
def start() -> Iterator[Start]:
    pool = InferencePool(threads=1, waiting_max=32)
    yield Start(pool)
    pool.close()
