"""What NATS is to the session service: the bucket of its records, the stream of its facts, late facts of others.

The records go through the service's own adapter; here is only the bucket below it, and what can go wrong there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from ringback_errors import Conflict
from ringback_events import BusAway, Entry, WatchHandler, WriteUnknown

from ringback_session import wire
from ringback_session.domain.effects import Publish
from ringback_session.domain.inputs import ActionReconciled
from ringback_session.ports import Pinned
from ringback_session.simulation.process import Process
from ringback_session.simulation.weather import Weather

__all__ = ["Bucket", "BusOf", "FactsOf", "LateFactsOf", "Stream"]

WRITE_MS = 4
ANSWER_MS = 2
READ_MS = 2


class Watcher(NamedTuple):
    """One watch of a process: of some keys, their whole entries or only what sums them up."""

    process: Process
    prefix: str
    summaries: bool
    handler: WatchHandler

    def hears(self, key: str, entry: Entry) -> None:
        """It must take what it hears at once: what it would wait for, nobody brings it."""
        heard = replace(entry, value=b"") if self.summaries else entry
        work: Coroutine[Any, Any, None] = self.handler(key, heard)  # type: ignore[assignment]
        with suppress(StopIteration):
            work.send(None)
            work.throw(RuntimeError(f"a watch of {self.prefix} waits for something"))


@dataclass
class Bucket:
    """The entries, and everybody who watches them."""

    weather: Weather
    entries: dict[str, Entry] = field(default_factory=dict)
    watchers: list[Watcher] = field(default_factory=list)
    revision: int = 0

    def write(self, key: str, written: Entry, expected: int | None) -> int:
        current = self.entries.get(key)
        if expected is not None and expected != (current.revision if current else 0):
            raise Conflict(f"{key}: revision {expected} expected", field="revision")
        self.revision += 1
        self.entries[key] = Entry(written.value, self.revision, written.summary)
        self.watchers = [watcher for watcher in self.watchers if watcher.process.alive]
        self._tell([watcher for watcher in self.watchers if key.startswith(watcher.prefix)], key)
        return self.revision

    def watch(self, watcher: Watcher) -> None:
        """From now on, after all that there is already."""
        for key in self.entries:
            if key.startswith(watcher.prefix):
                self._tell([watcher], key)
        self.watchers.append(watcher)

    def _tell(self, watchers: list[Watcher], key: str) -> None:
        entry = self.entries[key]

        def arrives() -> None:
            for watcher in watchers:
                watcher.process.take(partial(watcher.hears, key, entry))

        if watchers:
            self.weather.later(READ_MS, arrives)


class BusOf:
    """One process's way to the bucket: the little of a bus that its adapter for records needs."""

    def __init__(self, bucket: Bucket, process: Process) -> None:
        self._bucket = bucket
        self._process = process

    def bucket(self, name: str) -> _BucketOf:
        return _BucketOf(self._bucket, self._process)


