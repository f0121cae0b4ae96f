"""Policy that takes its time: passes everything on to the real one, and each decision BENCH_GUARD_MS late.

`python bench_guard_policy.py POLICY_ADDRESS`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from bench_process import serve

SERVICE = "ringback.policy.v1.PolicyService"
METHODS = ("Decide", "ReadConsent", "ComposeInstructions", "GetSessionRules")


def _passed_on(channel: grpc.aio.Channel, method: str, late_s: float) -> Callable[..., Awaitable[bytes]]:
    ask: Any = channel.unary_unary(f"/{SERVICE}/{method}")

    async def handle(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        if method == "Decide":
            await asyncio.sleep(late_s)
        answer: bytes = await ask(request, metadata=context.invocation_metadata())
        return answer

    return handle


async def open_late(policy: str, late_s: float) -> int:
    channel = grpc.aio.insecure_channel(policy)
    server = grpc.aio.server()
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(_passed_on(channel, method, late_s)) for method in METHODS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.extend((channel, server))
    return int(port)


_KEPT: list[object] = []

if __name__ == "__main__":
    serve(lambda: open_late(sys.argv[1], int(os.environ["BENCH_GUARD_MS"]) / 1000))
