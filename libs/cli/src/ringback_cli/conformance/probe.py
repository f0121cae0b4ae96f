"""One raw connection to the server under test: events out, events in, and waiting for what must come."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from ringback_sockets import Closed, RealtimeLink

__all__ = ["Event", "MissingError", "Probe", "say_exactly", "text_item"]

Event = dict[str, Any]
PATIENCE_S = 30.0
CLOSE_S = 2.0
FRAME_MS = 100
MESSAGES_SHOWN = 12
FIRST_BYTES = 1024


class MissingError(Exception):
    """What had to come did not; the words say what came instead."""


class Probe:
    """Sends client events, keeps server events. A mark is a place in `events`: what came after it is told apart."""

    def __init__(self, link: RealtimeLink) -> None:
        self.link = link
        self.events: list[Event] = []
        self.closed: Closed | None = None
        self._sent = 0
        self._changed = asyncio.Event()
        link.take(self._take, self._on_closed)

    @property
    def mark(self) -> int:
        return len(self.events)

    def since(self, mark: int, *kinds: str) -> list[Event]:
        """The events after a mark, all or those of some types."""
        return [event for event in self.events[mark:] if not kinds or event.get("type") in kinds]

    @property
    def errors(self) -> list[Event]:
        return [event["error"] for event in self.events if event.get("type") == "error"]

    def send(self, kind: str, **fields: Any) -> int:
        """Send one event; returns the mark before it."""
        mark = self.mark
        self.send_raw(orjson.dumps({"type": kind, **fields}))
        return mark

    def send_raw(self, frame: bytes) -> None:
        self.link.send(frame)

    def begin_frame(self, size: int) -> None:
        """The head of a text frame of so many bytes, and the first of them.

        To push on would lose the server's word: a socket that is closed with data unread is reset.
        """
        head = b"\x81\xff" + size.to_bytes(8, "big") + bytes(4)
        self.link.transport.underlying_transport.write(head + b"A" * FIRST_BYTES)

    def append(self, audio: bytes, *, bytes_per_ms: int = 48) -> None:
        """Audio in frames of 100 ms, as fast as they are taken."""
        size = FRAME_MS * bytes_per_ms
        for at in range(0, len(audio), size):
            chunk = base64.b64encode(audio[at : at + size]).decode("ascii")
            self.send("input_audio_buffer.append", audio=chunk)

    async def until(
        self,
        *kinds: str,
        after: int = 0,
        where: Callable[[Event], bool] = lambda event: True,
        timeout_s: float = PATIENCE_S,
    ) -> Event:
        """The first event of these types after a mark. Raises MissingError."""

        def found() -> Event | None:
            return next((event for event in self.since(after, *kinds) if where(event)), None)

        await self._wait(lambda: found() is not None or self.closed is not None, timeout_s)
        event = found()
        if event is None:
            came = [event.get("type", "?") for event in self.since(after)]
            ended = f", then closed {self.closed.code} {self.closed.reason}" if self.closed else ""
            raise MissingError(f"no {' or '.join(kinds)}; came: {_short(came)}{ended}{self._said(after)}")
        return event

    async def until_closed(self, *, timeout_s: float = PATIENCE_S) -> Closed:
        await self._wait(lambda: self.closed is not None, timeout_s)
        if self.closed is None:
            raise MissingError("the connection stayed open")
        return self.closed

    async def configure(self, **session: Any) -> Event:
        """`session.update` and what it is answered with."""
        mark = self.send("session.update", session={"type": "realtime", **session})
        answer = await self.until("session.updated", "error", after=mark)
        if answer["type"] == "error":
            raise MissingError(f"session.update was refused: {answer['error'].get('message')}")
        updated: Event = answer["session"]
        return updated

    async def fence(self) -> list[Event]:
        """Everything that the server says before it comes to an event sent now."""
        mark = self.mark
        self._sent += 1
        self.send("conversation.item.retrieve", item_id=f"none_{self._sent}", event_id=f"fence_{self._sent}")
        await self.until(
            "error", after=mark, where=lambda event: event["error"].get("event_id") == f"fence_{self._sent}"
        )
        return self.since(mark)[:-1]

    async def refused(self, kind: str, **fields: Any) -> Event:
        """Send what must be refused; the error, which names the event that caused it."""
        self._sent += 1
        event_id = f"refused_{self._sent}"
        mark = self.send(kind, event_id=event_id, **fields)
        answer = await self.until(
            "error",
            after=mark,
            where=lambda event: event["error"].get("event_id") in (event_id, None),
        )
        error: Event = answer["error"]
        if error.get("event_id") != event_id:
            raise MissingError(f"the error does not name the event that caused it: {error}")
        return error

    async def create(self, item: Event, **fields: Any) -> Event:
        """`conversation.item.create`, up to its `done`; returns `added`."""
        mark = self.send("conversation.item.create", item=item, **fields)
        added = await self.until("conversation.item.added", "error", after=mark)
        if added["type"] == "error":
            raise MissingError(f"conversation.item.create was refused: {added['error'].get('message')}")
        item_id = added["item"]["id"]
        await self.until(
            "conversation.item.done", after=mark, where=lambda event: event["item"]["id"] == item_id
        )
        return added

    async def respond(self, timeout_s: float = PATIENCE_S, **response: Any) -> Event:
        """`response.create`, up to its `response.done`; returns the response."""
        mark = self.send("response.create", response=response)
        return await self.done(after=mark, timeout_s=timeout_s)

    async def done(self, *, after: int, timeout_s: float = PATIENCE_S) -> Event:
        """The first response that ends after a mark."""
        event = await self.until("response.done", after=after, timeout_s=timeout_s)
        response: Event = event["response"]
        return response

    async def close(self) -> None:
        """Hang up, and wait a moment for the other side."""
        self.link.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.link.wait_closed()
        except TimeoutError:
            self.link.abort()

    def _said(self, after: int) -> str:
        messages = [str(event["error"].get("message")) for event in self.since(after, "error")]
        return f"; errors: {' | '.join(messages)}" if messages else ""

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _take(self, message: bytes) -> None:
        self.events.append(json.loads(message))
        self._changed.set()

    def _on_closed(self, closed: Closed) -> None:
        self.closed = closed
        self._changed.set()


def text_item(text: str, *, role: str = "user", **fields: Any) -> Event:
    """A message of one text part."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **fields}


def say_exactly(text: str) -> dict[str, Any]:
    """Parameters of a response that has known words."""
    return {"instructions": f'Say exactly: "{text}"'}


def _short(kinds: Iterable[str]) -> str:
    """Types in order, repetitions counted."""
    shown: list[tuple[str, int]] = []
    for kind in kinds:
        if shown and shown[-1][0] == kind:
            shown[-1] = (kind, shown[-1][1] + 1)
        else:
            shown.append((kind, 1))
    words = [kind if count == 1 else f"{kind} ×{count}" for kind, count in shown]
    return ", ".join(words[-MESSAGES_SHOWN:]) or "nothing"
