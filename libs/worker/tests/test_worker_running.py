"""A worker on a real NATS server: answers, refusals, deadlines, bounds, the trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from ringback_errors import NotFound
from ringback_telemetry import current_traceparent
from ringback_testkit import NatsServer
from ringback_worker import Context, Worker, tool

pytestmark = pytest.mark.stack
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@tool(subject="shop.stock")
def stock(item: str, context: Context) -> dict[str, str]:
    """How many are left."""
    if item == "none":
        raise NotFound("There is no such thing.")
    if item == "broken":
        raise KeyError("secret")
    return {"item": item, "action": context.action_id}


@tool(subject="shop.slow")
async def slow() -> str:
    """Never ends."""
    await asyncio.Event().wait()
    return ""


@tool(subject="shop.trace")
async def trace() -> str:
    """The trace."""
    return current_traceparent() or ""


async def test_a_worker_answers_refuses_and_keeps_its_bounds(tmp_path: Path) -> None:
    with NatsServer.start(tmp_path) as server:
        client = await nats.connect(server.url)
        worker = await Worker.start(stock, slow, trace, url=server.url, calls_max=2)

        async def ask(subject: str, raw: Any = None, *, timeout_ms: int = 2_000, **arguments: Any) -> Any:
            request = {"arguments": arguments, "action_id": "act_1", "timeout_ms": timeout_ms}
            payload = raw if raw is not None else orjson.dumps(request)
            reply = await client.request(subject, payload, timeout=10, headers={"traceparent": TRACE})
            return orjson.loads(reply.data)

        try:
            assert await ask("shop.stock", item="pen") == {
                "status": "ok",
                "data": {"item": "pen", "action": "act_1"},
            }
            none = await ask("shop.stock", item="none")
            assert (none["error_code"], none["message"]) == ("not_found", "There is no such thing.")
            broken = await ask("shop.stock", item="broken")
            assert broken == {"status": "error", "error_code": "internal"}
            wrong = await ask("shop.stock", item=7)
            assert (wrong["error_code"], "item" in wrong["message"]) == ("invalid_arguments", True)
            for raw in (b"{", b"[]", b'{"arguments": {}}', b'{"arguments": {}, "timeout_ms": true}'):
                assert (await ask("shop.stock", raw))["error_code"] == "invalid_arguments"
            assert (await ask("shop.slow", timeout_ms=30))["error_code"] == "timeout"
            assert TRACE.split("-")[1] in (await ask("shop.trace"))["data"]
            held = [asyncio.create_task(ask("shop.slow", timeout_ms=3_000)) for _ in range(2)]
            async with asyncio.timeout(10):
                while len(worker._running) < 2:
                    await asyncio.wait(held, timeout=0.01)
            busy = await ask("shop.stock", item="pen")
            assert (busy["error_code"], busy["retryable"]) == ("overloaded", True)
            await worker.close(drain_ms=10)
            for task in held:
                task.cancel()
        finally:
            await client.close()
