"""The bus as its users see it: the protocols that NatsBus and MemoryBus both keep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ringback_events.topology import Topology

__all__ = [
    "Backlog",
    "Bucket",
    "Bus",
    "BusStats",
    "ConsumePolicy",
    "Delivery",
    "Entry",
    "Handler",
    "Objects",
    "Start",
    "Subscription",
    "Tail",
    "WatchHandler",
]

Start = Literal["all", "new"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message handed to a consumer."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    stream_seq: int
    # How many times the stream has handed it out, this time included: 1, 2, 3 …
    deliveries: int = 1
    # Messages behind this one that the consumer has not been given yet.
    lag: int = 0
    # When the stream stored it, unix ms.
    stored_at_ms: int = 0

    @property
    def redelivered(self) -> bool:
        """Whether this consumer may have seen it before."""
        return self.deliveries > 1

    @property
    def pending(self) -> int:
        """The lag, under the name that NATS gives it."""
        return self.lag


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a bucket and the revision that a compare-and-set must name.

    `summary`: what was written with the value for those who watch; `get` reads the value alone.
    """

    value: bytes
    revision: int
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a durable consumer was not given yet: how much, and since when (unix ms; 0: nothing) the oldest waits."""

    waiting: int = 0
    oldest_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class ConsumePolicy:
    """How often and how patiently a message is offered to a handler that fails.

    An error that is not retryable is offered `deliveries_max` times, a retryable one (a RingbackError that
    says so) `outage_deliveries_max` times; then the message is parked: copied to
    `ringback.parked.<stream>.<durable>` with the reason in its headers, logged, counted, and acknowledged.
    It is acknowledged only after the copy is stored.
    """

    deliveries_max: int = 8
    outage_deliveries_max: int = 200
    # The wait before the second, third, … delivery; the last one repeats.
    backoff_ms: tuple[int, ...] = (100, 500, 2_000, 5_000, 15_000, 30_000)
    # A message without an answer for this long is offered again (elsewhere, if this process has died).
    ack_wait_ms: int = 30_000
    # How long close() waits for handlers that are running.
    drain_ms: int = 5_000

    def delay_ms(self, deliveries: int) -> int:
        """Return the wait after the given number of deliveries."""
        return self.backoff_ms[min(max(deliveries, 1), len(self.backoff_ms)) - 1]


@dataclass(slots=True)
class BusStats:
    """Counts since the bus was made, and what waits now; read by health pages and metrics."""

    published: int = 0
    acked: int = 0
    spooled: int = 0
    spool_full: int = 0
    # Refused by the server for good (for example too large); kept in the spool folder's `refused` file.
    refused: int = 0
    delivered: int = 0
    handler_errors: int = 0
    parked: int = 0
    disconnects: int = 0
    last_error: str = field(default="")


Handler = Callable[[Delivery], Awaitable[None]]
WatchHandler = Callable[[str, Entry | None], Awaitable[None]]


class Subscription(Protocol):
    """A running consumer."""

    @property
    def lag(self) -> int:
        """Messages not handed out yet, as of the last delivery."""

    async def close(self) -> None:
        """Take no more messages, let running handlers finish within the drain time, give the rest back."""


class Tail(Subscription, Protocol):
    """A live tail."""

    async def wait_caught_up(self, timeout_ms: int = 5_000) -> None:
        """Return when what the stream held at the start was handed over; Unavailable if it is not in time."""


class Bucket(Protocol):
    """A key-value bucket with compare-and-set.

    Keys are dot-separated tokens of letters, digits, '_', '-', '=' and '/'. Every call raises BusAway when
    nothing was sent, WriteUnknown when a write was sent and no answer came in `timeout_ms`: it may have
    happened, may not, or may happen yet. So read, and settle it with a compare-and-set at the revision that
    was read: if that succeeds, the write in doubt can never land; if it is a Conflict, it has (or somebody
    else was first), and the next read tells. Reads are answered by the bucket's leader, so they see every
    finished write.

    A write may say in a few words what it is about (`summary`: up to 1,024 visible ASCII characters, else
    InvalidInput), so that who follows many keys can do so without the values.
    """

    async def get(self, key: str, *, timeout_ms: int = 2_000) -> Entry | None:
        """Return the entry, or None if there is none."""

    async def create(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        """Store a key that must not exist and return its revision; Conflict if it exists."""

    async def update(
        self, key: str, value: bytes, *, revision: int, summary: str = "", timeout_ms: int = 2_000
    ) -> int:
        """Replace the value if its revision is `revision` and return the new one; else Conflict."""

    async def put(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        """Store the value whatever was there and return its revision."""

    async def delete(self, key: str, *, revision: int | None = None, timeout_ms: int = 2_000) -> None:
        """Remove the key; with `revision`, only if that is still its revision (else Conflict)."""

    async def keys(self, prefix: str = "", *, timeout_ms: int = 5_000) -> list[str]:
        """Return the live keys that start with `prefix`, sorted."""

    async def watch(
        self,
        prefix: str,
        handler: WatchHandler,
        *,
        timeout_ms: int = 5_000,
        pace_ms: int = 0,
        summaries: bool = False,
    ) -> Subscription:
        """Call `handler` with every live key of the prefix, return, and go on with each change (None:
        deleted).

        After a break the watch goes on where it was; a key that changed several times meanwhile may be
        reported once. With `pace_ms` changes are looked for that often instead of being sent at once: for who
        has time, and would mostly be told of keys that this process writes itself. With `summaries` no value
        is sent: each entry has its revision, its summary, and an empty value.
        """


class Objects(Protocol):
    """An object store: named blobs, for things larger than a message."""

    async def put(self, name: str, data: bytes, *, timeout_ms: int = 10_000) -> None:
        """Store `data` under `name`, replacing what was there."""

    async def get(self, name: str, *, timeout_ms: int = 10_000) -> bytes | None:
        """Return the object's bytes, or None if there is none."""

    async def list(self, *, timeout_ms: int = 10_000) -> list[str]:
        """Return the names of all objects, sorted."""


