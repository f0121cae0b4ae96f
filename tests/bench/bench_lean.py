"""The least that does the same: a picows gateway that answers a function call after a hop, a journal and a hop.

`python bench_lean.py UPSTREAM POLICY TOOLS NATS`: each function call goes to an echo in policy's place (BENCH_ASK and
BENCH_ANSWER bytes), to a key-value put of BENCH_RECORD bytes, to an echo in tools' place that asks the no-op system,
and back to the model as function_call_output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import grpc
import nats
import orjson
from bench_process import serve
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

METHOD = "/ringback.bench.Echo/Echo"
ASK, ANSWER, RECORD = (int(os.environ.get(f"BENCH_{name}", "800")) for name in ("ASK", "ANSWER", "RECORD"))


class Hops:
    """The channels and the bucket, warm."""

    async def open(self, policy: str, tools: str, nats_url: str) -> None:
        self.policy = grpc.aio.insecure_channel(policy).unary_unary(METHOD)
        self.tools = grpc.aio.insecure_channel(tools).unary_unary(METHOD)
        self.js = (await nats.connect(nats_url)).jetstream()
        self.bucket = await self.js.create_key_value(bucket="bench_lean", history=1)

    async def act(self, writing: bool) -> None:
        ask = ANSWER.to_bytes(4, "big") + bytes(ASK)
        await self.policy(ask, timeout=2)
        if writing:
            await self.bucket.put("record", bytes(RECORD))
        await self.tools((120).to_bytes(4, "big") + bytes(400), timeout=2)


class Leg(WSListener):  # type: ignore[misc]
    """One side; the model's side takes function calls out."""

    def __init__(self, hops: Hops, upstream: str = "", other: Leg | None = None) -> None:
        self.hops, self.upstream, self.other = hops, upstream, other
        self.transport: WSTransport | None = None
        self.early: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        if self.upstream:
            self._spawn(self._connect())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if not self.upstream and b'"response.function_call_arguments.done"' in payload[:64]:
            self._spawn(self._act(orjson.loads(payload)))
        elif self.other is None or self.other.transport is None:
            self.early.append(payload)
        else:
            self.other.transport.send(WSMsgType.TEXT, payload)

    async def _connect(self) -> None:
        other = Leg(self.hops, other=self)
        await ws_connect(lambda: other, self.upstream)
        self.other = other
        for payload in self.early:
            self._tell(other, payload)

    async def _act(self, call: dict[str, Any]) -> None:
        await self.hops.act("write" in call["name"])
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"ok":true}'}
        self._tell(self, orjson.dumps({"type": "conversation.item.create", "item": item}))
        self._tell(self, b'{"type":"response.create"}')

    def _tell(self, leg: Leg, payload: bytes) -> None:
        assert leg.transport is not None
        leg.transport.send(WSMsgType.TEXT, payload)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def _open() -> int:
    upstream, policy, tools, nats_url = sys.argv[1:5]
    hops = Hops()
    await hops.open(policy, tools, nats_url)

    def admit(_: WSUpgradeRequest) -> Leg:
        return Leg(hops, upstream)

    server = await ws_create_server(admit, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    serve(_open)
