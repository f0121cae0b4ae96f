"""Owns how a command gets hold of a service: that nobody answers is said within seconds, with what names the place.

Clients of gRPC and NATS are made for services, which wait for each other; whoever types a command does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
from ringback_calling import Channel
from ringback_errors import Unavailable
from ringback_events import NatsBus, redacted_url

__all__ = ["REACH_MS", "NotReached", "open_bus", "open_channel", "reach"]

REACH_MS: Final = 2_500
_NO: Final = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class NotReached(Unavailable):
    """Nobody answers at the address, so nothing was asked."""


@asynccontextmanager
async def open_channel(address: str, *, name: str, option: str) -> AsyncIterator[Channel]:
    """A channel to the service of this name, connected; NotReached names the address and the option that sets it."""
    channel = Channel(address, name=name)
    try:
        await reach(channel.grpc, address, who=f"{name} service", option=option)
        yield channel
    finally:
        await channel.close()


async def reach(channel: grpc.aio.Channel, address: str, *, who: str, option: str) -> None:
    """Connect; raises NotReached as soon as that is refused, or when REACH_MS are up."""
    try:
        async with asyncio.timeout(REACH_MS / 1000):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY and state not in _NO:
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        state = grpc.ChannelConnectivity.TRANSIENT_FAILURE
    if state in _NO:
        raise NotReached(f"no {who} answers at {address}: {option} takes its host:port")


async def open_bus(url: str, *, option: str = "--nats-url") -> NatsBus:
    """The bus, connected; NotReached when nobody answers in REACH_MS."""
    bus = NatsBus(url, name="ringback-cli")
    try:
        async with asyncio.timeout(REACH_MS / 1000):
            await bus.open(wait_ms=None)
    except TimeoutError:
        where = redacted_url(url)
        raise NotReached(f"no NATS server answers at {where}: {option} takes nats://host:port") from None
    return bus
