"""The bus's server in memory: streams, consumers, buckets and objects for tests and single-process use.

Several MemoryBus objects may share one broker, as services share one NATS. `stop` and `start` play its
absence.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback_errors import Conflict, InvalidInput, Overloaded

from ringback_events.bus import Backlog, Delivery, Entry
from ringback_events.message import Message
from ringback_events.topology import BucketSpec, StreamSpec, Topology, covers, load_topology

__all__ = ["Durable", "MemoryBroker", "MemoryBucketStore", "MemoryStream", "Stored", "delivery_of"]


CHANGES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in a stream."""

    seq: int
    message: Message
    at_ms: int


class MemoryStream:
    """One stream: messages in order, repetitions dropped by id, old ones dropped at the size bound."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.messages: deque[Stored] = deque()
        self.last_seq = 0
        self.durables: dict[str, Durable] = {}
        self.changed = asyncio.Event()
        self._bytes = 0
        self._has_holes = False
        self._ids: dict[str, tuple[int, int]] = {}

    def store(self, message: Message) -> int:
        """Append and return the sequence number; a repeated id returns the first one's."""
        now_ms = time.time_ns() // 1_000_000
        known = self._ids.get(message.msg_id)
        if known is not None and now_ms - known[1] <= self.spec.duplicate_window_ms:
            return known[0]
        if self.spec.messages_max and len(self.messages) >= self.spec.messages_max:
            raise Overloaded(f"bus: {message.subject} takes no more", field="queue")
        self.last_seq += 1
        self._ids[message.msg_id] = (self.last_seq, now_ms)
        self.messages.append(Stored(self.last_seq, message, now_ms))
        self._bytes += message.size_bytes
        while self._bytes > self.spec.bytes_max and not self.spec.append_only:
            self._drop_oldest()
        self.notify()
        return self.last_seq

    def after(self, seq: int) -> list[Stored]:
        """The messages after a sequence number."""
        if not self.messages or self.messages[-1].seq <= seq:
            return []
        if self._has_holes:
            return [one for one in self.messages if one.seq > seq]
        first = self.messages[0].seq
        return [self.messages[index] for index in range(max(0, seq + 1 - first), len(self.messages))]

    def remove(self, gone: Callable[[Stored], bool]) -> int:
        """Take out the messages that `gone` names and return how many there were."""
        kept = deque(one for one in self.messages if not gone(one))
        removed = len(self.messages) - len(kept)
        self.messages, self._has_holes = kept, self._has_holes or removed > 0
        self._bytes = sum(one.message.size_bytes for one in kept)
        return removed

    def notify(self) -> None:
        """Wake everybody who waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def _drop_oldest(self) -> None:
        oldest = self.messages.popleft()
        self._bytes -= oldest.message.size_bytes
        self._ids.pop(oldest.message.msg_id, None)


class Durable:
    """The place of a durable consumer, shared by all subscriptions of its name."""

    def __init__(self, stream: MemoryStream, *, name: str, filter_subject: str, after: int) -> None:
        self.stream = stream
        self.name = name
        self.filter_subject = filter_subject
        self._next = after
        self._again: deque[tuple[Stored, int]] = deque()
        self._waiting: dict[int, asyncio.TimerHandle] = {}
        self.unanswered = 0

    def take(self) -> tuple[Stored, int] | None:
        """Return the next message and how often it has been handed out, this time included."""
        if self._again:
            self.unanswered += 1
            return self._again.popleft()
        for stored in self.stream.after(self._next):
            self._next = stored.seq
            if covers(self.filter_subject, stored.message.subject):
                self.unanswered += 1
                return stored, 1
        return None

    def settled(self, stored: Stored) -> None:
        """One message has been answered for good."""
        self.unanswered -= 1
        if self.stream.spec.work_queue:
            self.stream.remove(lambda one: one.seq == stored.seq)
        self.stream.notify()

    def give_back(self, stored: Stored, deliveries: int, *, delay_ms: int) -> None:
        """Hand the message out again after a delay."""
        self.unanswered -= 1

        def due() -> None:
            self._waiting.pop(stored.seq, None)
            self._again.append((stored, deliveries + 1))
            self.stream.notify()

        if delay_ms <= 0:
            due()
        else:
            self._waiting[stored.seq] = asyncio.get_running_loop().call_later(delay_ms / 1000, due)

    @property
    def lag(self) -> int:
        """Messages that were never handed out."""
        return self.backlog().waiting

    def backlog(self) -> Backlog:
        """Messages that were never handed out, and since when the oldest waits."""
        behind = self.stream.after(self._next)
        waiting = [stored for stored in behind if covers(self.filter_subject, stored.message.subject)]
        return Backlog(len(waiting), waiting[0].at_ms) if waiting else Backlog()


@dataclass(slots=True)
class MemoryBucketStore:
    """One bucket: the latest entry of each key, and the changes for those who watch."""

    spec: BucketSpec
    entries: dict[str, Entry] = field(default_factory=dict)
    # The last changes in order, None for a removal: enough to go on after a break.
    changes: deque[tuple[int, str, Entry | None]] = field(default_factory=lambda: deque(maxlen=CHANGES_MAX))
    revision: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, key: str, value: bytes | None, *, expected: int | None, summary: str = "") -> int:
        """Set (None: remove) a key; Conflict if its revision is not the expected one (0: must not exist)."""
        if value is not None and len(value) > self.spec.value_bytes_max:
            raise InvalidInput(
                f"value: at most {self.spec.value_bytes_max} bytes expected by bucket {self.spec.name},"
                f" got {len(value)}",
                field="value",
            )
        current = self.entries.get(key)
        if expected is not None and expected != (current.revision if current else 0):
            raise Conflict(f"{self.spec.name}/{key}: revision {expected} expected", field="revision")
        self.revision += 1
        entry = None if value is None else Entry(value, self.revision, summary)
        if entry is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = entry
        self.changes.append((self.revision, key, entry))
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        return self.revision


class MemoryBroker:
    """What a NATS server is to NatsBus."""

    def __init__(self, *, topology: Topology | None = None) -> None:
        self.topology = topology or load_topology()
        self.streams = {spec.name: MemoryStream(spec) for spec in self.topology.streams}
        self.buckets = {spec.name: MemoryBucketStore(spec) for spec in self.topology.buckets}
        self.objects: dict[str, dict[str, bytes]] = {spec.name: {} for spec in self.topology.objects}
        self.up = True
        self._listeners: list[Callable[[bool], None]] = []
        self.started = asyncio.Event()
        self.started.set()

    def store(self, message: Message) -> int:
        """Put a message into the stream of its subject."""
        return self.streams[self.topology.stream_of(message.subject).name].store(message)

    def stop(self) -> None:
        """Be away until `start`; what is stored stays."""
        if self.up:
            self.up = False
            self.started.clear()
            self._tell()

    def start(self) -> None:
        """Be there again."""
        if not self.up:
            self.up = True
            self.started.set()
            self._tell()

    def attach(self, listener: Callable[[bool], None]) -> None:
        """Tell `listener` now and at each change whether the broker is there."""
        self._listeners.append(listener)
        listener(self.up)

    def detach(self, listener: Callable[[bool], None]) -> None:
        """Stop telling."""
        self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener(self.up)


def delivery_of(stored: Stored, *, deliveries: int, lag: int) -> Delivery:
    """A stored message as a consumer gets it."""
    message = stored.message
    return Delivery(
        subject=message.subject,
        payload=message.payload,
        headers=message.wire_headers(),
        stream_seq=stored.seq,
        deliveries=deliveries,
        lag=lag,
        stored_at_ms=stored.at_ms,
    )
