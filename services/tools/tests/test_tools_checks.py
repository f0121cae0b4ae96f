"""What became of a write in doubt, found out over each connector from a real system on loopback."""

import asyncio
import sys
import types
from dataclasses import replace

import grpc
import nats
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from ringback_testkit import NatsServer
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.domain.catalogue import CheckRule, Condition, ConnectorSpec, SideEffect
from ringback_tools.domain.checking import Verdict, judge
from ringback_tools.domain.results import Answered, ErrorCode, Failed
from ringback_tools.ports import Call

NOT_FOUND = Condition(codes=(ErrorCode.NOT_FOUND,))


def rule(kind, *, path="state", equals=("written",), **options):
    return CheckRule(
        connector=ConnectorSpec(kind, options),
        done_when=Condition(path=path, equals=equals),
        not_done_when=NOT_FOUND,
    )


async def verdict(connectors, checked, action_id):
    call = Call(
        spec=checked.connector,
        arguments={},
        timeout_ms=800,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id=action_id,
        side_effect=SideEffect.WRITE,
    )
    return judge(checked, await connectors.call(call))


async def expect(connectors, checked):
    """The three answers that a system can give, and none."""
    assert await verdict(connectors, checked, "act_done") is Verdict.DONE
    assert await verdict(connectors, checked, "act_none") is Verdict.NOT_DONE
    assert await verdict(connectors, checked, "act_other") is Verdict.SILENT
    assert await verdict(connectors, checked, "act_broken") is Verdict.SILENT


async def test_a_function_says_what_became_of_it():
    module = types.ModuleType("ledger_tools_for_test")
    source = """
from ringback_errors import NotFound

async def written(*, context):
    if context.action_id == "act_none":
        raise NotFound("There is none.")
    if context.action_id == "act_broken":
        raise KeyError("secret")
    return {"state": "written" if context.action_id == "act_done" else "waiting"}
"""
    exec(source, module.__dict__)
    sys.modules[module.__name__] = module
    connectors = ConnectorsByKind(
        {"function": FunctionConnector([module.__name__], credentials=Credentials(None))}
    )
    try:
        await expect(connectors, rule("function", entry_point=f"{module.__name__}:written"))
    finally:
        await connectors.close()
        del sys.modules[module.__name__]


class Ledger(health_pb2_grpc.HealthServicer):
    """Knows one action; the health service's types serve for its own."""

    async def Check(self, request, context):  # noqa: N802
        match request.service:
            case "act_none":
                await context.abort(grpc.StatusCode.NOT_FOUND, "There is none.")
            case "act_broken":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        known = request.service == "act_done"
        return health_pb2.HealthCheckResponse(status=1 if known else 2)


@pytest.mark.stack
async def test_a_grpc_method_says_what_became_of_it():
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Ledger(), server)
    reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ledger = GrpcConnector(addresses={"ledger": f"127.0.0.1:{port}"}, credentials=Credentials(None))
    connectors = ConnectorsByKind({"grpc": ledger})
    checked = rule(
        "grpc",
        path="status",
        equals=("SERVING",),
        target_ref="ledger",
        method="grpc.health.v1.Health/Check",
        request={"service": "{action_id}"},
    )
    try:
        await expect(connectors, checked)
        await server.stop(0)
        assert await verdict(connectors, checked, "act_done") is Verdict.SILENT
    finally:
        await connectors.close()
        await server.stop(0)


@pytest.mark.stack
async def test_a_worker_says_what_became_of_it(tmp_path):
    replies = {
        "act_done": {"status": "ok", "data": {"state": "written"}},
        "act_none": {"status": "error", "error_code": "not_found"},
        "act_other": {"status": "ok", "data": {"state": "waiting"}},
        "act_broken": {"status": "error", "error_code": "tool_unavailable", "retryable": True},
    }
    with NatsServer.start(tmp_path) as server:
        client = await nats.connect(server.url)

        async def work(message):
            await message.respond(orjson.dumps(replies[orjson.loads(message.data)["action_id"]]))

        await client.subscribe("ledger.written", cb=work)
        await client.flush()
        connectors = ConnectorsByKind({"nats": WorkerConnector(server.url)})
        try:
            await expect(connectors, rule("nats", subject="ledger.written"))
        finally:
            await connectors.close()
            await client.close()


def test_only_the_systems_own_refusal_settles_anything():
    checked = rule("function")
    assert judge(checked, Failed(ErrorCode.NOT_FOUND, definitive=True)) is Verdict.NOT_DONE
    assert judge(checked, Failed(ErrorCode.NOT_FOUND)) is Verdict.SILENT
    assert judge(checked, Failed(ErrorCode.TIMEOUT, in_doubt=True)) is Verdict.SILENT
    assert judge(checked, Answered({}, status=200, body={})) is Verdict.SILENT


def test_a_write_without_a_key_is_settled_by_a_check_that_refuses(keyless, kit):
    """The whole pipeline: a lost answer, then a check that says no by an error code."""
    asked = []

    class Refusing:
        def lacking(self, spec):
            return ""

        async def call(self, call):
            asked.append(call.spec.kind)
            if call.spec.kind == "grpc":
                return Failed(ErrorCode.NOT_FOUND, definitive=True, blames=False)
            return Failed(ErrorCode.TIMEOUT, in_doubt=True)

    check = replace(
        keyless.tool("cancel_reservation").check, connector=ConnectorSpec("grpc"), not_done_when=NOT_FOUND
    )
    keyless.change("cancel_reservation", check=check)

    async def scene():
        service = keyless.replica(connectors=Refusing())
        background = asyncio.create_task(service.reconciler.run())
        await kit.result(service, keyless.request())
        await asyncio.wait([background], timeout=60)
        background.cancel()

    kit.run(scene())
    record = keyless.record(keyless.request())
    assert record.result.error_code is ErrorCode.TOOL_UNAVAILABLE
    assert asked.count("http") == 1
    assert "grpc" in asked
