"""Calls that nobody waits for any more leave nothing behind in gRPC's core. (Loopback, port 0.)"""

import asyncio
import ctypes
import gc
from contextlib import asynccontextmanager
from itertools import pairwise
from statistics import median

import grpc
import pytest
from ringback_calling import Channel
from ringback_calling.leaving import next_reply
from ringback_serving import ServingSettings, serve

SERVICE = "ringback.test.Leaving"
BOUND_S = 25
WINDOWS = 5
CALLS = 100
# Where grpcio's own task is cancelled a call leaves 650 to 900 bytes behind; else 20 at most.
LEFT_BYTES_MAX = 200


class Heap(ctypes.Structure):
    """`struct mallinfo2` of malloc.h (glibc from 2.33 on)."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks")),
        *((name, ctypes.c_size_t) for name in ("fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def mallinfo2():
    try:
        found = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("this C library does not say what it has handed out")
    found.restype = Heap
    return found


class Peer:
    """Answers nobody."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def hang(self, request, context):
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def register(self, server):
        handlers = {"Hang": grpc.unary_unary_rpc_method_handler(self.hang)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


@asynccontextmanager
async def joined():
    peer, stop, ready = Peer(), asyncio.Event(), asyncio.get_running_loop().create_future()
    served = serve(
        "peer",
        settings=ServingSettings(drain_ms=100, port=0),
        register=[peer.register],
        service_names=[SERVICE],
        probes={},
        on_ready=ready.set_result,
        stop=stop,
    )
    task = asyncio.create_task(served)
    async with asyncio.timeout(BOUND_S):
        channel = Channel(f"127.0.0.1:{await ready}", name="peer")
        await channel.warm(BOUND_S * 1000)
    try:
        yield peer, channel
    finally:
        await channel.close()
        stop.set()
        async with asyncio.timeout(BOUND_S):
            await task


async def left_bytes(peer, call):
    """What one call leaves behind when its caller is cancelled, in bytes: the median of some windows."""
    heap = mallinfo2()
    held = []
    async with asyncio.timeout(BOUND_S):
        for _ in range(WINDOWS + 1):
            for _ in range(CALLS):
                await cancelled(peer, call)
            gc.collect()
            held.append(heap().uordblks)
    # What the first window filled, caches of all kinds, counts for nobody.
    return median((after - before) / CALLS for before, after in pairwise(held))


async def cancelled(peer, call):
    peer.entered.clear()
    peer.cancelled.clear()
    task = asyncio.create_task(call())
    await peer.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await peer.cancelled.wait()


async def test_cancelled_calls_leave_nothing_behind():
    async with joined() as (peer, channel):
        hang = channel.grpc.unary_unary(f"/{SERVICE}/Hang")

        async def call():
            await channel.unary(hang, b"x", deadline_ms=BOUND_S * 1000, idempotent=False)

        assert await left_bytes(peer, call) < LEFT_BYTES_MAX


class Core:
    """What a call is in gRPC's core."""

    def __init__(self):
        self.cancelled = asyncio.Event()

    def cancel(self, details):
        self.cancelled.set()


class Call:
    """A stream as grpcio has it: what is read comes from the core, which ends the reading once it is cancelled."""

    def __init__(self):
        self._cython_call = Core()
        self.reading, self.went = asyncio.Event(), asyncio.get_running_loop().create_future()

    def done(self):
        return self._cython_call.cancelled.is_set()

    async def replies(self):
        yield b"0"
        self.reading.set()
        try:
            await self._cython_call.cancelled.wait()
        except asyncio.CancelledError:
            self.went.set_result("cancelled")
            raise
        self.went.set_result("to its end")


async def test_who_leaves_a_stream_lets_grpcio_read_it_to_its_end():
    call = Call()
    replies = call.replies()
    assert await next_reply(call, replies) == b"0"
    task = asyncio.create_task(next_reply(call, replies))
    async with asyncio.timeout(BOUND_S):
        await call.reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await call.went == "to its end"
