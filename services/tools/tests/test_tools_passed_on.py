"""What goes out with every attempt, by each kind of connector: how long is waited, the trace, and the action's key."""

import asyncio
import json
import shlex
import sys
from types import ModuleType

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from ringback_telemetry import current_traceparent, extract, span
from ringback_telemetry.names import Span
from ringback_testkit import NatsServer
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered
from ringback_tools.ports import Call
from ringback_worker import Context, Worker, tool

pytestmark = pytest.mark.stack
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TIMEOUT_MS = 25_000
NOBODYS = Credentials(None)


async def sent(connector, kind, **options):
    """The answer to one attempt within a trace."""
    spec = ConnectorSpec(kind, options)
    asked = Call(
        spec,
        {},
        TIMEOUT_MS,
        10_000,
        "local",
        "sess_1",
        "act_1",
        SideEffect.WRITE,
        key_field="Idempotency-Key",
        key="act_1",
    )
    try:
        with span(Span.TOOLS_ATTEMPT, parent=extract({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})):
            answer = await connector.call(asked)
    finally:
        await connector.close()
    assert isinstance(answer, Answered), answer
    return answer.data


async def test_http_has_them_in_headers():
    heads = []

    async def serve(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connector = HttpConnector(addresses={"shop": f"http://127.0.0.1:{port}"}, credentials=NOBODYS)
        await sent(connector, "http", base_url_ref="shop", method="POST", url="/x")
    lines = heads[0].split("\r\n")
    assert f"ringback-timeout-ms: {TIMEOUT_MS}" in lines
    assert "idempotency-key: act_1" in lines
    assert any(line.startswith(f"traceparent: 00-{TRACE}-") for line in lines)


class Health(health_pb2_grpc.HealthServicer):
    async def Check(self, request, context):  # noqa: N802 - the contract's name
        self.left_s = context.time_remaining()
        self.metadata = dict(context.invocation_metadata())
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


async def test_grpc_has_its_own_deadline_and_the_rest_in_metadata():
    server, health = grpc.aio.server(), Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        connector = GrpcConnector(addresses={"shop": f"grpc://127.0.0.1:{port}"}, credentials=NOBODYS)
        await sent(connector, "grpc", target_ref="shop", method="grpc.health.v1.Health/Check")
    finally:
        await server.stop(None)
    # On the wire gRPC rounds it up a little.
    assert 0 < health.left_s < 1.1 * TIMEOUT_MS / 1000
    assert health.metadata["idempotency-key"] == "act_1"
    assert TRACE in health.metadata["traceparent"]


async def test_a_function_has_them_in_its_context_and_the_trace_around_it_in_a_thread_too(monkeypatch):
    module = ModuleType("passed_on")

    def plain(context):
        return [context.timeout_ms, context.action_id, current_traceparent() or ""]

    async def awaited(context):
        return plain(context)

    for function in (plain, awaited):
        function.__module__ = module.__name__
        setattr(module, function.__name__, function)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("plain", "awaited"):
        connector = FunctionConnector([module.__name__], credentials=NOBODYS)
        timeout_ms, key, trace = await sent(connector, "function", entry_point=f"passed_on:{name}")
        assert (timeout_ms, key) == (TIMEOUT_MS, "act_1")
        assert TRACE in trace, name


async def test_a_worker_has_them_in_its_context(tmp_path):
    @tool(subject="shop.seen", side_effect="write")
    def seen(context: Context) -> dict[str, str]:
        """What came."""
        return {
            "left": str(context.timeout_ms),
            "key": context.action_id,
            "trace": current_traceparent() or "",
        }

    with NatsServer.start(tmp_path) as server:
        worker = await Worker.start(seen, url=server.url)
        try:
            data = await sent(WorkerConnector(server.url), "nats", subject="shop.seen")
        finally:
            await worker.close(drain_ms=10)
    assert 0 < int(data["left"]) <= TIMEOUT_MS
    assert data["key"] == "act_1"
    assert TRACE in data["trace"]


MCP = """
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("shop")

@server.tool()
def seen(context: Context) -> dict[str, str]:
    meta = context.request_context.meta or {}
    found = meta if isinstance(meta, dict) else meta.model_dump()
    import json
    return {"meta": json.dumps(found, default=str)}

server.run("stdio")
"""


@pytest.mark.filterwarnings("default")
async def test_an_mcp_server_has_them_in_the_calls_meta(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{MCP}")
    address = "stdio://" + shlex.join([sys.executable, str(script)])
    connector = McpConnector(addresses={"shop": address}, credentials=NOBODYS)
    meta = json.loads((await sent(connector, "mcp", server_ref="shop", tool="seen"))["meta"])
    assert meta["timeout_ms"] == TIMEOUT_MS
    assert meta["Idempotency-Key"] == "act_1"
    assert TRACE in meta["traceparent"]
