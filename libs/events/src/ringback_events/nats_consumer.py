"""Durable and ephemeral consumers on JetStream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from ringback_errors import ConfigError

from ringback_events.bus import Backlog, ConsumePolicy, Delivery, Start
from ringback_events.failures import BusAway
from ringback_events.handling import Workers, parked_headers
from ringback_events.nats_link import ApiError, NatsLink
from ringback_events.nats_pull import PullFeed
from ringback_events.subjects import parked_subject

__all__ = ["DurableSubscription", "TailSubscription", "delivery_of", "read_backlog"]

API_TIMEOUT_MS = 5_000
# An ephemeral consumer that nobody pulls from for this long is removed by the server.
INACTIVE_S = 120
TAIL_BATCH = 256
# What waited for its turn comes all at once; between requests of this many others run.
PACED_BATCH = 32
# $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>[.<token>]
_ACK_TOKENS = 9
STREAM_NOT_FOUND = 10059
NOT_FOUND = 404
_log = logging.getLogger("ringback.events.consumer")


class PublishNow(Protocol):
    """The part of the bus that parking needs."""

    async def __call__(
        self, subject: str, payload: bytes, *, msg_id: str, headers: dict[str, str], timeout_ms: int
    ) -> int: ...


class DurableSubscription:
    """A durable pull consumer and the workers behind it."""

    def __init__(
        self,
        link: NatsLink,
        *,
        stream: str,
        durable: str,
        filter_subject: str,
        max_ack_pending: int,
        start: Start,
        policy: ConsumePolicy,
        workers: Workers,
        publish_now: PublishNow,
        batch: int,
        on_close: Callable[[Any], None],
    ) -> None:
        self._link = link
        self._stream = stream
        self._durable = durable
        self._workers = workers
        self._publish_now = publish_now
        self._on_close = on_close
        self._config = {
            "durable_name": durable,
            "name": durable,
            "deliver_policy": start,
            "ack_policy": "explicit",
            "ack_wait": policy.ack_wait_ms * 1_000_000,
            # Without end: what cannot be handled is parked by us, never forgotten by the server.
            "max_deliver": -1,
            "max_ack_pending": max_ack_pending,
            "filter_subject": filter_subject,
            "replay_policy": "instant",
        }
        self._feed = PullFeed(
            link, stream=stream, make_consumer=self._make, take=self._take, batch=min(batch, max_ack_pending)
        )

    @property
    def lag(self) -> int:
        return self._workers.lag

    async def open(self) -> None:
        """Create the consumer and begin."""
        await self._feed.start(await self._make())

    def kick(self) -> None:
        """The connection came back."""
        self._feed.kick()

    async def close(self) -> None:
        self._on_close(self)
        self._workers.stop()
        for message in await self._feed.close():
            await _quietly(_NatsClaim(message, self).nak(0))
        await self._workers.close()

    async def park(self, delivery: Delivery, reason: str) -> None:
        """Copy a message to the PARKED stream."""
        await self._publish_now(
            parked_subject(self._stream, self._durable),
            delivery.payload,
            msg_id=f"parked:{self._stream}:{self._durable}:{delivery.stream_seq}",
            headers=parked_headers(delivery, reason=reason),
            timeout_ms=API_TIMEOUT_MS,
        )

    async def _make(self) -> str:
        await create_consumer(self._link, self._stream, self._durable, self._config)
        return self._durable

    async def _take(self, message: Msg) -> None:
        await self._workers.put(_NatsClaim(message, self))


class _NatsClaim:
    def __init__(self, message: Msg, subscription: DurableSubscription) -> None:
        self._message = message
        self._subscription = subscription
        self.delivery = delivery_of(message)

    async def ack(self) -> None:
        await self._answer(b"+ACK")

    async def nak(self, delay_ms: int) -> None:
        await self._answer(b'-NAK {"delay": %d}' % (delay_ms * 1_000_000) if delay_ms else b"-NAK")

    async def extend(self) -> None:
        await self._answer(b"+WPI")

    async def park(self, reason: str) -> None:
        await self._subscription.park(self.delivery, reason)
        await self._answer(b"+TERM")

    async def _answer(self, word: bytes) -> None:
        try:
            await self._subscription._link.nc.publish(self._message.reply, word)
        except NatsError as error:
            raise BusAway(
                f"bus: an answer to the consumer could not be sent: {type(error).__name__}"
            ) from error


class TailSubscription:
    """An ordered consumer that is made anew after each break, from where it was."""

    def __init__(
        self,
        link: NatsLink,
        *,
        stream: str,
        filter_subject: str,
        deliver: str,
        take: Callable[[Msg, Delivery], Awaitable[None]],
        on_close: Callable[[Any], None],
        headers_only: bool = False,
        pace_ms: int = 0,
    ) -> None:
        self._link = link
        self._stream = stream
        self._filter = filter_subject
        self._deliver = deliver
        self._take_one = take
        self._on_close = on_close
        self._headers_only = headers_only
        self._last_seq: int | None = None
        self._lag = 0
        self.caught_up = asyncio.Event()
        self._feed = PullFeed(
            link,
            stream=stream,
            make_consumer=self._make,
            take=self._take,
            batch=PACED_BATCH if pace_ms else TAIL_BATCH,
            pace_ms=pace_ms,
        )

    @property
    def lag(self) -> int:
        return self._lag

    async def open(self) -> None:
        """Create the consumer and begin."""
        await self._feed.start(await self._make())

    def kick(self) -> None:
        """The connection came back."""
        self._feed.kick()

    async def wait_caught_up(self, timeout_ms: int = 5_000) -> None:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self.caught_up.wait()
        except TimeoutError:
            raise BusAway(f"bus: {self._stream} was not read within {timeout_ms} ms") from None

    async def close(self) -> None:
        self._on_close(self)
        await self._feed.close()

    async def _make(self) -> str:
        name = "tail_" + self._link.nc.new_inbox().rpartition(".")[2]
        config: dict[str, Any] = {
            "name": name,
            "deliver_policy": self._deliver,
            "ack_policy": "none",
            "max_deliver": 1,
            "filter_subject": self._filter,
            "replay_policy": "instant",
            "inactive_threshold": INACTIVE_S * 1_000_000_000,
            "mem_storage": True,
            "num_replicas": 1,
            "headers_only": self._headers_only,
        }
        if self._last_seq is not None:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last_seq + 1}
        info = await create_consumer(self._link, self._stream, name, config)
        if self._last_seq is None and self._deliver == "new":
            # Known from the start, so that a break before the first message loses nothing.
            self._last_seq = int(info.get("delivered", {}).get("stream_seq", 0))
        if not info.get("num_pending"):
            self.caught_up.set()
        return name

    async def _take(self, message: Msg) -> None:
        delivery = delivery_of(message)
        if self._deliver != "last_per_subject" and delivery.stream_seq <= (self._last_seq or 0):
            return
        self._lag = delivery.lag
        await self._take_one(message, delivery)
        self._last_seq = max(self._last_seq or 0, delivery.stream_seq)
        if not delivery.lag:
            self.caught_up.set()


async def create_consumer(link: NatsLink, stream: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Create a consumer, or adjust the one of that name; BusAway while its stream does not exist."""
    try:
        return await link.api(
            f"CONSUMER.CREATE.{stream}.{name}",
            {"stream_name": stream, "config": config},
            timeout_ms=API_TIMEOUT_MS,
        )
    except ApiError as error:
        if error.code >= 500 or error.err_code == STREAM_NOT_FOUND:
            raise BusAway(f"bus: no consumer {name} on {stream}: {error}") from error
        raise ConfigError(f"bus: consumer {name} on {stream} is refused: {error}") from error


