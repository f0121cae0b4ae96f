"""Answers to requests over one connection: one inbox for all of them, one future for each that waits; and acks.

nats-py's own `request` takes an answer through a queue and a task of the inbox, a random name, and a task's timeout;
a compare-and-set of a key-value store then costs several times of what it costs here. Answers come here by the lane,
or, where that cannot take them, from the connection's reader by the `future` that nats-py lets a subscription have
instead of a callback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from nats.aio.client import Client
from nats.aio.msg import Msg

from ringback_events.nats_lane import Answer, Lane

__all__ = ["Replies"]

_log = logging.getLogger("ringback.events.nats")


class Replies:
    """Open requests, and the inbox that their answers come to; `open` after each new connection's start."""

    def __init__(self) -> None:
        # Bounded by the callers: each entry is a request that somebody awaits.
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._prefix = ""
        self._asked = 0
        self._lane: Lane | None = None
        self._acks = ""
        self._take_ack: Callable[[Answer], None] | None = None

    @property
    def waiting(self) -> int:
        """Requests without an answer yet."""
        return len(self._waiting)

    async def open(self, nc: Client) -> None:
        """Subscribe to the inbox; the client does it again by itself after a break."""
        self._prefix = nc.new_inbox()
        await nc.subscribe(f"{self._prefix}.*", future=cast(Any, _Inbox(self._take)))
        self._lane = Lane(nc, f"{self._prefix}.", self._take)
        self._lane.attach()

    async def open_acks(self, nc: Client, take: Callable[[str, Answer], None]) -> None:
        """Hand what comes for `post` to this, with the token that was posted; after `open`."""
        self._acks = f"{self._prefix}.a."

        def taken(answer: Answer) -> None:
            try:
                take(answer.subject[len(self._acks) :], answer)
            except Exception:
                # The connection's reader stands behind this: it must go on.
                _log.exception("an acknowledgement was not taken")

        self._take_ack = taken
        await nc.subscribe(f"{self._acks}*", future=cast(Any, _Inbox(taken)))

    def reopen(self) -> None:
        """The client connected again."""
        if self._lane is not None:
            self._lane.attach()

    async def post(
        self, nc: Client, subject: str, payload: bytes, *, token: str, headers: Mapping[str, str]
    ) -> None:
        """Publish without waiting; the answer goes to the taker of acks. Raises what publishing raises."""
        await self._publish(nc, subject, payload, reply=self._acks + token, headers=headers)

    async def ask(
        self, nc: Client, subject: str, payload: bytes, *, timeout_s: float, headers: Mapping[str, str] | None
    ) -> Answer:
        """Publish, and return the first answer; raises TimeoutError, or what publishing raises."""
        self._asked += 1
        inbox = f"{self._prefix}.{self._asked}"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        late = loop.call_later(timeout_s, _expire, answer)
        self._waiting[inbox] = answer
        try:
            await self._publish(nc, subject, payload, reply=inbox, headers=headers)
            return await answer
        finally:
            late.cancel()
            del self._waiting[inbox]

    async def _publish(
        self, nc: Client, subject: str, payload: bytes, *, reply: str, headers: Mapping[str, str] | None
    ) -> None:
        if self._lane is not None and self._lane.attached:
            self._lane.send(subject, reply, payload, headers)
        else:
            await nc.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.subject)
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(answer)
        elif self._take_ack is not None and answer.subject.startswith(self._acks):
            self._take_ack(answer)


class _Inbox:
    """What nats-py takes for a subscription's future: it is never done, and hands every message on."""

    def __init__(self, take: Callable[[Answer], None]) -> None:
        self._take = take

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: Msg) -> None:
        self._take(Answer(message.subject, message.data, message.headers))


def _expire(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
