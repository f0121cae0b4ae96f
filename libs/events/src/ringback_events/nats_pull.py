"""Pulling from a JetStream consumer: one request open at a time, renewed after every break, whatever broke.

A request asks for a batch and lives `EXPIRES_S`; the server sends an idle heartbeat each `HEARTBEAT_S`, so
silence tells that the request was lost. Messages are handed over as they come, not when the batch is full.

A feed with a pace asks for what there is, and again after a pause: of a bucket's key that was written several times
meanwhile only the last value comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from ringback_errors import RingbackError, Unavailable

from ringback_events.nats_link import ApiError, NatsLink

__all__ = ["MakeConsumer", "PullFeed", "Take"]

EXPIRES_S = 20.0
HEARTBEAT_S = 1.0
SILENCE_S = 2.5
DRAIN_S = 1.0
BACKOFF_BASE_S = 0.05
BACKOFF_MAX_S = 2.0
_log = logging.getLogger("ringback.events.pull")

# Creates the consumer (or finds it) and returns its name.
MakeConsumer = Callable[[], Awaitable[str]]
Take = Callable[[Msg], Awaitable[None]]


class _RenewError(Exception):
    """The request is over, the consumer stands."""


class _RemakeError(Exception):
    """The consumer may be gone."""


class PullFeed:
    """Feeds `take` with the messages of one consumer until it is closed."""

    def __init__(
        self,
        link: NatsLink,
        *,
        stream: str,
        make_consumer: MakeConsumer,
        take: Take,
        batch: int,
        pace_ms: int = 0,
    ) -> None:
        self._link = link
        self._stream = stream
        self._make_consumer = make_consumer
        self._take = take
        self._batch = batch
        self._pace_s = pace_ms / 1000
        # Bounded by what was asked for: a request that seemed lost may still deliver beside its successor.
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, consumer: str) -> None:
        """Begin pulling from a consumer that exists."""
        self._inbox = self._link.nc.new_inbox()
        self._subscription = await self._link.nc.subscribe(self._inbox, cb=self._arrived.put)
        self._task = asyncio.create_task(self._run(consumer), name=f"pull-{self._stream}-{consumer}")

    def kick(self) -> None:
        """The connection came back: ask again at once."""
        self._arrived.put_nowait(None)

    async def close(self) -> list[Msg]:
        """Stop, and return the messages that arrived and were not taken."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._subscription is not None:
            try:
                # Unsubscribing at once would drop what is on its way, until the server gives up waiting for it.
                async with asyncio.timeout(DRAIN_S):
                    if self._link.connected:
                        await self._subscription.drain()  # type: ignore[no-untyped-call]
                    else:
                        await self._subscription.unsubscribe()
            except (NatsError, TimeoutError) as error:
                _log.debug("draining: %s", error)
        left: list[Msg] = []
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and _status(message) is None:
                left.append(message)
        return left

    async def _run(self, consumer: str) -> None:
        failures = 0
        while True:
            try:
                if not consumer:
                    consumer = await self._make_consumer()
                await self._one_request(consumer)
                failures = 0
            except _RenewError:
                failures = 0
                if self._pace_s:
                    await asyncio.sleep(self._pace_s)
            except (_RemakeError, Unavailable, ApiError, RingbackError, NatsError, OSError) as error:
                consumer = ""
                failures += 1
                if failures in (3, 20) or failures % 100 == 0:
                    _log.warning("consuming %s waits (failure %d): %s", self._stream, failures, error)
                await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        wait_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
        await asyncio.sleep(wait_s)

    async def _one_request(self, consumer: str) -> None:
        body: dict[str, object] = {"batch": self._batch}
        if self._pace_s:
            body["no_wait"] = True
        else:
            body |= {"expires": int(EXPIRES_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        await self._link.nc.publish(subject, json.dumps(body).encode(), reply=self._inbox)
        taken = 0
        while taken < self._batch:
            message = await self._next()
            status = _status(message)
            if status is None:
                taken += 1
                await self._take(message)
            else:
                _react(status, (message.headers or {}).get("Description", ""))

    async def _next(self) -> Msg:
        try:
            # Of a batch only the first is waited for; a timeout costs as much as taking the message.
            message = self._arrived.get_nowait()
        except asyncio.QueueEmpty:
            message = await self._waited()
        if message is None:
            raise _RenewError
        return message

    async def _waited(self) -> Msg | None:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await self._arrived.get()
        except TimeoutError:
            raise _RemakeError("no heartbeat from the consumer") from None


def _status(message: Msg) -> str | None:
    """The status code of a control message; None for a message of the stream."""
    if message.reply.startswith("$JS.ACK."):
        return None
    return (message.headers or {}).get("Status", "")


def _react(status: str, description: str) -> None:
    match status:
        case "100":
            return
        case "404" | "408":
            raise _RenewError
        case "409" if "deleted" not in description.lower() and "push" not in description.lower():
            raise _RenewError
        case _:
            raise _RemakeError(f"status {status} {description}".strip())
