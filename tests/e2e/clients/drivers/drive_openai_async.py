"""openai, AsyncOpenAI: `client.realtime.connect`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Self

from driving import Report, Task, drive
from openai import AsyncOpenAI
from openai_calls import Call, appending, opening, saying


class Driver:
    def __init__(self, task: Task, report: Report) -> None:
        self._task = task
        self._report = report
        self._call = Call(task, report)
        self._stack = AsyncExitStack()
        self._connection: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        client = AsyncOpenAI(api_key=self._task.key, base_url=f"http://{self._task.host}{self._task.path}")
        self._connection = await self._stack.enter_async_context(
            client.realtime.connect(model="gpt-realtime")
        )
        first = await self._connection.recv()
        assert first.type == "session.created", first
        await self._send(opening(self._task))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        if self._reading is not None:
            await self._reading

    async def say(self, text: str) -> None:
        await self._send(saying(text))

    async def append(self, pcm: bytes) -> None:
        await self._send([appending(pcm)])

    async def _read(self) -> None:
        async for event in self._connection:
            await self._send(self._call.take(event))

    async def _send(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await self._connection.send(event)


if __name__ == "__main__":
    drive("openai (async)", Driver)
