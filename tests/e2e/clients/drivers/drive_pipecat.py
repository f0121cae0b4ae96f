"""Pipecat: OpenAIRealtimeLLMService in a whole pipeline, with a transport that plays by the clock."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Self

from driving import Report, Task, drive
from loguru import logger
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

SAMPLE_RATE = 24_000
DEVICE_S = 0.04


class Microphone(BaseInputTransport):
    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def record(self, pcm: bytes) -> None:
        await self.push_audio_frame(InputAudioRawFrame(audio=pcm, sample_rate=SAMPLE_RATE, num_channels=1))


class Loudspeaker(BaseOutputTransport):
    def __init__(self, params: TransportParams, report: Report) -> None:
        super().__init__(params)
        self._report = report
        self._free_at = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._report.agent_audio(len(frame.audio))
        now = time.monotonic()
        # A device takes a little more than it has played.
        due = max(self._free_at, now) - DEVICE_S
        self._free_at = max(self._free_at, now) + len(frame.audio) / 2 / SAMPLE_RATE
        while (left_s := due - time.monotonic()) > 0:
            await asyncio.sleep(left_s)
        return True


class Ear(FrameProcessor):
    """Tells the report what the caller was heard to say; transcripts travel upstream from the model."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self._report.caller_heard(frame.text)
        await self.push_frame(frame, direction)


class Watch(FrameProcessor):
    """Tells the report what comes from the model, and when it is heard."""

    def __init__(self, report: Report, quiet: asyncio.Event) -> None:
        super().__init__()
        self._report = report
        self._quiet = quiet
        self._speaking = False
        self._message = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case LLMFullResponseStartFrame():
                self._message += 1
            case TTSTextFrame():
                self._report.agent_words(str(self._message), frame.text, more=True)
            case BotStartedSpeakingFrame():
                self._speaking = True
                self._quiet.clear()
            case BotStoppedSpeakingFrame():
                self._speaking = False
                self._quiet.set()
            case InterruptionFrame() if direction is FrameDirection.DOWNSTREAM and self._speaking:
                self._report.cut()
        await self.push_frame(frame, direction)


class Driver:
    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._quiet = asyncio.Event()
        logger.remove()
        logger.add(sys.stderr, level="WARNING")
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=SAMPLE_RATE,
            audio_out_enabled=True,
            audio_out_sample_rate=SAMPLE_RATE,
            audio_out_10ms_chunks=2,
        )
        self._microphone = Microphone(params)
        context = LLMContext(tools=self._tools()) if task.tool else LLMContext()
        turns = LLMContextAggregatorPair(context)
        pipeline = Pipeline(
            [
                self._microphone,
                turns.user(),
                Ear(report),
                self._llm(),
                Watch(report, self._quiet),
                Loudspeaker(params, report),
                turns.assistant(),
            ]
        )
        self._worker = PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=SAMPLE_RATE),
            enable_rtvi=False,
        )
        self._runner = WorkerRunner(handle_sigint=False)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        started = asyncio.Event()

        @self._worker.event_handler("on_pipeline_started")
        async def on_started(*_: Any) -> None:
            started.set()

        @self._worker.event_handler("on_pipeline_error")
        async def on_error(_: Any, frame: Any) -> None:
            self._report.failed(frame.error)

        await self._runner.add_workers(self._worker)
        self._running = asyncio.create_task(self._runner.run())
        await asyncio.wait_for(started.wait(), 20)
        if self._task.speak:
            # As in its own examples: the bot speaks first, the conversation is set up by it.
            await self._worker.queue_frames([LLMRunFrame()])
            await asyncio.wait_for(self._quiet.wait(), 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._worker.cancel()
        assert self._running is not None
        await self._running

    async def say(self, text: str) -> None:
        await self._worker.queue_frames(
            [LLMMessagesAppendFrame([{"role": "user", "content": text}], run_llm=True)]
        )

    async def append(self, pcm: bytes) -> None:
        await self._microphone.record(pcm)

    def _llm(self) -> OpenAIRealtimeLLMService:
        spoken = AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
        llm = OpenAIRealtimeLLMService(
            api_key=self._task.key,
            base_url=f"ws://{self._task.host}{self._task.path}/realtime",
            settings=OpenAIRealtimeLLMService.Settings(
                model="gpt-realtime",
                system_instruction=self._task.instructions or "Answer in one sentence.",
                session_properties=SessionProperties(audio=spoken if self._task.spoken else None),
            ),
        )
        if self._task.tool:
            llm.register_function(self._task.tool["schema"]["name"], self._run_tool)
        return llm

    def _tools(self) -> ToolsSchema:
        assert self._task.tool is not None
        schema = self._task.tool["schema"]
        parameters = schema["parameters"]
        return ToolsSchema(
            standard_tools=[
                FunctionSchema(
                    name=schema["name"],
                    description=schema["description"],
                    properties=parameters["properties"],
                    required=parameters["required"],
                )
            ]
        )

    async def _run_tool(self, call: FunctionCallParams) -> None:
        assert self._task.tool is not None
        self._report.called(call.function_name, dict(call.arguments))
        await call.result_callback(self._task.tool["answer"])


if __name__ == "__main__":
    drive("pipecat", Driver)
