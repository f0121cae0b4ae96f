"""The admin service of other replicas: for requests about sessions that they hold, and to have them let go of one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_calling import Channel
from ringback_errors import RingbackError
from ringback_serving import TlsFiles

from ringback_session.ports import Record

__all__ = ["Peers"]

PEERS_KEPT = 32
# A caller who came back waits for it; what an owner that is gone could have told is in the record, but for a moment.
RELEASE_MS = 300


class Peers:
    """Channels by address, the least used ones closed beyond a bound."""

    def __init__(self, *, tls: TlsFiles | None) -> None:
        self._tls = tls
        self._channels: OrderedDict[str, Channel] = OrderedDict()

    async def ask(self, address: str, method: str, request: Any, *, deadline_ms: int) -> Any:
        """One call, once. Raises what the peer raised; Unavailable when it is away."""
        channel = await self._to(address)
        return await channel.unary(
            self._stub(channel, method), request, deadline_ms=deadline_ms, idempotent=False
        )

    async def release(self, record: Record, *, token_hash: bytes, heir: str) -> bool:
        """As `ports.Owners` has it."""
        request = session_pb2.ReleaseSessionRequest(
            session_id=record.session_id, epoch=record.epoch, token_hash=token_hash, heir=heir
        )
        answer = await self.ask(record.owner_address, "ReleaseSession", request, deadline_ms=RELEASE_MS)
        return not answer.token_spent

    async def follow(
        self, address: str, method: str, request: Any, *, deadline_ms: int
    ) -> AsyncIterator[Any]:
        channel = await self._to(address)
        stream = channel.stream(self._stub(channel, method), request, deadline_ms=deadline_ms)
        async with aclosing(stream):
            async for message in stream:
                yield message

    async def ask_all(
        self, addresses: list[str], method: str, request: Any, *, deadline_ms: int
    ) -> dict[str, Any]:
        """Everybody at once; those who do not answer in time are left out."""

        async def one(address: str) -> tuple[str, Any]:
            try:
                return address, await self.ask(address, method, request, deadline_ms=deadline_ms)
            except RingbackError:
                return address, None

        found = await asyncio.gather(*(one(address) for address in addresses))
        return {address: answer for address, answer in found if answer is not None}

    async def close(self) -> None:
        while self._channels:
            await self._channels.popitem()[1].close()

    async def _to(self, address: str) -> Channel:
        if address not in self._channels:
            self._channels[address] = Channel(address, name="session", tls=self._tls)
        self._channels.move_to_end(address)
        channel = self._channels[address]
        while len(self._channels) > PEERS_KEPT:
            await self._channels.popitem(last=False)[1].close()
        return channel

    @staticmethod
    def _stub(channel: Channel, method: str) -> Any:
        return getattr(session_pb2_grpc.SessionAdminServiceStub(channel.grpc), method)
