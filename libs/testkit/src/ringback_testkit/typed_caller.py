"""A caller that types: a raw Realtime client in text mode, with its resume token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Self

import orjson
from picows import WSTransport
from ringback_sockets import Closed, RealtimeLink, dial

__all__ = ["TypedCaller"]

PATIENCE_S = 25.0
PATIENCE_MS = 25_000
# Of one way back among several: a replica that stands still must not use up all of the patience.
ONE_TRY_MS = 5_000


class TypedCaller:
    """Types lines, keeps what the agent says, and can come back with its resume token.

    An async context; leaving it hangs up.
    """

    def __init__(self, url: str, api_key: str, *, path: str = "/v1/realtime", caller_id: str = "") -> None:
        self._base = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        if caller_id:
            self._headers["Ringback-Caller-Id"] = caller_id
        self._path = path
        self._changed = asyncio.Condition()
        self._link: RealtimeLink | None = None
        self._notified: set[asyncio.Task[None]] = set()
        self.resume_token = ""
        self.session_id = ""
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._saying: list[str] = []
        self.closed: Closed | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.events if event["type"] == "error"]

    async def connect(
        self, *, path: str | None = None, base: str | None = None, timeout_ms: int = PATIENCE_MS
    ) -> None:
        """Connect and switch to text; the first connection remembers the session."""
        self.closed = None
        opened: list[WSTransport] = []
        link = RealtimeLink(on_open=lambda found: opened.append(found.transport))
        await dial(
            f"{base or self._base}{path or self._path}",
            link=link,
            headers=self._headers,
            timeout_ms=timeout_ms,
        )
        headers = opened[0].response.headers
        self.resume_token = headers.get("Ringback-Resume-Token", self.resume_token)
        self.session_id = headers.get("Ringback-Session-Id", self.session_id)
        start = len(self.events)
        self._link = link
        link.take(self._take, self._on_closed)
        await self.until(lambda: self._seen("session.created", start) or self.closed is not None)
        assert self.closed is None, f"the call was refused: {self.errors} {self.closed}"
        self.send({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
        await self.until(lambda: self._seen("session.updated", start))

    async def come_back(self, *, base: str | None = None) -> None:
        """Resume with the token, trying for a while: the replica may be starting again."""
        token = self.resume_token
        refusals: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        path = f"/r/{token}/v1/realtime"
                        await self.connect(path=path, base=base, timeout_ms=ONE_TRY_MS)
                        return
                    except Exception as refusal:
                        refusals.append(repr(refusal))
                        self.resume_token = token
                        await asyncio.sleep(0.2)
        except TimeoutError:
            told = "\n".join([f"{len(refusals)} refusals", *refusals[:3], *refusals[-3:]])
            raise AssertionError(f"no way back within {PATIENCE_S} s: {told}") from None

    def send(self, event: dict[str, Any]) -> None:
        assert self._link is not None
        self._link.send(orjson.dumps(event))

    def type(self, text: str) -> None:
        """One line, and the request for a reply."""
        content = [{"type": "input_text", "text": text}]
        self.send(
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": content},
            }
        )
        self.send({"type": "response.create"})

    async def hears(self, pattern: str, *, after: int = 0, timeout_s: float = PATIENCE_S) -> str:
        """Wait until the agent says something like it; fails with what was said instead."""
        wanted = re.compile(pattern, re.IGNORECASE)

        def found() -> str:
            return next((text for text in self.said[after:] if wanted.search(text)), "")

        try:
            await self.until(lambda: bool(found()), timeout_s=timeout_s)
        except TimeoutError:
            raise AssertionError(
                f"{pattern!r} was not said within {timeout_s} s; said: {self.said[after:]}; errors: {self.errors};"
                f" closed: {self.closed}; last events: {[event['type'] for event in self.events[-20:]]}"
            ) from None
        return found()

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
        """Wait for a state of this caller; TimeoutError when it does not come."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    def hang_up(self) -> None:
        """Close as a caller who is done."""
        if self._link is not None and self.closed is None:
            self._link.close()

    def vanish(self) -> None:
        """Drop the connection without a word."""
        if self._link is not None:
            self._link.transport.underlying_transport.abort()

    def _seen(self, kind: str, start: int) -> bool:
        return any(event["type"] == kind for event in self.events[start:])

    def _take(self, frame: bytes) -> None:
        event = orjson.loads(frame)
        self.events.append(event)
        if event["type"] == "response.output_text.done":
            self._saying.append(event["text"])
        elif event["type"] == "response.done":
            # Heard once it is over: a line typed earlier would be refused, for a response is still active.
            self.said += self._saying
            self._saying.clear()
        self._notify()

    def _on_closed(self, closed: Closed) -> None:
        self.closed = closed
        self._notify()

    def _notify(self) -> None:
        task = asyncio.ensure_future(self._wake())
        self._notified.add(task)
        task.add_done_callback(self._notified.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