class _BucketOf:
    def __init__(self, bucket: Bucket, process: Process) -> None:
        self._bucket = bucket
        self._weather = bucket.weather
        self._process = process

    async def get(self, key: str, *, timeout_ms: int = 2_000) -> Entry | None:
        await self._process.leaves()
        mode = self._weather.mode("records")
        await self._weather.passes(self._delay_ms(mode, READ_MS))
        await self._process.passes()
        if mode == "away":
            raise BusAway("the bus is away")
        entry = self._bucket.entries.get(key)
        return None if entry is None else replace(entry, summary="")

    async def create(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        return await self._write(key, Entry(value, 0, summary), 0, timeout_ms)

    async def update(
        self, key: str, value: bytes, *, revision: int, summary: str = "", timeout_ms: int = 2_000
    ) -> int:
        return await self._write(key, Entry(value, 0, summary), revision, timeout_ms)

    async def put(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        return await self._write(key, Entry(value, 0, summary), None, timeout_ms)

    async def watch(self, prefix: str, handler: WatchHandler, *, summaries: bool = False) -> object:
        self._bucket.watch(Watcher(self._process, prefix, summaries, handler))
        return self

    async def _write(self, key: str, value: Entry, expected: int | None, timeout_ms: int) -> int:
        await self._process.leaves()
        weather, mode = self._weather, self._weather.mode("records")
        if mode == "away":
            await weather.passes(1)
            await self._process.passes()
            raise BusAway("the bus is away")
        if mode.startswith("unknown"):
            await self._unknown(mode, key, value, expected, timeout_ms)
        # The request is on its way: it arrives whatever becomes of who sent it.
        arrived: list[int | Conflict] = []
        takes_ms = self._delay_ms(mode, WRITE_MS)
        weather.later(takes_ms, lambda: self._arrives(arrived, key, value, expected))
        await weather.passes(takes_ms + self._delay_ms(mode, ANSWER_MS))
        await self._process.passes()
        if isinstance(arrived[0], Conflict):
            raise arrived[0]
        return arrived[0]

    async def _unknown(
        self, mode: str, key: str, value: Entry, expected: int | None, timeout_ms: int
    ) -> None:
        arrives_ms = {"unknown_written": WRITE_MS, "unknown_late": timeout_ms + 700}.get(mode)
        if arrives_ms is not None:
            self._weather.later(arrives_ms, lambda: self._arrives([], key, value, expected))
        await self._weather.passes(timeout_ms)
        await self._process.passes()
        raise WriteUnknown("no answer in time")

    def _arrives(self, arrived: list[int | Conflict], key: str, value: Entry, expected: int | None) -> None:
        try:
            arrived.append(self._bucket.write(key, value, expected))
        except Conflict as conflict:
            arrived.append(conflict)

    def _delay_ms(self, mode: str, base_ms: int) -> int:
        return 400 if mode == "slow" else self._weather.delay_ms("records", base_ms)


class Fact(NamedTuple):
    """A fact as a consumer reads it; `body` is the message of its kind."""

    epoch: int
    seq: int
    kind: str
    body: Any


@dataclass
class Stream:
    """The facts of one session as consumers see them: each (epoch, seq) once, its first copy."""

    weather: Weather
    facts: dict[tuple[int, int], Fact] = field(default_factory=dict)
    order: list[Fact] = field(default_factory=list)

    def store(self, published: Publish, pinned: Pinned) -> None:
        message = wire.event(published, pinned.tenant, pinned.session_id)
        key = (message.epoch, message.seq)
        fact = Fact(*key, published.kind, getattr(message, published.kind))
        known = self.facts.setdefault(key, fact)
        if known is fact:
            self.order.append(fact)
        elif known != fact:
            self.weather.wrong(f"two facts are numbered {key}: {known.kind} and {fact.kind}")

    def of(self, *kinds: str) -> list[Fact]:
        return [fact for fact in self.order if fact.kind in kinds]


class FactsOf:
    """One process's way to the stream: in order, spooled in its memory while the bus is away."""

    def __init__(self, stream: Stream, process: Process) -> None:
        self._stream = stream
        self._weather = stream.weather
        self._process = process
        self._waiting: deque[tuple[Publish, Pinned, Callable[[], None]]] = deque()
        self._sending = False

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None:
        if self._process.says():
            self._waiting.append((fact, pinned, on_ack))
            self._send_on()

    def hurry(self, session_id: str) -> None:
        """Nothing waits here for others."""

    def _send_on(self) -> None:
        if self._waiting and not self._sending:
            self._sending = True
            self._weather.later(self._weather.delay_ms("bus", 3), self._send)

    def _send(self) -> None:
        """The first fact that waits reaches the stream; the next one leaves after it."""
        self._sending = False
        if not self._process.alive:
            return
        mode = self._weather.mode("bus")
        if mode == "away" or self._process.still:
            self._sending = True
            self._weather.later(100, self._send)
            return
        fact, pinned, on_ack = self._waiting.popleft()
        self._stream.store(fact, pinned)
        if mode != "unacked":
            self._weather.later(2, lambda: self._process.take(on_ack))
        self._send_on()


class LateFactsOf:
    """What tools learnt late, for one process: all of it since the session's beginning, then what comes."""

    def __init__(self, process: Process, *, sources: list[LateFactsOf]) -> None:
        self.process = process
        self._sources = sources
        self._listeners: list[Callable[[ActionReconciled], None]] = []
        self.told: list[ActionReconciled] = list(sources[0].told) if sources else []
        sources.append(self)

    def tell(self, fact: ActionReconciled) -> None:
        self.told.append(fact)
        for listener in list(self._listeners):
            self.process.take(lambda listener=listener: listener(fact))  # type: ignore[misc]

    async def follow(
        self, pinned: Pinned, on_fact: Callable[[ActionReconciled], None]
    ) -> Callable[[], Awaitable[None]]:
        await self.process.leaves()
        self._listeners.append(on_fact)
        for fact in list(self.told):
            on_fact(fact)

        async def stop() -> None:
            if on_fact in self._listeners:
                self._listeners.remove(on_fact)

        return stop

    async def tools_off(self) -> tuple[str, ...]:
        return ()