async def read_backlog(link: NatsLink, stream: str, durable: str) -> Backlog:
    """What waits for a durable consumer, and the time of the oldest of it."""
    try:
        info = await link.api(f"CONSUMER.INFO.{stream}.{durable}", timeout_ms=API_TIMEOUT_MS)
        waiting = int(info.get("num_pending", 0))
        if not waiting:
            return Backlog()
        after = int(info.get("delivered", {}).get("stream_seq", 0))
        wanted = {"seq": after + 1, "next_by_subj": info["config"].get("filter_subject") or ">"}
        found = await link.api(f"STREAM.MSG.GET.{stream}", wanted, timeout_ms=API_TIMEOUT_MS)
    except ApiError as error:
        if error.code == NOT_FOUND:
            return Backlog()
        raise BusAway(f"bus: the backlog of {stream} was not told: {error}") from error
    stored_at = datetime.fromisoformat(_to_microseconds(found["message"]["time"]))
    return Backlog(waiting, int(stored_at.timestamp() * 1000))


def _to_microseconds(stamp: str) -> str:
    """RFC 3339 with nine digits of a second or fewer, as Python 3.11 reads it."""
    head, _, rest = stamp.rstrip("Z").partition(".")
    return f"{head}.{rest[:6]:0<6}+00:00"


def delivery_of(message: Msg) -> Delivery:
    """Return a JetStream message as a delivery."""
    tokens = message.reply.split(".")
    first = 4 if len(tokens) == _ACK_TOKENS else 6
    deliveries, stream_seq, _, stored_at_ns, lag = (int(token) for token in tokens[first : first + 5])
    return Delivery(
        subject=message.subject,
        payload=message.data,
        headers=message.headers or {},
        stream_seq=stream_seq,
        deliveries=deliveries or 1,
        lag=lag,
        stored_at_ms=stored_at_ns // 1_000_000,
    )


async def _quietly(answer: Awaitable[None]) -> None:
    try:
        await answer
    except BusAway as error:
        _log.debug("%s", error)
