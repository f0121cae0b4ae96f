"""The two worlds that the suite of the bus runs in: in memory, and on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from ringback_events import Bus, MemoryBroker, MemoryBus, connect, load_topology
from ringback_testkit import NatsServer

SERVICES = ("session", "tools", "policy", "memory", "cli")


class World:
    """A server and the buses that are connected to it."""

    async def bus(self, **options: Any) -> Bus:
        raise NotImplementedError

    async def server_gone(self) -> None:
        raise NotImplementedError

    async def server_back(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class MemoryWorld(World):
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.buses: list[MemoryBus] = []

    async def bus(self, **options: Any) -> Bus:
        bus = MemoryBus(self.broker, **options)
        self.buses.append(bus)
        return bus

    async def server_gone(self) -> None:
        self.broker.stop()

    async def server_back(self) -> None:
        self.broker.start()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


class NatsWorld(World):
    def __init__(self, folder: Path) -> None:
        self.server = NatsServer.start(folder)
        self.buses: list[Bus] = []

    async def bus(self, **options: Any) -> Bus:
        bus = await connect(self.server.url, name="test", wait_ms=10_000, **options)
        self.buses.append(bus)
        if len(self.buses) == 1:
            for service in SERVICES:
                await bus.ensure(load_topology(), service)
        return bus

    async def server_gone(self) -> None:
        await asyncio.to_thread(self.server.kill)
        for bus in self.buses:
            await until(lambda bus=bus: not bus.connected)

    async def server_back(self) -> None:
        closed = [bus for bus in self.buses if bus._closed]  # type: ignore[attr-defined]
        await asyncio.to_thread(self.server.restart)
        for bus in self.buses:
            if bus not in closed:
                await until(lambda bus=bus: bus.connected)

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()
        self.server.stop()


async def until(condition: Callable[[], bool], *, timeout_s: float = 15.0) -> None:
    """Wait for a state, turn by turn of the loop; fail when it does not come."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.stack)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    made = MemoryWorld() if request.param == "memory" else NatsWorld(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def bus(world: World) -> Bus:
    return await world.bus()


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until
