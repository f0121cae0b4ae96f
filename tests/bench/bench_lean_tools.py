"""The least in Python that does what tools do for a write: epoch and record, the backend's hop, the outcome.

NATS_URL and BACKEND name the store and the gRPC backend. No validation, proof, breaker, bulkhead, retry or span; the
same bucket, three writes of the same size through the same client, one gRPC call in and one out.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import grpc.aio
from bench_process import serve
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_events import Bucket, connect
from ringback_identity import new_id

ANSWER = tools_pb2.RunResponse(
    result=tools_pb2.Result(status=tools_pb2.STATUS_OK, data_json='{"status":"SERVING"}', attempts=1)
)


class LeanTools(tools_pb2_grpc.ToolsServiceServicer):
    """Runs whatever it is asked to."""

    def __init__(self, bucket: Bucket, backend: grpc.aio.Channel) -> None:
        self._bucket = bucket
        self._backend = health_pb2_grpc.HealthStub(backend)
        self._ran = 0

    async def Run(  # noqa: N802 - the contract's name
        self, request: tools_pb2.RunRequest, context: Any
    ) -> tools_pb2.RunResponse:
        self._ran += 1
        key, record = f"lean.{request.action.session_id}_{self._ran}", request.SerializeToString()
        fence = asyncio.create_task(self._fence())
        revision = await self._bucket.create(key, record)
        await fence
        await self._backend.Check(health_pb2.HealthCheckRequest(), timeout=2)
        await self._bucket.update(key, record + ANSWER.SerializeToString(), revision=revision)
        return ANSWER

    async def _fence(self) -> None:
        await self._bucket.put("epoch.lean", b"1")


async def _open() -> int:
    bus = await connect(os.environ["NATS_URL"], name=new_id("lean"))
    bucket = bus.bucket("outcomes")
    backend = grpc.aio.insecure_channel(os.environ["BACKEND"])
    server = grpc.aio.server()
    tools_pb2_grpc.add_ToolsServiceServicer_to_server(LeanTools(bucket, backend), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.extend([bus, backend, server])
    return port


_KEPT: list[object] = []

if __name__ == "__main__":
    serve(_open)
