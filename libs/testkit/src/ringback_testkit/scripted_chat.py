"""A text model that says what a test tells it to: an OpenAI-compatible chat endpoint on loopback.

Answers come from `script` in order; each request is kept. What is not scripted is answered with status 500, so that a
test that asks too often fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

__all__ = ["ChatAnswer", "ScriptedChat"]

REQUEST_BYTES_MAX: Final = 4 * 1024 * 1024
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class ChatAnswer:
    """What one request gets: words, or calls of (name, arguments). `body` stands in for the whole answer."""

    words: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    status: int = 200
    body: bytes | None = None
    # The answer waits for this, if given; the client may be gone by then.
    after: asyncio.Event | None = None


@dataclass
class ScriptedChat:
    """Serves `POST …/chat/completions` between `async with`; `url` is the base URL for clients."""

    script: deque[ChatAnswer] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    # Of each request, names in lower case.
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    _server: asyncio.Server | None = None
    _visits: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> ScriptedChat:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for visit in list(self._visits):
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        await self._server.wait_closed()

    def will(self, *answers: ChatAnswer) -> None:
        """Answer the next requests so."""
        self.script.extend(answers)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits.add(visit)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._visits.discard(visit)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            body = await reader.readexactly(min(REQUEST_BYTES_MAX, int(headers.get("content-length", "0"))))
            self.headers.append(headers)
            answer = self._next(lines[0], body)
            if answer.after is not None:
                await answer.after.wait()
            data = answer.body if answer.body is not None else _body(answer, number=len(self.requests))
            writer.write(
                f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            await writer.drain()

    def _next(self, line: str, body: bytes) -> ChatAnswer:
        if not line.startswith("POST ") or "/chat/completions" not in line:
            return ChatAnswer(status=404, body=b'{"error":{"message":"unknown path"}}')
        self.requests.append(json.loads(body))
        if not self.script:
            return ChatAnswer(status=500, body=b'{"error":{"message":"nothing was scripted"}}')
        return self.script.popleft()


def _body(answer: ChatAnswer, *, number: int) -> bytes:
    calls = [
        {
            "id": f"call_{number}_{place}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for place, (name, arguments) in enumerate(answer.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": answer.words or None}
    if calls:
        message["tool_calls"] = calls
    whole = {
        "id": f"chatcmpl_{number}",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
    return json.dumps(whole).encode()
