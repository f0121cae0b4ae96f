"""The way from one replica to another, for an heir that asks the owner to let a session go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from ringback_errors import DeadlineExceeded, RingbackError, Unavailable

from ringback_session.ports import Record
from ringback_session.simulation.process import Process
from ringback_session.simulation.weather import Weather
from ringback_session.usecases.calls import Calls

__all__ = ["PeersOf", "Replica"]

WIRE_MS = 2
RELEASE_MS = 300


class Replica(Protocol):
    """A process that may hold the session, and what it answers with."""

    process: Process
    calls: Calls


class PeersOf:
    """Implements `ports.Owners` for one process: who is dead is away, who stands still is late."""

    def __init__(self, replicas: Mapping[str, Replica], weather: Weather, process: Process) -> None:
        self._replicas = replicas
        self._weather = weather
        self._process = process

    async def release(self, record: Record, *, token_hash: bytes, heir: str) -> bool:
        owner = self._replicas[record.owner_address]
        await self._process.leaves()
        await self._weather.passes(self._weather.delay_ms("peers", WIRE_MS))
        if not owner.process.alive:
            await self._process.passes()
            raise Unavailable("session: unavailable")
        answer: asyncio.Future[bool | RingbackError] = asyncio.get_running_loop().create_future()
        answering: list[asyncio.Task[None]] = []

        def arrives() -> None:
            if not answer.cancelled():
                work = self._answers(owner, record, token_hash, answer)
                answering.append(asyncio.get_running_loop().create_task(work))

        owner.process.take(arrives)
        said: bool | RingbackError = DeadlineExceeded("session: deadline_exceeded")
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_MS / 1000):
                said = await answer
        for task in answering:
            task.cancel()
        await self._process.passes()
        if isinstance(said, RingbackError):
            raise said
        return said

    @staticmethod
    async def _answers(
        owner: Replica, record: Record, token_hash: bytes, answer: asyncio.Future[bool | RingbackError]
    ) -> None:
        said: bool | RingbackError
        try:
            said = await owner.calls.release(record.session_id, epoch=record.epoch, token_hash=token_hash)
        except RingbackError as error:
            said = error
        await owner.process.leaves()
        if not answer.done():
            answer.set_result(said)
