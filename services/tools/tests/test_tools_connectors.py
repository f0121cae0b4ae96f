"""The other connectors, each against a real server that the test starts on loopback."""

import asyncio
import sys
import types

import grpc
import nats
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from ringback_errors import ConfigError
from ringback_telemetry import current_traceparent, extract, span
from ringback_telemetry.names import Span
from ringback_testkit import NatsServer, free_port
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered, ErrorCode, Failed
from ringback_tools.ports import Call
from ringback_worker import Context, Worker, tool


def call(kind, *, arguments=None, timeout_ms=2_000, side_effect=SideEffect.WRITE, **options):
    return Call(
        spec=ConnectorSpec(kind, options),
        arguments=arguments or {},
        timeout_ms=timeout_ms,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=side_effect,
        key_field="Idempotency-Key",
        key="act_1",
    )


# --- function


@pytest.fixture
def shop():
    module = types.ModuleType("shop_tools_for_test")
    source = """
from ringback_errors import NotFound, Unavailable
import os

async def price(*, item, context):
    return {"item": item, "for": context.tenant, "action": context.action_id}

def stock(*, item):
    return {"left": 3}

def missing(*, item):
    raise NotFound("There is no such thing.")

def away(*, item):
    raise Unavailable("later", retry_after_ms=70)

def broken(*, item):
    raise KeyError("secret")

def odd(*, item):
    return object()

def flood(*, item):
    return {"all": "x" * 20_000}

def _private(*, item):
    return {}

getcwd = os.getcwd
"""
    exec(source, module.__dict__)
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


async def run_function(shop, name, **more):
    connector = FunctionConnector([shop], credentials=Credentials(None))
    try:
        return await connector.call(
            call("function", arguments={"item": "pen"}, entry_point=f"{shop}:{name}", **more)
        )
    finally:
        await connector.close()


async def test_a_function_gets_its_arguments_and_its_context(shop):
    answer = await run_function(shop, "price")
    assert answer.data == {"item": "pen", "for": "local", "action": "act_1"}
    assert (await run_function(shop, "stock")).data == {"left": 3}


async def test_a_functions_errors_are_typed_answers(shop, caplog):
    missing = await run_function(shop, "missing")
    assert (missing.code, missing.definitive, missing.text) == (
        ErrorCode.NOT_FOUND,
        True,
        "There is no such thing.",
    )
    away = await run_function(shop, "away")
    assert (away.code, away.retryable, away.in_doubt, away.retry_after_ms) == (
        ErrorCode.TOOL_UNAVAILABLE,
        True,
        True,
        70,
    )
    broken = await run_function(shop, "broken")
    assert (broken.code, broken.in_doubt, broken.text) == (ErrorCode.INTERNAL, True, "")
    assert "secret" not in repr(broken)
    assert f"{shop}:broken failed" in caplog.text
    assert (await run_function(shop, "odd")).code is ErrorCode.INVALID_RESULT
    flood = await run_function(shop, "flood")
    assert (flood.code, flood.in_doubt, flood.detail) == (
        ErrorCode.INVALID_RESULT,
        True,
        "more than 10000 bytes",
    )


async def test_a_typed_function_gets_and_gives_its_own_types(shop):
    module = sys.modules[shop]
    exec(
        """
import datetime
from ringback_worker import tool

@tool
def free(day: datetime.date, nights: int = 1) -> list[datetime.date]:
    "Free days."
    return [day + datetime.timedelta(days=n) for n in range(nights)]
""",
        module.__dict__,
    )
    connector = FunctionConnector([shop], credentials=Credentials(None))

    async def ask(**arguments):
        return await connector.call(call("function", arguments=arguments, entry_point=f"{shop}:free"))

    try:
        assert (await ask(day="2026-12-04", nights=2)).data == ["2026-12-04", "2026-12-05"]
        wrong = await ask(day="soon")
        assert (wrong.code, wrong.definitive) == (ErrorCode.INVALID_ARGUMENTS, True)
    finally:
        await connector.close()


@pytest.mark.parametrize("name", ["_private", "getcwd", "NotFound", "nothing"])
async def test_only_public_functions_of_allowed_modules_run(shop, name):
    assert (await run_function(shop, name)).code is ErrorCode.TOOL_UNAVAILABLE
    connector = FunctionConnector([], credentials=Credentials(None))
    answer = await connector.call(call("function", entry_point="os:getcwd"))
    await connector.close()
    assert (answer.code, answer.blames) == (ErrorCode.TOOL_UNAVAILABLE, False)


def test_a_module_that_cannot_be_imported_is_named_at_the_start():
    with pytest.raises(ConfigError, match="no_such_module"):
        FunctionConnector(["no_such_module"], credentials=Credentials(None))


async def test_an_unknown_kind_is_an_answer_too():
    answer = await ConnectorsByKind({}).call(call("telepathy"))
    assert answer.code is ErrorCode.TOOL_UNAVAILABLE


# --- nats


