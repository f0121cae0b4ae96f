"""openai-agents: RealtimeRunner and its session, with the client's own clock of what was played."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from agents import FunctionTool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeRunner
from driving import Report, Task, drive


class Driver:
    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._session: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        set_tracing_disabled(True)  # its exporter would send traces elsewhere
        agent = RealtimeAgent(
            name="caller",
            instructions=self._task.instructions or "Answer in one sentence.",
            tools=[self._tool(self._task.tool)] if self._task.tool else [],
        )
        url = f"ws://{self._task.host}{self._task.path}/realtime?model=gpt-realtime"
        self._session = await RealtimeRunner(agent).run(model_config={"url": url, "api_key": self._task.key})
        await self._session.enter()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        if self._reading is not None:
            await self._reading

    async def say(self, text: str) -> None:
        await self._session.send_message(text)

    async def append(self, pcm: bytes) -> None:
        await self._session.send_audio(pcm)

    async def _read(self) -> None:
        async for event in self._session:
            match event.type:
                case "error":
                    self._report.failed(event.error)
                case "audio":
                    self._report.agent_audio(len(event.audio.data))
                case "audio_interrupted":
                    self._report.cut()
                case "raw_model_event":
                    self._take(event.data)

    def _take(self, event: Any) -> None:
        match event.type:
            case "transcript_delta":
                self._report.agent_words(event.item_id, event.delta, more=True)
            case "input_audio_transcription_completed":
                self._report.caller_heard(event.transcript)

    def _tool(self, tool: dict[str, Any]) -> FunctionTool:
        async def run(_: Any, arguments: str) -> str:
            self._report.called(tool["schema"]["name"], json.loads(arguments))
            return json.dumps(tool["answer"])

        return FunctionTool(
            name=tool["schema"]["name"],
            description=tool["schema"]["description"],
            params_json_schema=tool["schema"]["parameters"],
            on_invoke_tool=run,
            strict_json_schema=False,
        )


if __name__ == "__main__":
    drive("openai-agents", Driver)
