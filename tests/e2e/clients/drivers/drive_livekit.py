"""LiveKit: AgentSession over the openai plugin's RealtimeModel, with microphone and loudspeaker instead of a room."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Self

from driving import Report, Task, drive
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.voice import io
from livekit.plugins.openai.realtime import RealtimeModel

SAMPLE_RATE = 24_000


class Microphone(io.AudioInput):
    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue(maxsize=64)

    async def record(self, pcm: bytes) -> None:
        await self._frames.put(rtc.AudioFrame(pcm, SAMPLE_RATE, 1, len(pcm) // 2))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()


class Loudspeaker(io.AudioOutput):
    """Plays by the clock: knows at any time how much of a segment was heard."""

    def __init__(self, report: Report) -> None:
        super().__init__(
            label="loudspeaker",
            capabilities=io.AudioOutputCapabilities(pause=False),
            sample_rate=SAMPLE_RATE,
        )
        self._report = report
        self._pushed_s = 0.0
        self._began_s = 0.0
        self._ending: asyncio.Task[None] | None = None
        self._cleared = asyncio.Event()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._ending is not None:
            await self._ending
        if not self._pushed_s:
            self._began_s = time.monotonic()
            self._cleared.clear()
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration
        self._report.agent_audio(len(bytes(frame.data)))

    def flush(self) -> None:
        super().flush()
        if self._pushed_s and (self._ending is None or self._ending.done()):
            self._ending = asyncio.create_task(self._play_out())

    def clear_buffer(self) -> None:
        if self._pushed_s:
            self._cleared.set()

    async def _play_out(self) -> None:
        left_s = self._began_s + self._pushed_s - time.monotonic()
        try:
            await asyncio.wait_for(self._cleared.wait(), max(0.0, left_s))
            interrupted = True
        except TimeoutError:
            interrupted = False
        played_s = min(self._pushed_s, time.monotonic() - self._began_s)
        self._pushed_s = 0.0
        if interrupted:
            self._report.cut()
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


class Driver:
    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._microphone = Microphone()
        logging.basicConfig(level=logging.WARNING)

    async def __aenter__(self) -> Self:
        # A path other than /v1 is given with /realtime.
        model = RealtimeModel(
            model="gpt-realtime",
            api_key=self._task.key,
            base_url=f"http://{self._task.host}{self._task.path}/realtime",
        )
        self._session: AgentSession[None] = AgentSession(llm=model, vad=None, aec_warmup_duration=None)
        self._session.input.audio = self._microphone
        self._session.output.audio = Loudspeaker(self._report)
        self._session.on("conversation_item_added", self._on_item)
        self._session.on("user_input_transcribed", self._on_heard)
        self._session.on("error", lambda event: self._report.failed(event.error))
        agent = Agent(
            instructions=self._task.instructions or "Answer in one sentence.",
            tools=[self._tool(self._task.tool)] if self._task.tool else [],
        )
        await self._session.start(agent, record=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.aclose()

    async def say(self, text: str) -> None:
        self._session.generate_reply(user_input=text)

    async def append(self, pcm: bytes) -> None:
        await self._microphone.record(pcm)

    def _on_item(self, event: Any) -> None:
        if getattr(event.item, "role", "") == "assistant":
            self._report.agent_words(event.item.id, event.item.text_content or "")

    def _on_heard(self, event: Any) -> None:
        if event.is_final:
            self._report.caller_heard(event.transcript)

    def _tool(self, tool: dict[str, Any]) -> Any:
        async def run(raw_arguments: dict[str, object]) -> dict[str, Any]:
            self._report.called(tool["schema"]["name"], raw_arguments)
            return dict(tool["answer"])

        return function_tool(run, raw_schema=tool["schema"])


if __name__ == "__main__":
    drive("livekit", Driver)
