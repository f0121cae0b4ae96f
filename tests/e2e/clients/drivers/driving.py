"""What the drivers share: the task from stdin, the report to stdout, a microphone at the pace of speech.

A driver is run inside its client's own environment and imports nothing of Ringback. It is given one scene:

    say       words that the user types            speak    a file of PCM16 at 24 kHz that the user says
    cut_in    a file that the user says into the agent's words, `cut_in_after_ms` after they began
    tool      a function that the client brings, with the answer it gives
    until     what the agent's words must match, after the caller's last ones, for the scene to be over

and prints one JSON line: what the client, by its own account, saw.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

FRAME_MS = 20
FRAME_BYTES = 24_000 * 2 * FRAME_MS // 1000
SCENE_S = 40.0
SETTLE_S = 0.7


@dataclass
class Task:
    """One scene, and where to play it. `host`: such as 127.0.0.1:8080; `path`: such as /v1."""

    host: str
    path: str
    key: str
    until: str
    instructions: str = ""
    say: str = ""
    speak: str = ""
    cut_in: str = ""
    cut_in_after_ms: int = 0
    text_only: bool = False
    tool: dict[str, Any] | None = None

    @property
    def spoken(self) -> bool:
        return bool(self.speak or self.cut_in)


@dataclass
class Report:
    """What the client tells of the call."""

    ok: bool = False
    why: str = ""
    client: str = ""
    words: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    audio_ms: float = 0.0
    cuts: int = 0

    def __post_init__(self) -> None:
        self._event = asyncio.Event()
        self.changes = 0

    def agent_words(self, key: str, words: str, *, more: bool = False) -> None:
        """What the agent says in one message, so far; with `more`, what it adds."""
        self.words[key] = self.words.get(key, "") + words if more else words
        self._changed()

    def agent_audio(self, pcm_bytes: int) -> None:
        self.audio_ms += pcm_bytes / 48
        self._changed()

    def cut(self) -> None:
        """The client stopped playing because the caller speaks."""
        self.cuts += 1
        self._changed()

    def caller_heard(self, transcript: str) -> None:
        self.heard.append(transcript)
        self._changed()

    def called(self, name: str, arguments: Any) -> None:
        self.tools.append({"name": name, "arguments": arguments})
        self._changed()

    def failed(self, problem: object) -> None:
        """An error that the client shows to its application."""
        self.errors.append(str(problem)[:500])
        self._changed()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to have been reported. Raises TimeoutError that says what did not come."""
        try:
            async with asyncio.timeout(SCENE_S):
                while not condition():
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {SCENE_S:.0f} s") from None

    def _changed(self) -> None:
        self.changes += 1
        self._event.set()


class Client(Protocol):
    """A connected client. Leaving it hangs up."""

    async def __aenter__(self) -> Client: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def say(self, text: str) -> None:
        """The user types, and the agent shall answer."""

    async def append(self, pcm: bytes) -> None:
        """The user's microphone has recorded this."""


def drive(name: str, connect: Callable[[Task, Report], Client]) -> None:
    """Play the scene on stdin with this client, and print the report; exit code 1 if it was not to its end."""
    task = Task(**json.loads(sys.stdin.read()))
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no report
    report = asyncio.run(_drive(name, task, connect))
    print(json.dumps(asdict(report)), file=out, flush=True)
    raise SystemExit(0 if report.ok else 1)


async def _drive(name: str, task: Task, connect: Callable[[Task, Report], Client]) -> Report:
    report = Report(client=name)
    try:
        async with connect(task, report) as client:
            await _perform(task, client, report)
            report.ok = True
    except Exception as error:
        report.why = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    return report


async def _perform(task: Task, client: Client, report: Report) -> None:
    microphone = Microphone(client.append)
    listening: asyncio.Task[None] | None = None
    try:
        before, audio_before_ms = set(report.words), report.audio_ms
        if task.say:
            await client.say(task.say)
        if task.cut_in:
            await report.until(lambda: report.audio_ms > 0, "the agent's voice")
        if task.spoken:
            listening = asyncio.create_task(microphone.run())
        if task.speak:
            await microphone.speak(task.speak)
        if task.cut_in:
            await microphone.pause(task.cut_in_after_ms)
            before, audio_before_ms = set(report.words), report.audio_ms
            await microphone.speak(task.cut_in)
            await report.until(lambda: report.cuts > 0, "the end of playback at the caller's words")
        wanted = re.compile(task.until, re.I)
        await report.until(
            lambda: any(key not in before and wanted.search(said) for key, said in report.words.items()),
            f"{task.until!r} in the agent's words",
        )
        if not task.text_only:
            await report.until(lambda: report.audio_ms > audio_before_ms, "the voice of the answer")
        await _quiet(report)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _quiet(report: Report) -> None:
    """Until nothing has come for a moment: an error after the last words is an error too."""
    seen = -1
    while seen != report.changes:
        seen = report.changes
        await asyncio.sleep(SETTLE_S)


class Microphone:
    """Gives a client one frame every 20 ms: what is to be spoken, else silence."""

    def __init__(self, append: Callable[[bytes], Awaitable[None]]) -> None:
        self._append = append
        self._waiting: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._open = True

    async def run(self) -> None:
        due = time.monotonic()
        while self._open:
            frame, spoken = self._waiting.pop(0) if self._waiting else (bytes(FRAME_BYTES), None)
            await self._append(frame)
            if spoken is not None and not spoken.done():
                spoken.set_result(None)
            due = max(due + FRAME_MS / 1000, time.monotonic() - 0.2)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def speak(self, file: str) -> None:
        """Say what is in the file; returns when its last frame has been given."""
        pcm = await asyncio.to_thread(Path(file).read_bytes)
        pcm += bytes(-len(pcm) % FRAME_BYTES)
        await self._queue([pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)])

    async def pause(self, duration_ms: int) -> None:
        """Let so much time pass by the microphone's clock."""
        await self._queue([bytes(FRAME_BYTES)] * max(1, duration_ms // FRAME_MS))

    async def _queue(self, frames: list[bytes]) -> None:
        spoken = asyncio.get_running_loop().create_future()
        self._waiting += [(frame, None) for frame in frames[:-1]]
        self._waiting.append((frames[-1], spoken))
        await spoken
