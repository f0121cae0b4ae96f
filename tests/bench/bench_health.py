"""A gRPC dependency that can be made ill: the health service, with reflection, by a word in a file.

BENCH_CONTROL names the file: `ok` answers after 5 ms, `ill` answers after 50 ms and refuses 30 % of the calls. Without
it every call is answered at once. BENCH_COUNTS is where the times of arrival are written, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import grpc.aio
from bench_process import serve
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

WELL_S = 0.005
ILL_S = 0.050
ILL_SHARE = 0.3


class Health(health_pb2_grpc.HealthServicer):
    """Counts, waits, answers."""

    def __init__(self) -> None:
        self._control = os.environ.get("BENCH_CONTROL", "")
        self._counts = os.environ.get("BENCH_COUNTS", "")
        self._arrived: list[float] = []
        self._ill = False

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        if self._control:
            self._arrived.append(time.perf_counter())
            await asyncio.sleep(ILL_S if self._ill else WELL_S)
            if self._ill and random.random() < ILL_SHARE:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "ill")
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def look(self) -> None:
        """Follow the word in the file, and keep the counts where the bench finds them."""
        while self._control:
            self._exchange()
            await asyncio.sleep(0.2)

    def _exchange(self) -> None:
        self._ill = Path(self._control).read_text() == "ill"
        Path(self._counts).write_text(json.dumps(self._arrived))


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
