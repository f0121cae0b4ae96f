"""Owns a live copy of what a stack publishes: facts by session, facts of no session, and a file of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson
from ringback.events.v1 import events_pb2 as pb
from ringback_errors import Overloaded
from ringback_events import ALL_CONTROL, ALL_EVENTS, Delivery, NatsBus, connect

from ringback_cli.watch.facts import fact_as_json

__all__ = ["Watcher"]

_FACTS_MAX = 100_000


class Watcher:
    """An async context: inside it every fact is kept, written to `file` and given to the callbacks."""

    def __init__(
        self,
        nats_url: str,
        *,
        file: Path | None = None,
        on_event: Callable[[pb.SessionEvent], None] = lambda _: None,
        on_control: Callable[[pb.ControlFact], None] = lambda _: None,
    ) -> None:
        self._nats_url = nats_url
        self._path = file
        self._on_event = on_event
        self._on_control = on_control
        self._changed = asyncio.Condition()
        self._seen: set[tuple[str, int, int]] = set()
        self._bus: NatsBus | None = None
        self._file: IO[bytes] | None = None
        self.events: dict[str, list[pb.SessionEvent]] = {}
        self.control: list[pb.ControlFact] = []

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("wb")
        self._bus = await connect(self._nats_url, name="ringback-watch")
        await self._bus.ephemeral(ALL_EVENTS, self._take_event)
        await self._bus.ephemeral(ALL_CONTROL, self._take_control)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bus is not None:
            await self._bus.close()
        if self._file is not None:
            self._file.close()

    def of(self, session_id: str) -> list[pb.SessionEvent]:
        """The facts of one session in the order of arrival."""
        return self.events.get(session_id, [])

    def forget(self, session_id: str) -> None:
        """Let go of one session's facts: a long watch has no room for all of them."""
        for event in self.events.pop(session_id, []):
            self._seen.discard((session_id, event.epoch, event.seq))

    async def wait_for(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until the condition holds after some fact; False when the time is up."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(condition)
                return True
        except TimeoutError:
            return False

    async def _take_event(self, delivery: Delivery) -> None:
        event = pb.SessionEvent.FromString(delivery.payload)
        key = (event.session_id, event.epoch, event.seq)
        if key in self._seen:
            return
        self._bounded()
        self._seen.add(key)
        self.events.setdefault(event.session_id, []).append(event)
        self._write({"subject": delivery.subject, **fact_as_json(event)})
        self._on_event(event)
        await self._notify()

    async def _take_control(self, delivery: Delivery) -> None:
        fact = pb.ControlFact.FromString(delivery.payload)
        self._bounded()
        self.control.append(fact)
        self._write({"subject": delivery.subject, **fact_as_json(fact)})
        self._on_control(fact)
        await self._notify()

    def _bounded(self) -> None:
        if len(self._seen) + len(self.control) >= _FACTS_MAX:
            raise Overloaded(f"more than {_FACTS_MAX} facts in one watch")

    def _write(self, line: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(orjson.dumps(line) + b"\n")

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
