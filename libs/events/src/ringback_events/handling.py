"""What happens to one delivery: the handler, then acknowledge, give back, or park. The same for every bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from ringback_errors import RingbackError, Unavailable

from ringback_events.bus import BusStats, ConsumePolicy, Delivery, Entry, Handler, WatchHandler
from ringback_events.tracing import consuming

__all__ = ["Claim", "Workers", "parked_headers", "tail_one", "watch_one"]

_log = logging.getLogger("ringback.events.consumer")
REASON_CHARS_MAX = 300


class Claim(Protocol):
    """A delivery that waits for an answer; each answer raises Unavailable if it cannot be given."""

    @property
    def delivery(self) -> Delivery:
        """The message."""

    async def ack(self) -> None:
        """Handled: never offer it again."""

    async def nak(self, delay_ms: int) -> None:
        """Offer it again after the delay."""

    async def extend(self) -> None:
        """Still at it."""

    async def park(self, reason: str) -> None:
        """Copy it to the PARKED stream, then acknowledge it."""


class Workers:
    """Up to `concurrency` handlers at a time over the claims that are put in."""

    def __init__(
        self, handler: Handler, *, name: str, concurrency: int, policy: ConsumePolicy, stats: BusStats
    ) -> None:
        self._handler = handler
        self._name = name
        self._policy = policy
        self._stats = stats
        self._queue: asyncio.Queue[Claim] = asyncio.Queue(maxsize=concurrency)
        self._held: set[Claim] = set()
        self._moved = asyncio.Event()
        self._tasks = [asyncio.create_task(self._work(), name=f"{name}-{n}") for n in range(concurrency)]
        self._extender = asyncio.create_task(self._extend_forever(), name=f"{name}-extend")
        self._closing = False
        self.lag = 0

    async def put(self, claim: Claim) -> None:
        """Hand a claim over; waits while all handlers are busy."""
        self._held.add(claim)
        try:
            await self._queue.put(claim)
        except asyncio.CancelledError:
            self._held.discard(claim)
            await _answer(claim.nak(0))
            raise

    def stop(self) -> None:
        """Begin no more handlers; what comes is given back."""
        self._closing = True

    async def close(self) -> None:
        """Give back what has not begun, let the rest finish within the drain time, then give it back too."""
        self.stop()
        while not self._queue.empty():
            claim = self._queue.get_nowait()
            self._held.discard(claim)
            await _answer(claim.nak(0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._policy.drain_ms / 1000):
                await self._all_settled()
        for task in (*self._tasks, self._extender):
            task.cancel()
        await asyncio.gather(*self._tasks, self._extender, return_exceptions=True)

    async def _all_settled(self) -> None:
        while self._held:
            self._moved.clear()
            await self._moved.wait()

    async def _work(self) -> None:
        while True:
            claim = await self._queue.get()
            self.lag = claim.delivery.lag
            try:
                await (_answer(claim.nak(0)) if self._closing else self._handle(claim))
            finally:
                self._held.discard(claim)
                self._moved.set()

    async def _handle(self, claim: Claim) -> None:
        delivery = claim.delivery
        self._stats.delivered += 1
        if delivery.deliveries > self._policy.outage_deliveries_max:
            await self._park(claim, f"offered {delivery.deliveries} times and never answered")
            return
        try:
            with consuming(delivery, consumer=self._name):
                await self._handler(delivery)
        except asyncio.CancelledError:
            await _answer(claim.nak(0))
            raise
        except Exception as error:
            await self._after_error(claim, error)
        else:
            await _answer(claim.ack())

    async def _after_error(self, claim: Claim, error: Exception) -> None:
        delivery = claim.delivery
        self._stats.handler_errors += 1
        expected = isinstance(error, RingbackError)
        retryable = isinstance(error, RingbackError) and error.retryable
        limit = self._policy.outage_deliveries_max if retryable else self._policy.deliveries_max
        _log.warning(
            "%s: handling %s (seq %d, delivery %d of %d) failed: %s: %s",
            self._name,
            delivery.subject,
            delivery.stream_seq,
            delivery.deliveries,
            limit,
            type(error).__name__,
            error,
            exc_info=None if expected else error,
        )
        if delivery.deliveries >= limit:
            await self._park(claim, f"{type(error).__name__}: {error}")
        else:
            await _answer(claim.nak(self._policy.delay_ms(delivery.deliveries)))

    async def _park(self, claim: Claim, reason: str) -> None:
        delivery = claim.delivery
        try:
            await claim.park(" ".join(reason.split())[:REASON_CHARS_MAX])
        except Unavailable:
            await _answer(claim.nak(self._policy.backoff_ms[-1]))
            return
        self._stats.parked += 1
        _log.error("%s: parked %s (seq %d): %s", self._name, delivery.subject, delivery.stream_seq, reason)

    async def _extend_forever(self) -> None:
        while True:
            await asyncio.sleep(self._policy.ack_wait_ms / 3000)
            for claim in tuple(self._held):
                await _answer(claim.extend())


def parked_headers(delivery: Delivery, *, reason: str) -> dict[str, str]:
    """What a parked copy tells about its origin."""
    return {
        **{name: value for name, value in delivery.headers.items() if not name.startswith("Nats-")},
        "Ringback-Parked-Subject": delivery.subject,
        "Ringback-Parked-Seq": str(delivery.stream_seq),
        "Ringback-Parked-Deliveries": str(delivery.deliveries),
        "Ringback-Parked-Reason": reason.encode("ascii", "replace").decode("ascii"),
    }


async def tail_one(delivery: Delivery, handler: Handler, stats: BusStats) -> None:
    """Give one message of a live tail to its handler; an error is logged and counted."""
    stats.delivered += 1
    try:
        with consuming(delivery, consumer="tail"):
            await handler(delivery)
    except Exception:
        stats.handler_errors += 1
        _log.exception("handling %s (seq %d) of a live tail failed", delivery.subject, delivery.stream_seq)


async def watch_one(key: str, entry: Entry | None, handler: WatchHandler, stats: BusStats) -> None:
    """Give one change of a bucket to its handler; an error is logged and counted."""
    try:
        await handler(key, entry)
    except Exception:
        stats.handler_errors += 1
        _log.exception("handling a change of %s failed", key)


async def _answer(answer: Coroutine[Any, Any, None]) -> None:
    """Give an answer; when the bus is away it is lost and the message simply comes again."""
    try:
        await answer
    except Unavailable as error:
        _log.debug("an answer could not be given: %s", error)
