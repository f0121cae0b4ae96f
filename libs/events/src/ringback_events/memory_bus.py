"""MemoryBus: the twin of NatsBus without a server, for tests and for running everything in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from ringback_events.bus import (
    Backlog,
    BusStats,
    ConsumePolicy,
    Handler,
    Start,
    Subscription,
    Tail,
    WatchHandler,
)
from ringback_events.erasing import erasable
from ringback_events.failures import BusAway
from ringback_events.handling import Workers, parked_headers, tail_one, watch_one
from ringback_events.memory_broker import (
    Durable,
    MemoryBroker,
    MemoryBucketStore,
    MemoryStream,
    Stored,
    delivery_of,
)
from ringback_events.memory_bucket import MemoryBucket
from ringback_events.memory_objects import MemoryObjects
from ringback_events.message import Message, checked_message
from ringback_events.publisher import Publisher, PublisherLimits
from ringback_events.spool import DiskSpool, MemorySpool
from ringback_events.subjects import check_subject, parked_subject
from ringback_events.topology import Topology, covers
from ringback_events.tracing import published_headers

__all__ = ["MemoryBus"]

CLOSE_FLUSH_MS = 1_000


class MemoryBus:
    """A bus over a MemoryBroker; make it inside a running event loop."""

    def __init__(
        self,
        broker: MemoryBroker | None = None,
        *,
        name: str = "memory",
        spool_dir: Path | None = None,
        limits: PublisherLimits | None = None,
    ) -> None:
        self.broker = broker or MemoryBroker()
        self.name = name
        self._stats = BusStats()
        self._publisher = Publisher(
            self._send,
            spool=DiskSpool(spool_dir) if spool_dir else MemorySpool(),
            stats=self._stats,
            limits=limits,
        )
        self._subscriptions: list[_Running] = []
        self._closed = False
        self._publisher.start()
        self.broker.attach(self._broker_changed)

    @property
    def connected(self) -> bool:
        return self.broker.up and not self._closed

    @property
    def unacked(self) -> int:
        return self._publisher.unacked

    @property
    def stats(self) -> BusStats:
        return self._stats

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
        taken = self._message(subject, payload, msg_id=msg_id, headers=headers)
        self._publisher.submit(taken, on_ack, durable=durable)

    async def publish_now(
        self,
        subject: str,
        payload: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        timeout_ms: int = 2_000,
    ) -> int:
        message = self._message(subject, payload, msg_id=msg_id, headers=headers)
        self._require_up()
        return self.broker.store(message)

    async def flush(self, timeout_ms: int = 5_000) -> None:
        await self._publisher.flush(timeout_ms)

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
        spec = self.broker.topology.stream(stream)
        parked_subject(stream, durable)
        self._require_up()
        store = self.broker.streams[spec.name]
        place = store.durables.get(durable)
        if place is None:
            place = Durable(
                store,
                name=durable,
                filter_subject=check_subject(filter_subject or spec.subjects[0], wildcards=True),
                after=store.last_seq if start == "new" else 0,
            )
            store.durables[durable] = place
        workers = Workers(
            handler,
            name=f"{stream}/{durable}",
            concurrency=concurrency,
            policy=policy or ConsumePolicy(),
            stats=self._stats,
        )
        return self._keep(_DurableRun(self, place, workers, max_ack_pending=max_ack_pending))

    async def ephemeral(self, subject: str, handler: Handler, *, start: Start = "new") -> Tail:
        check_subject(subject, wildcards=True)
        spec = self.broker.topology.stream_of(subject)
        self._require_up()
        store = self.broker.streams[spec.name]
        after = store.last_seq if start == "new" else 0
        tail = _TailRun(self, store, subject, handler, after=after)
        self._keep(tail)
        return tail

    async def backlog(self, stream: str, *, durable: str) -> Backlog:
        self._require_up()
        place = self.broker.streams[self.broker.topology.stream(stream).name].durables.get(durable)
        return place.backlog() if place else Backlog()

    async def purge(self, subject: str) -> int:
        spec = erasable(self.broker.topology.stream_of(check_subject(subject, wildcards=True)))
        self._require_up()
        return self.broker.streams[spec.name].remove(lambda one: covers(subject, one.message.subject))

    async def erase(self, stream: str, stream_seq: int) -> None:
        spec = erasable(self.broker.topology.stream(stream))
        self._require_up()
        self.broker.streams[spec.name].remove(lambda one: one.seq == stream_seq)

    def bucket(self, name: str) -> MemoryBucket:
        store = self.broker.buckets[self.broker.topology.bucket(name).name]

        def follow(prefix: str, handler: WatchHandler, after: int) -> Subscription:
            return self._keep(_WatchRun(self, store, prefix, handler, after))

        return MemoryBucket(self._require_up, store, follow, self._stats)

    def objects(self, name: str) -> MemoryObjects:
        return MemoryObjects(
            self._require_up, self.broker.objects[self.broker.topology.object_store(name).name]
        )

    async def ensure(self, topology: Topology, owner: str, *, timeout_ms: int = 30_000) -> None:
        self._require_up()

    async def probe(self, timeout_ms: int = 1_000) -> None:
        self._require_up()

    async def close(self) -> None:
        if self._closed:
            return
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        await self._publisher.close(CLOSE_FLUSH_MS)
        self._closed = True
        self.broker.detach(self._broker_changed)

    def _message(
        self, subject: str, payload: bytes, *, msg_id: str, headers: Mapping[str, str] | None
    ) -> Message:
        own = published_headers(subject, headers, msg_id=msg_id)
        return checked_message(Message(subject, payload, msg_id, own), topology=self.broker.topology)

    async def _send(self, token: int, message: Message) -> None:
        self._require_up()
        self.broker.store(message)
        asyncio.get_running_loop().call_soon(self._publisher.acked, token)

    def _require_up(self) -> None:
        if not self.connected:
            raise BusAway("bus: closed" if self._closed else "bus: not reachable; nothing was sent")

    def _broker_changed(self, up: bool) -> None:
        self._stats.disconnects += 0 if up else 1
        (self._publisher.connected if up else self._publisher.disconnected)()

    def _keep(self, run: _Running) -> _Running:
        self._subscriptions.append(run)
        run.start()
        return run

    def _forget(self, run: _Running) -> None:
        if run in self._subscriptions:
            self._subscriptions.remove(run)


class _Running:
    """A subscription: a task that feeds, and what it feeds."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._task: asyncio.Task[None] | None = None

    @property
    def lag(self) -> int:
        return 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._bus._forget(self)

    async def _run(self) -> None:
        raise NotImplementedError


