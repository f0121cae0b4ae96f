"""Owns the queue of background work on the bus: requests as they were asked, in the work queue JOBS."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace
from ringback.tools.v1 import tools_pb2
from ringback_errors import InvalidInput, Overloaded, Unavailable
from ringback_events import Bus, Delivery, Subscription, job_subject
from ringback_telemetry import gauge
from ringback_telemetry.names import Metric

from ringback_tools.domain.requests import ActionRequest, Priority
from ringback_tools.ports import Clock, JournalAway, Waiting
from ringback_tools.wire import request_from_wire, request_to_wire

__all__ = ["BusJobQueue"]

_log = logging.getLogger(__name__)

STREAM: Final = "JOBS"
DURABLE: Final = "tools"
# Background work that one replica does at a time; the tools' own bulkheads bound it further.
AT_ONCE: Final = 8
UNDONE_MAX: Final = 256
TIMEOUT_MS: Final = 2_000


class BusJobQueue:
    """The queue on the bus."""

    def __init__(self, bus: Bus, *, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    async def put(self, request: ActionRequest) -> None:
        payload = request_to_wire(request).SerializeToString()
        try:
            await self._bus.publish_now(
                job_subject("tools", request.tenant),
                payload,
                msg_id=f"{request.session_id}.{request.action_id}",
                timeout_ms=TIMEOUT_MS,
            )
        except Overloaded:
            raise
        except Unavailable as away:
            raise JournalAway(str(away)) from None

    async def waiting(self) -> Waiting:
        try:
            backlog = await self._bus.backlog(STREAM, durable=DURABLE)
        except Unavailable as away:
            raise JournalAway(str(away)) from None
        oldest_ms = max(0, self._clock.now_ms() - backlog.oldest_at_ms) if backlog.waiting else 0
        gauge(Metric.JOBS_WAITING).set(backlog.waiting, {})
        gauge(Metric.JOBS_OLDEST_MS).set(oldest_ms, {})
        return Waiting(backlog.waiting, oldest_ms)

    async def consume(self, run: Callable[[ActionRequest], Awaitable[None]]) -> Subscription:
        """Hand every request to `run`, again until it returns; replicas share them."""

        async def handle(delivery: Delivery) -> None:
            try:
                asked = request_from_wire(tools_pb2.ExecuteRequest.FromString(delivery.payload))
            except (ValueError, InvalidInput):
                _log.error("a job is not readable (seq %d)", delivery.stream_seq)
                return
            taken_on_at_ms = max(1, delivery.stored_at_ms)
            await run(replace(asked, priority=Priority.BACKGROUND, taken_on_at_ms=taken_on_at_ms))

        return await self._bus.consume(
            STREAM,
            durable=DURABLE,
            handler=handle,
            concurrency=AT_ONCE,
            max_ack_pending=UNDONE_MAX,
            batch_max=1,
        )