@pytest.mark.stack
async def test_a_workers_reply_is_the_answer(tmp_path):
    with NatsServer.start(tmp_path) as server:
        client = await nats.connect(server.url)
        seen = []

        async def work(message):
            request = orjson.loads(message.data)
            seen.append((request, dict(message.headers or {})))
            match request["arguments"]["do"]:
                case "ok":
                    reply = {"status": "ok", "data": {"left": 3}}
                case "no":
                    reply = {"status": "error", "error_code": "rejected", "message": "The shop is closed."}
                case "busy":
                    reply = {"status": "error", "error_code": "overloaded", "retryable": True}
                case "odd":
                    reply = ["?"]
                case _:
                    return
            await message.respond(orjson.dumps(reply))

        await client.subscribe("shop.stock", queue="shop", cb=work)
        await client.flush()
        connector = WorkerConnector(server.url)

        async def ask(do, subject="shop.stock"):
            return await connector.call(call("nats", subject=subject, arguments={"do": do}, timeout_ms=500))

        try:
            assert await ask("ok") == Answered({"left": 3}, status=200, body={"left": 3})
            assert seen[0][0]["action_id"] == "act_1"
            assert seen[0][1]["Idempotency-Key"] == "act_1"
            no = await ask("no")
            assert (no.code, no.definitive, no.text) == (ErrorCode.REJECTED, True, "The shop is closed.")
            busy = await ask("busy")
            assert (busy.code, busy.retryable, busy.in_doubt) == (ErrorCode.OVERLOADED, True, False)
            odd = await ask("odd")
            assert (odd.code, odd.in_doubt) == (ErrorCode.INVALID_RESULT, True)
            silent = await ask("nothing")
            assert (silent.code, silent.in_doubt) == (ErrorCode.TIMEOUT, True)
            nobody = await ask("ok", subject="shop.none")
            assert (nobody.code, nobody.in_doubt, nobody.retryable) == (
                ErrorCode.TOOL_UNAVAILABLE,
                False,
                True,
            )
            forged = await ask("ok", subject="ringback.events.local.sess_1.x")
            assert (forged.code, forged.blames) == (ErrorCode.TOOL_UNAVAILABLE, False)
            server.kill()
            gone = await ask("ok")
            assert gone.code in (ErrorCode.TOOL_UNAVAILABLE, ErrorCode.TIMEOUT)
        finally:
            await connector.close()
            await client.close()


@pytest.mark.stack
async def test_a_bus_that_is_away_from_the_start_leaves_nothing_in_doubt():
    connector = WorkerConnector(f"nats://127.0.0.1:{free_port()}")
    try:
        answer = await connector.call(call("nats", subject="shop.stock", timeout_ms=400))
        assert (answer.code, answer.in_doubt, answer.retryable) == (ErrorCode.TOOL_UNAVAILABLE, False, True)
    finally:
        await connector.close()


@pytest.mark.stack
async def test_a_worker_of_the_sdk_is_reached_with_key_deadline_and_trace(tmp_path):
    @tool(subject="shop.left", side_effect="write")
    async def left(item: str, context: Context) -> dict[str, str]:
        """How many are left."""
        if item == "never":
            await asyncio.Event().wait()
        return {"item": item, "action": context.action_id, "trace": current_traceparent() or ""}

    with NatsServer.start(tmp_path) as server:
        worker = await Worker.start(left, url=server.url)
        connector = WorkerConnector(server.url)
        parent = extract({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
        try:
            with span(Span.TOOLS_ATTEMPT, parent=parent):
                answer = await connector.call(call("nats", subject="shop.left", arguments={"item": "pen"}))
            assert (answer.data["item"], answer.data["action"]) == ("pen", "act_1")
            assert "4bf92f3577b34da6a3ce929d0e0e4736" in answer.data["trace"]
            late = await connector.call(
                call("nats", subject="shop.left", arguments={"item": "never"}, timeout_ms=100)
            )
            assert (late.code, late.in_doubt) == (ErrorCode.TIMEOUT, True)
            wrong = await connector.call(call("nats", subject="shop.left", arguments={"item": 1}))
            assert (wrong.code, wrong.definitive) == (ErrorCode.INVALID_ARGUMENTS, True)
        finally:
            await connector.close()
            await worker.close(drain_ms=10)


# --- grpc


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self):
        self.metadata = {}

    async def Check(self, request, context):  # noqa: N802
        self.metadata = dict(context.invocation_metadata())
        match request.service:
            case "none":
                await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service.")
            case "down":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            case "slow":
                await asyncio.Event().wait()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.stack
async def test_a_grpc_method_is_called_by_reflection():
    server = grpc.aio.server()
    health = Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connector = GrpcConnector(addresses={"health": f"grpc://127.0.0.1:{port}"}, credentials=Credentials(None))

    async def ask(service="", *, method="grpc.health.v1.Health/Check", ref="health", **more):
        arguments = {"service": service, **more}
        return await connector.call(
            call("grpc", target_ref=ref, method=method, arguments=arguments, timeout_ms=800)
        )

    try:
        assert (await ask()).data == {"status": "SERVING"}
        assert health.metadata["idempotency-key"] == "act_1"
        none = await ask("none")
        assert (none.code, none.definitive, none.text) == (
            ErrorCode.NOT_FOUND,
            True,
            "There is no such service.",
        )
        down = await ask("down")
        assert (down.code, down.in_doubt, down.retryable, down.text) == (
            ErrorCode.TOOL_UNAVAILABLE,
            True,
            True,
            "",
        )
        slow = await ask("slow")
        assert (slow.code, slow.in_doubt) == (ErrorCode.TIMEOUT, True)
        odd = await ask(colour="red")
        assert (odd.code, odd.blames) == (ErrorCode.INVALID_ARGUMENTS, False)
        for wrong in (
            await ask(method="grpc.health.v1.Health/Nothing"),
            await ask(method="grpc.health.v1.Health/Watch"),
            await ask(method="no.such.Service/Do"),
            await ask(ref="nowhere"),
        ):
            assert isinstance(wrong, Failed)
            assert (wrong.code, wrong.in_doubt) == (ErrorCode.TOOL_UNAVAILABLE, False)
        await server.stop(0)
        gone = await ask()
        assert (gone.code, gone.retryable) == (ErrorCode.TOOL_UNAVAILABLE, True)
    finally:
        await connector.close()
        await server.stop(0)