class _DurableRun(_Running):
    def __init__(self, bus: MemoryBus, place: Durable, workers: Workers, *, max_ack_pending: int) -> None:
        super().__init__(bus)
        self._place = place
        self._workers = workers
        self._max_ack_pending = max_ack_pending

    @property
    def lag(self) -> int:
        return self._workers.lag

    async def close(self) -> None:
        self._workers.stop()
        await super().close()
        await self._workers.close()

    async def _run(self) -> None:
        place = self._place
        while True:
            await self._bus.broker.started.wait()
            changed = place.stream.changed
            taken = place.take() if place.unanswered < self._max_ack_pending else None
            if taken is None:
                await changed.wait()
            else:
                await self._workers.put(_MemoryClaim(self._bus, place, *taken))


class _MemoryClaim:
    def __init__(self, bus: MemoryBus, place: Durable, stored: Stored, deliveries: int) -> None:
        self._bus = bus
        self._place = place
        self._stored = stored
        self.delivery = delivery_of(stored, deliveries=deliveries, lag=place.lag)

    async def ack(self) -> None:
        if self._bus.broker.up:
            self._place.settled(self._stored)
        else:
            # As with a lost acknowledgement: the stream hands the message out again.
            self._place.give_back(self._stored, self.delivery.deliveries, delay_ms=0)

    async def nak(self, delay_ms: int) -> None:
        self._place.give_back(self._stored, self.delivery.deliveries, delay_ms=delay_ms)

    async def extend(self) -> None:
        """A claim in memory has no time limit."""

    async def park(self, reason: str) -> None:
        message = self._stored.message
        stream = self._place.stream.spec.name
        await self._bus.publish_now(
            parked_subject(stream, self._place.name),
            message.payload,
            msg_id=f"parked:{stream}:{self._place.name}:{self._stored.seq}",
            headers=parked_headers(self.delivery, reason=reason),
        )
        self._place.settled(self._stored)


class _TailRun(_Running):
    def __init__(
        self, bus: MemoryBus, stream: MemoryStream, subject: str, handler: Handler, *, after: int
    ) -> None:
        super().__init__(bus)
        self._stream = stream
        self._subject = subject
        self._handler = handler
        self._after = after
        self._caught_up = asyncio.Event()

    async def wait_caught_up(self, timeout_ms: int = 5_000) -> None:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._caught_up.wait()
        except TimeoutError:
            raise BusAway(f"bus: {self._stream.spec.name} was not read within {timeout_ms} ms") from None

    async def _run(self) -> None:
        while True:
            await self._bus.broker.started.wait()
            changed = self._stream.changed
            waiting = self._stream.after(self._after)
            for stored in waiting:
                self._after = stored.seq
                if covers(self._subject, stored.message.subject):
                    await tail_one(delivery_of(stored, deliveries=1, lag=0), self._handler, self._bus.stats)
            if not waiting:
                self._caught_up.set()
                await changed.wait()


class _WatchRun(_Running):
    def __init__(
        self, bus: MemoryBus, store: MemoryBucketStore, prefix: str, handler: WatchHandler, after: int
    ) -> None:
        super().__init__(bus)
        self._store = store
        self._prefix = prefix
        self._handler = handler
        self._after = after

    async def _run(self) -> None:
        while True:
            await self._bus.broker.started.wait()
            changed = self._store.changed
            for revision, key, entry in [item for item in self._store.changes if item[0] > self._after]:
                self._after = revision
                if key.startswith(self._prefix):
                    await watch_one(key, entry, self._handler, self._bus.stats)
            await changed.wait()
