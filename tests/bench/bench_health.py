"""A gRPC dependency that can be made ill: the health service, with reflection, by a word in a file.

BENCH_CONTROL names the file: `ok` answers after 5 ms, `ill` answers after 50 ms and fails 30 % of the calls. Without
it every call is answered at once. A call with an idempotency key is a write, done once per key; a call for
`book:<action>` is one that knows no keys, done as often as it comes. A write that fails has had its effect half of the
time. A call that names an action otherwise asks whether the ledger has it.
BENCH_COUNTS is where the times of arrival and the ledger are written, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc.aio
from bench_process import serve
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

WELL_S = 0.005
ILL_S = 0.050
ILL_SHARE = 0.3
# Of the writes that fail: how many fail before their effect; the others lose only their answer.
LOST_SHARE = 0.5


class Health(health_pb2_grpc.HealthServicer):
    """Counts, waits, answers."""

    def __init__(self) -> None:
        self._control = os.environ.get("BENCH_CONTROL", "")
        self._counts = os.environ.get("BENCH_COUNTS", "")
        self._arrived: list[float] = []
        self._attempts: Counter[str] = Counter()
        self._effects: Counter[str] = Counter()
        self._checks = 0
        self._ill = False

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        status = health_pb2.HealthCheckResponse.SERVING
        if self._control:
            key = str(dict(context.invocation_metadata()).get("idempotency-key", ""))
            keyless = "" if key else request.service.partition("book:")[2]
            self._count(key or keyless, asked=request.service)
            await asyncio.sleep(ILL_S if self._ill else WELL_S)
            failing = self._ill and random.random() < ILL_SHARE
            if not (failing and random.random() < LOST_SHARE):
                self._effects[keyless or key] += 1 if keyless or not self._effects[key] else 0
            if failing:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "ill")
            if request.service and not keyless and not self._effects[request.service]:
                status = health_pb2.HealthCheckResponse.NOT_SERVING
        return health_pb2.HealthCheckResponse(status=status)

    async def look(self) -> None:
        """Follow the word in the file, and keep the counts where the bench finds them."""
        while self._control:
            self._exchange()
            await asyncio.sleep(0.2)

    def _count(self, key: str, *, asked: str) -> None:
        if key:
            self._attempts[key] += 1
        elif asked:
            self._checks += 1
        else:
            self._arrived.append(time.perf_counter())

    def _exchange(self) -> None:
        self._ill = Path(self._control).read_text() == "ill"
        told = {
            "arrived": self._arrived,
            "attempts": self._attempts,
            "effects": {name: count for name, count in self._effects.items() if name},
            "checks": self._checks,
        }
        Path(self._counts).write_text(json.dumps(told))


async def _open() -> int:
    health = Health()
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.extend([server, asyncio.create_task(health.look())])
    return port


_KEPT: list[object] = []

if __name__ == "__main__":
    serve(_open)
