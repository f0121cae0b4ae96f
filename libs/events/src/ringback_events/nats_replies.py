"""Answers to requests over one connection: one inbox for all of them, one future for each that waits.

nats-py's own `request` takes an answer through a queue and a task of the inbox, a random name, and a task's timeout;
a compare-and-set of a key-value store then costs twice of what it costs here. Answers come here straight from the
connection's reader, by the `future` that nats-py lets a subscription have instead of a callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from nats.aio.client import Client
from nats.aio.msg import Msg

__all__ = ["Replies"]


class Replies:
    """Open requests, and the inbox that their answers come to; `open` after each new connection's start."""

    def __init__(self) -> None:
        # Bounded by the callers: each entry is a request that somebody awaits.
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._prefix = ""
        self._asked = 0

    @property
    def waiting(self) -> int:
        """Requests without an answer yet."""
        return len(self._waiting)

    async def open(self, nc: Client) -> None:
        """Subscribe to the inbox; the client does it again by itself after a break."""
        self._prefix = nc.new_inbox()
        await nc.subscribe(f"{self._prefix}.*", future=cast(Any, _Inbox(self._waiting)))

    async def ask(
        self, nc: Client, subject: str, payload: bytes, *, timeout_s: float, headers: Mapping[str, str] | None
    ) -> Msg:
        """Publish, and return the first answer; raises TimeoutError, or what publishing raises."""
        self._asked += 1
        inbox = f"{self._prefix}.{self._asked}"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        late = loop.call_later(timeout_s, _expire, answer)
        self._waiting[inbox] = answer
        try:
            await nc.publish(subject, payload, reply=inbox, headers=dict(headers) if headers else None)
            return await answer
        finally:
            late.cancel()
            del self._waiting[inbox]


class _Inbox:
    """What nats-py takes for a subscription's future: it is never done, and hands every message on."""

    def __init__(self, waiting: Mapping[str, asyncio.Future[Msg]]) -> None:
        self._waiting = waiting

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _expire(answer: asyncio.Future[Msg]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
