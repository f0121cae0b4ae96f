"""openai, OpenAI: the same over threads; the connection is read in one and written in another."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import Any, Self

from driving import Report, Task, drive
from openai import OpenAI
from openai_calls import Call, appending, opening, saying


class Driver:
    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._call = Call(task, report)
        self._stack = ExitStack()
        self._connection: Any = None
        self._loop = asyncio.get_running_loop()
        self._writing = threading.Lock()
        self._reading = threading.Thread(target=self._read, daemon=True)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stack.close)
        await asyncio.to_thread(self._reading.join, 5.0)

    async def say(self, text: str) -> None:
        await asyncio.to_thread(self._send, saying(text))

    async def append(self, pcm: bytes) -> None:
        await asyncio.to_thread(self._send, [appending(pcm)])

    def _open(self) -> None:
        client = OpenAI(api_key=self._task.key, base_url=f"http://{self._task.host}{self._task.path}")
        self._connection = self._stack.enter_context(client.realtime.connect(model="gpt-realtime"))
        first = self._connection.recv()
        assert first.type == "session.created", first
        self._send(opening(self._task))
        self._reading.start()

    def _read(self) -> None:
        for event in self._connection:
            # The report belongs to the loop's thread.
            answers = asyncio.run_coroutine_threadsafe(self._take(event), self._loop).result()
            self._send(answers)

    async def _take(self, event: Any) -> list[dict[str, Any]]:
        return self._call.take(event)

    def _send(self, events: list[dict[str, Any]]) -> None:
        with self._writing:
            for event in events:
                self._connection.send(event)


if __name__ == "__main__":
    drive("openai (sync)", Driver)
