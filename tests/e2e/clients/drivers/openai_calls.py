"""A call over the openai package, without its socket: which events it sends, and what it makes of those that come."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from driving import Report, Task

Event = dict[str, Any]


def opening(task: Task) -> list[Event]:
    """The events that configure the session."""
    session: Event = {"type": "realtime", "output_modalities": ["text" if task.text_only else "audio"]}
    if task.spoken:
        session["audio"] = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}
    if task.instructions:
        session["instructions"] = task.instructions
    if task.tool:
        session["tools"] = [{"type": "function", **task.tool["schema"]}]
    return [{"type": "session.update", "session": session}]


def saying(text: str) -> list[Event]:
    """The events of a typed turn."""
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def appending(pcm: bytes) -> Event:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


class Call:
    """The application's side: plays audio by the clock, runs the tool, truncates at the caller's words."""

    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._playing = ""
        self._began_s = 0.0
        self._audio_ms = 0.0

    def take(self, event: Any) -> list[Event]:
        """What to send for an event of the server."""
        match event.type:
            case "error":
                self._report.failed(event.error)
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                self._report.agent_words(event.item_id, event.delta, more=True)
            case "response.output_audio.delta":
                self._play(event.item_id, len(base64.b64decode(event.delta)))
            case "conversation.item.input_audio_transcription.completed":
                self._report.caller_heard(event.transcript)
            case "input_audio_buffer.speech_started":
                return self._cut()
            case "response.function_call_arguments.done":
                return self._run_tool(event)
            case "response.done" if any(item.type == "function_call" for item in event.response.output or []):
                return [{"type": "response.create"}]
        return []

    def _play(self, item_id: str, pcm_bytes: int) -> None:
        if item_id != self._playing:
            # One message after the other: this one is heard when the last is over.
            over_s = self._began_s + self._audio_ms / 1000
            self._playing, self._began_s, self._audio_ms = item_id, max(time.monotonic(), over_s), 0.0
        self._audio_ms += pcm_bytes / 48
        self._report.agent_audio(pcm_bytes)

    def _cut(self) -> list[Event]:
        played_ms = max(0, int((time.monotonic() - self._began_s) * 1000))
        if not self._playing or played_ms >= self._audio_ms:
            return []
        cut, self._playing = self._playing, ""
        self._report.cut()
        return [
            {
                "type": "conversation.item.truncate",
                "item_id": cut,
                "content_index": 0,
                "audio_end_ms": played_ms,
            }
        ]

    def _run_tool(self, event: Any) -> list[Event]:
        assert self._task.tool is not None, f"a call of {event.name}, and no tool was brought"
        self._report.called(event.name, json.loads(event.arguments))
        output = json.dumps(self._task.tool["answer"])
        item = {"type": "function_call_output", "call_id": event.call_id, "output": output}
        return [{"type": "conversation.item.create", "item": item}]
