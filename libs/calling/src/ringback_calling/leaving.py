"""Leaving a gRPC call before its end: the peer is told at once, and what the call holds is given back.

What a call sends and receives lives in gRPC's core until the task that started it has seen it through. A task of
grpcio's that is cancelled meanwhile never gives it back, some 650 bytes for a unary call and the reply besides (grpcio
1.85, `execute_batch`). So it is the call that is cancelled here, in the core, never grpcio's own task: that ends by
itself a moment later. It needs names that grpcio keeps to itself; where one is missing, calls are left grpcio's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from grpc import aio

__all__ = ["leave", "next_reply", "reply_of"]

_Reply = TypeVar("_Reply")

_WHY = "nobody waits for it any more"


async def reply_of(call: aio.UnaryUnaryCall[Any, _Reply]) -> _Reply:
    """As awaiting the call itself. Raises AioRpcError."""
    task = getattr(call, "_call_response", None)
    if task is not None:
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            leave(call)
            raise
    return await call


async def next_reply(call: aio.UnaryStreamCall[Any, _Reply], replies: AsyncIterator[_Reply]) -> Any:
    """The next of the call's replies, or `aio.EOF`. Raises AioRpcError."""
    reading = asyncio.ensure_future(anext(replies, aio.EOF))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        leave(call)
        raise


def leave(call: aio.Call) -> None:
    """Have the peer stop, unless the call has ended."""
    if call.done():
        return
    core = getattr(call, "_cython_call", None)
    if core is not None:
        core.cancel(_WHY)
    else:
        call.cancel()
