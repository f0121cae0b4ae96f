"""Both sides of an arrow in one process: the real servicer behind the real serving, the real adapter before it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from ringback_calling import Channel
from ringback_identity import MacKeys
from ringback_serving import ServingSettings, serve
from ringback_testkit import free_port

sys.path.insert(0, str(Path(__file__).parent))

from contract_kit import Wires


class Loopback:
    """Servers on free ports of the loopback interface, and channels to them; all end with the test."""

    def __init__(self, opened: AsyncExitStack) -> None:
        self._opened = opened

    async def serve(self, register: Callable[[grpc.aio.Server], None], *, port: int = 0) -> int:
        """Serve as every service does: the same guard, deadlines and statuses."""
        ready = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.ensure_future(
            serve(
                "contract",
                settings=ServingSettings(port=port, drain_ms=0),
                register=[register],
                service_names=[],
                probes={},
                on_ready=ready.set_result,
                stop=stop,
            )
        )

        async def end() -> None:
            stop.set()
            await task

        self._opened.push_async_callback(end)
        async with asyncio.timeout(10):
            return int(await ready)

    def channel(self, port: int) -> Channel:
        channel = Channel(f"127.0.0.1:{port}", name="peer")
        self._opened.push_async_callback(channel.close)
        return channel

    async def channel_to(self, register: Callable[[grpc.aio.Server], None]) -> Channel:
        return self.channel(await self.serve(register))

    def channel_to_nobody(self) -> Channel:
        return self.channel(free_port())


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    async with AsyncExitStack() as opened:
        yield Loopback(opened)


@pytest.fixture
def keys(tmp_path: Path) -> MacKeys:
    MacKeys.generate(tmp_path / "mac.json")
    return MacKeys.load(tmp_path / "mac.json")


@pytest.fixture(scope="session")
def wires() -> Wires:
    return Wires()
