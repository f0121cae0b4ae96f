"""Owns requests over NATS whose answer comes in several messages: word of progress, then the reply.

One subscription for all requests of a connection; each request has its own token below it. (Those of the bus have
one answer and a connection of their own.)
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

__all__ = ["StreamedReplies"]

# The server's own answer when nobody is subscribed (NATS, "no responders").
_NOBODY = "503"


class StreamedReplies:
    """The requests of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._takers: dict[str, Callable[[Msg], None]] = {}

    async def start(self) -> None:
        """Listen for replies."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._take)

    async def ask(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        is_last: Callable[[bytes], bool],
    ) -> bytes:
        """The first message that `is_last`; it sees each one in order, and must not wait.

        Raises NoRespondersError, TimeoutError, and what publishing raises.
        """
        token = secrets.token_hex(12)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def taken(message: Msg) -> None:
            if reply.done():
                return
            if not message.data and (message.headers or {}).get("Status") == _NOBODY:
                reply.set_exception(NoRespondersError())
            elif is_last(message.data):
                reply.set_result(message.data)

        self._takers[token] = taken
        try:
            await self._client.publish(
                subject, payload, reply=f"{self._inbox}.{token}", headers=dict(headers) or None
            )
            async with asyncio.timeout(timeout_s):
                return await reply
        finally:
            del self._takers[token]

    async def _take(self, message: Msg) -> None:
        taker = self._takers.get(message.subject.rpartition(".")[2])
        if taker is not None:
            taker(message)
