"""NatsBus: the bus over a NATS server with JetStream."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from ringback_errors import Overloaded

from ringback_events.bus import Backlog, BusStats, ConsumePolicy, Delivery, Handler, Start, Subscription
from ringback_events.erasing import ERASE_TIMEOUT_MS, NO_MESSAGE, erasable
from ringback_events.failures import BusAway, WriteUnknown
from ringback_events.handling import Workers, tail_one
from ringback_events.message import Message, checked_message
from ringback_events.nats_admin import ensure_topology
from ringback_events.nats_consumer import DurableSubscription, TailSubscription, read_backlog
from ringback_events.nats_lane import Answer
from ringback_events.nats_link import NO_RESPONDERS, ApiError, NatsLink, answer_of
from ringback_events.nats_store import NatsBucket, NatsObjects
from ringback_events.publisher import Publisher, PublisherLimits
from ringback_events.spool import DiskSpool, MemorySpool
from ringback_events.subjects import check_subject, parked_subject
from ringback_events.topology import Topology, load_topology
from ringback_events.tracing import published_headers

__all__ = ["NatsBus", "connect"]

CLOSE_FLUSH_MS = 2_000
BATCH_MAX = 64
STREAM_FULL = 10077
_log = logging.getLogger("ringback.events.nats")


async def connect(
    url: str,
    *,
    name: str,
    spool_dir: Path | None = None,
    wait_ms: int | None = 60_000,
    topology: Topology | None = None,
    limits: PublisherLimits | None = None,
) -> NatsBus:
    """Connect to NATS (`nats://host:port`, several by commas) and return the bus.

    Waits up to `wait_ms` (None: for ever) for a server to appear, then raises ConfigError. `name` shows in
    the server's monitoring. `spool_dir` is where messages wait on disk while the server is away (each
    replica its own); without one they wait in memory.
    """
    bus = NatsBus(url, name=name, spool_dir=spool_dir, topology=topology, limits=limits)
    await bus.open(wait_ms=wait_ms)
    return bus


class NatsBus:
    """The bus on a real server; made by `connect`."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        spool_dir: Path | None = None,
        topology: Topology | None = None,
        limits: PublisherLimits | None = None,
    ) -> None:
        self._topology = topology or load_topology()
        self._stats = BusStats()
        self._link = NatsLink(url, name=name, on_change=self._changed)
        self._publisher = Publisher(
            self._send,
            spool=DiskSpool(spool_dir) if spool_dir else MemorySpool(),
            stats=self._stats,
            limits=limits,
        )
        self._subscriptions: list[DurableSubscription | TailSubscription] = []
        self._closed = False

    async def open(self, *, wait_ms: int | None) -> None:
        """Connect and begin to deliver what waits in the spool."""
        try:
            await self._link.connect(wait_ms=wait_ms)
        except BaseException:
            await self._publisher.close(0)
            await self._link.close()
            raise
        await self._link.take_acks(self._take_ack)
        self._publisher.start()

    @property
    def connected(self) -> bool:
        return self._link.connected and not self._closed

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
        message = self._message(subject, payload, msg_id=msg_id, headers=headers)
        self._publisher.submit(message, on_ack, durable=durable)

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
        answer = await self._link.request(
            message.subject, message.payload, timeout_ms=timeout_ms, headers=message.wire_headers()
        )
        try:
            return int(answer_of(answer)["seq"])
        except ApiError as error:
            if error.err_code == STREAM_FULL:
                raise Overloaded(f"bus: {message.subject} takes no more", field="queue") from error
            raise BusAway(f"bus: {message.subject} refused: {error}") from error

    async def backlog(self, stream: str, *, durable: str) -> Backlog:
        return await read_backlog(self._link, self._topology.stream(stream).name, durable)

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
        batch_max: int = BATCH_MAX,
    ) -> Subscription:
        spec = self._topology.stream(stream)
        parked_subject(stream, durable)
        policy = policy or ConsumePolicy()
        workers = Workers(
            handler, name=f"{stream}/{durable}", concurrency=concurrency, policy=policy, stats=self._stats
        )
        subscription = DurableSubscription(
            self._link,
            stream=spec.name,
            durable=durable,
            filter_subject=check_subject(filter_subject or spec.subjects[0], wildcards=True),
            max_ack_pending=max_ack_pending,
            start=start,
            policy=policy,
            workers=workers,
            publish_now=self.publish_now,
            batch=min(BATCH_MAX, batch_max, 8 * concurrency),
            on_close=self._forget,
        )
        try:
            await subscription.open()
        except BaseException:
            await workers.close()
            raise
        self._subscriptions.append(subscription)
        return subscription

    async def ephemeral(self, subject: str, handler: Handler, *, start: Start = "new") -> TailSubscription:
        check_subject(subject, wildcards=True)
        stream = self._topology.stream_of(subject).name

        async def take(message: Msg, delivery: Delivery) -> None:
            await tail_one(delivery, handler, self._stats)

        return await self._open_tail(stream, subject, start, take)

    async def purge(self, subject: str) -> int:
        check_subject(subject, wildcards=True)
        stream = erasable(self._topology.stream_of(subject)).name
        answer = await self._erasing(f"STREAM.PURGE.{stream}", {"filter": subject})
        return int(answer.get("purged", 0))

    async def erase(self, stream: str, stream_seq: int) -> None:
        erasable(self._topology.stream(stream))
        await self._erasing(f"STREAM.MSG.DELETE.{stream}", {"seq": stream_seq})

    async def _erasing(self, request: str, body: dict[str, object]) -> Mapping[str, Any]:
        try:
            return await self._link.api(request, body, timeout_ms=ERASE_TIMEOUT_MS)
        except ApiError as error:
            if error.err_code in NO_MESSAGE:
                return {}
            raise BusAway(f"bus: {request} refused: {error}") from error

    def bucket(self, name: str) -> NatsBucket:
        return NatsBucket(
            self._link, self._topology.bucket(name), open_tail=self._open_tail, stats=self._stats
        )

    def objects(self, name: str) -> NatsObjects:
        return NatsObjects(self._link, self._topology.object_store(name).name)

    async def ensure(self, topology: Topology, owner: str, *, timeout_ms: int = 30_000) -> None:
        await ensure_topology(self._link, topology, owner, timeout_ms=timeout_ms)

    async def probe(self, timeout_ms: int = 1_000) -> None:
        try:
            await self._link.api("INFO", timeout_ms=timeout_ms)
        except (ApiError, WriteUnknown) as error:
            raise BusAway(f"NATS at {self._link.url} does not answer: {error}") from error

    async def close(self) -> None:
        if self._closed:
            return
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        await self._publisher.close(CLOSE_FLUSH_MS)
        self._closed = True
        await self._link.close()

    def _message(
        self, subject: str, payload: bytes, *, msg_id: str, headers: Mapping[str, str] | None
    ) -> Message:
        message = Message(subject, payload, msg_id, published_headers(subject, headers, msg_id=msg_id))
        return checked_message(message, topology=self._topology)

    async def _send(self, token: int, message: Message) -> None:
        try:
            await self._link.post(
                message.subject, message.payload, token=str(token), headers=message.wire_headers()
            )
        except MaxPayloadError:
            self._publisher.refused(
                token, f"larger than the server's limit of {self._link.nc.max_payload} bytes"
            )
        except (NatsError, OSError) as error:
            raise BusAway(f"bus: {type(error).__name__}; nothing was sent") from error

    def _take_ack(self, posted: str, message: Answer) -> None:
        token = int(posted)
        if (message.headers or {}).get("Status") == NO_RESPONDERS:
            self._publisher.failed(
                token, "no stream takes it (JetStream is not ready, or the stream is missing)"
            )
            return
        try:
            answer = orjson.loads(message.data)
        except ValueError:
            self._publisher.failed(token, "an acknowledgement that is not JSON")
            return
        error = answer.get("error")
        if error is None:
            self._publisher.acked(token)
        elif _is_final(error):
            self._publisher.refused(token, str(error.get("description")))
        else:
            self._publisher.failed(token, str(error.get("description")))

    def _changed(self, up: bool) -> None:
        if up:
            self._publisher.connected()
            for subscription in self._subscriptions:
                subscription.kick()
        else:
            self._stats.disconnects += 1
            self._publisher.disconnected()

    async def _open_tail(
        self,
        stream: str,
        filter_subject: str,
        deliver: str,
        take: Callable[[Msg, Delivery], Awaitable[None]],
        *,
        headers_only: bool = False,
        pace_ms: int = 0,
    ) -> TailSubscription:
        tail = TailSubscription(
            self._link,
            stream=stream,
            filter_subject=filter_subject,
            deliver=deliver,
            take=take,
            on_close=self._forget,
            headers_only=headers_only,
            pace_ms=pace_ms,
        )
        await tail.open()
        self._subscriptions.append(tail)
        return tail

    def _forget(self, subscription: DurableSubscription | TailSubscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)


def _is_final(error: Mapping[str, object]) -> bool:
    """Whether the stream will say the same next time: the request is wrong in itself."""
    return error.get("err_code") in (10054, 10060)