class Bus(Protocol):
    """Publish, consume, keep: everything that leaves a process over NATS."""

    @property
    def connected(self) -> bool:
        """Whether the bus can be reached now."""

    @property
    def unacked(self) -> int:
        """Published messages that the stream has not acknowledged yet, spooled ones included."""

    @property
    def stats(self) -> BusStats:
        """Counts since the bus was made."""

    def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        on_ack: Callable[[], None] | None = None,
        durable: bool = False,
    ) -> None:
        """Take a message for delivery and return at once; the trace context of the caller goes with it.

        Messages are delivered in the order of publishing, at least once; `msg_id` lets the stream drop a
        repetition within its duplicate window. While the bus is away they wait in the spool; a `durable` one
        stands there, with all before it, when this returns, and is delivered even if the process dies at once
        (the next process with the same spool does it; a disk is needed). `on_ack` runs
        in the event loop once the stream has stored the message; it is not called for messages that an
        earlier process left in the spool. Raises SpoolFull when nothing more can be kept, InvalidInput for
        a subject of no declared stream or a payload above the stream's limit.
        """

    async def publish_now(
        self,
        subject: str,
        payload: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        timeout_ms: int = 2_000,
    ) -> int:
        """Publish past the queue, wait for the stream's acknowledgement and return the sequence number.

        Overloaded when the stream is a work queue and full.
        """

    async def flush(self, timeout_ms: int = 5_000) -> None:
        """Wait until everything published so far is acknowledged; Unavailable if it is not in time."""

    async def consume(
        self,
        stream: str,
        *,
        durable: str,
        handler: Handler,
        filter_subject: str | None = None,
        concurrency: int = 1,
        max_ack_pending: int = 256,
        start: Start = "all",
        policy: ConsumePolicy | None = None,
        batch_max: int = 64,
    ) -> Subscription:
        """Give every message of the stream to `handler`, at least once, acknowledged after it returns.

        Replicas that use the same `durable` share the messages. A failing handler is tried again as
        `policy` says; others go on meanwhile, so order is strict only with `max_ack_pending=1`. `batch_max`
        is how many messages this process may fetch ahead, out of reach of the other replicas.
        """

    async def backlog(self, stream: str, *, durable: str) -> Backlog:
        """Return what waits for a durable consumer; nothing if there is none yet."""

    async def ephemeral(self, subject: str, handler: Handler, *, start: Start = "new") -> Tail:
        """Give every message of a subject (wildcards allowed) to `handler`, in order, without
        acknowledgement.

        Goes on after a break where it was. A handler's error is logged and counted, and the next message
        follows.
        """

    async def purge(self, subject: str) -> int:
        """Remove every stored message that `subject` (wildcards allowed) covers and return how many there were.

        For erasure alone: facts are never taken back otherwise. Raises InvalidInput for an append-only
        stream, Unavailable when it is not known what happened; purging again is safe.
        """

    async def erase(self, stream: str, stream_seq: int) -> None:
        """Remove one stored message, as `purge` does; one that is gone already is as good."""

    def bucket(self, name: str) -> Bucket:
        """Return a declared bucket."""

    def objects(self, name: str) -> Objects:
        """Return a declared object store."""

    async def ensure(self, topology: Topology, owner: str, *, timeout_ms: int = 30_000) -> None:
        """Create what `owner` owns or needs, idempotently; after `timeout_ms` BusAway says what lacks."""

    async def probe(self, timeout_ms: int = 1_000) -> None:
        """Return if the bus answers, else raise BusAway."""

    async def close(self) -> None:
        """Stop the consumers, give publishing a moment, keep what is left in the spool, and disconnect."""
