"""A server of grpc.aio alone with policy's own messages: it reads each question and answers with what it was told to.

What a decision costs beyond this is policy's. `ComposeInstructions` tells it: the answer's bytes, in hex, as the agent.
"""

from __future__ import annotations

import sys

# ruff: noqa: N802 - methods bear the names of the proto
from typing import Any

import grpc
from bench_process import serve as serve_process
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc


class Echo(policy_pb2_grpc.PolicyServiceServicer):
    """Answers every question alike."""

    def __init__(self) -> None:
        self._answer = pb.DecideResponse()

    async def ComposeInstructions(
        self, request: pb.ComposeInstructionsRequest, context: Any
    ) -> pb.ComposeInstructionsResponse:
        self._answer = pb.DecideResponse.FromString(bytes.fromhex(request.agent))
        return pb.ComposeInstructionsResponse()

    async def Decide(self, request: pb.DecideRequest, context: Any) -> pb.DecideResponse:
        return self._answer


async def open_echo() -> int:
    server = grpc.aio.server()
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.append(server)
    return int(port)


# A server that nobody holds is collected.
_KEPT: list[object] = []

if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    serve_process(open_echo)
