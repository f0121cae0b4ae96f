"""A server opens, guards every call, drains and closes as promised. (Loopback, port 0, gRPC's own client.)"""

import asyncio
import json
import os
import signal
import socket
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback_errors import ConfigError, Fenced, InvalidInput
from ringback_serving import ServingSettings, TlsFiles, deadline_ms, detach, serve
from ringback_serving.intercept import Guard
from ringback_telemetry import names, setup
from ringback_telemetry.sink import OtlpSink

PATH = "/ringback.test.Echo/"
BOUND_S = 10


class Echo:
    def __init__(self):
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.detached = None

    async def echo(self, request, context):
        return request

    async def wait(self, request, context):
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    async def fail(self, request, context):
        raise {
            b"fenced": Fenced("epoch 2 owns it", field="epoch"),
            b"input": InvalidInput("expected a slug", field="tenant", retry_after_ms=5),
        }.get(request) or ValueError("secret")

    async def deadline(self, request, context):
        async def later():
            return deadline_ms()

        self.detached = detach(later())
        return str(deadline_ms()).encode()

    async def count(self, request, context):
        try:
            for number in range(3):
                yield str(number).encode()
            if request == b"fail":
                raise Fenced("late")
            if request == b"wait":
                await self.release.wait()
        finally:
            self.cancelled.set()

    async def collect(self, requests, context):
        return b"".join([request async for request in requests])

    async def relay(self, requests, context):
        async for request in requests:
            yield request

    async def aborting(self, request, context):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "by hand")

    def register(self, server):
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Deadline": grpc.unary_unary_rpc_method_handler(self.deadline),
            "Abort": grpc.unary_unary_rpc_method_handler(self.aborting),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "Relay": grpc.stream_stream_rpc_method_handler(self.relay),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("ringback.test.Echo", handlers),)
        )


class Running:
    def __init__(self, channel, echo, stop, task):
        self.channel, self.echo, self.stop, self.task = channel, echo, stop, task

    def call(self, method, request=b"x", **more):
        return self.channel.unary_unary(PATH + method)(request, **{"timeout": BOUND_S, **more})

    async def health(self, service=""):
        stub = health_pb2_grpc.HealthStub(self.channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=BOUND_S)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


@asynccontextmanager
async def running(*, probes=None, closers=(), finish=None, **settings):
    echo, stop, ready = Echo(), asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            "echo",
            settings=ServingSettings(**settings),
            register=[echo.register],
            service_names=["ringback.test.Echo"],
            probes=probes or {},
            on_ready=ready.set_result,
            finish=finish,
            closers=closers,
            stop=stop,
        )
    )
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND_S)
    if task.done():
        await task
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ready.result()}") as channel:
        try:
            yield Running(channel, echo, stop, task)
        finally:
            echo.release.set()
            stop.set()
            async with asyncio.timeout(BOUND_S):
                await task


async def failed(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_all_four_kinds_of_calls_are_served():
    async with running() as server:
        assert await server.call("Echo", b"hi") == b"hi"
        counted = server.channel.unary_stream(PATH + "Count")(b"", timeout=BOUND_S)
        assert [reply async for reply in counted] == [b"0", b"1", b"2"]

        async def parts():
            for part in (b"a", b"b"):
                yield part

        assert await server.channel.stream_unary(PATH + "Collect")(parts(), timeout=BOUND_S) == b"ab"
        relayed = server.channel.stream_stream(PATH + "Relay")(parts(), timeout=BOUND_S)
        assert [reply async for reply in relayed] == [b"a", b"b"]


async def test_an_error_becomes_its_status_with_its_details():
    async with running() as server:
        error = await failed(server.call("Fail", b"input"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "tenant: expected a slug"
        detail = json.loads(dict(error.trailing_metadata())["ringback-error-bin"])
        assert detail == {"code": "invalid_input", "field": "tenant", "retry_after_ms": 5}
        assert (await failed(server.call("Fail", b"fenced"))).code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_an_unknown_exception_leaves_no_text(caplog):
    async with running() as server:
        error = await failed(server.call("Fail", b"?"))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    assert "secret" in caplog.text


async def test_a_stream_that_fails_late_delivers_what_it_had_and_the_status():
    async with running() as server:
        call = server.channel.unary_stream(PATH + "Count")(b"fail", timeout=BOUND_S)
        assert [await call.read() for _ in range(3)] == [b"0", b"1", b"2"]
        assert (await failed(call.read())).code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_cancelled_stream_ends_its_generator():
    async with running() as server:
        call = server.channel.unary_stream(PATH + "Count")(b"wait", timeout=BOUND_S)
        await call.read()
        call.cancel()
        async with asyncio.timeout(BOUND_S):
            await server.echo.cancelled.wait()


async def test_a_handlers_own_abort_stays_as_it_is():
    async with running() as server:
        assert (await failed(server.call("Abort"))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_unknown_method_is_unimplemented():
    async with running() as server:
        assert (await failed(server.call("Nothing"))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_deadline_is_the_callers_less_the_floor_and_not_of_detached_work():
    async with running(deadline_floor_ms=1_000) as server:
        left = int(await server.call("Deadline", timeout=BOUND_S))
        assert 0 < left < BOUND_S * 1000 - 500  # the wire rounds a deadline up, by less than the rest

        assert await server.echo.detached is None
        assert await server.channel.unary_unary(PATH + "Deadline")(b"") == b"None"


async def test_what_a_call_may_use_ends_before_its_caller_gives_up():
    async with running() as server:
        for timeout_s in (0.7, 1.23, 5.0, 33.0):
            assert int(await server.call("Deadline", timeout=timeout_s)) < timeout_s * 1000


async def test_work_that_can_not_finish_in_time_is_refused_before_it_starts():
    async with running(deadline_floor_ms=3_600_000) as server:
        error = await failed(server.call("Wait"))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not server.echo.entered.is_set()


async def test_calls_beyond_the_limit_are_refused_and_health_still_answers():
    async with running(rpcs_max=1) as server:
        first = asyncio.ensure_future(server.call("Wait"))
        await server.echo.entered.wait()
        error = await failed(server.call("Echo"))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert json.loads(dict(error.trailing_metadata())["ringback-error-bin"])["retry_after_ms"] > 0
        assert await server.health() == "SERVING"
        server.echo.release.set()
        assert await first == b"x"
        assert await server.call("Echo") == b"x"


async def test_a_message_beyond_the_limit_is_refused():
    async with running(max_message_bytes=1_024) as server:
        assert (await failed(server.call("Echo", b"x" * 2_000))).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_health_follows_the_probes():
    async def broken():
        raise ConnectionError("gone")

    async with running(probes={"nats": broken}) as server:
        assert await server.health() == "NOT_SERVING"
        assert await server.health("ringback.test.Echo") == "NOT_SERVING"
        assert await server.call("Echo") == b"x"


async def test_one_span_a_call_below_the_callers_with_its_error_and_none_for_health():
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with OtlpSink() as sink:
        telemetry = setup("echo", endpoint=sink.endpoint)
        async with running() as server:
            await server.health()
            await server.call("Echo", metadata=(("traceparent", parent),))
            await failed(server.call("Fail", b"fenced"))
            stream = server.channel.unary_stream(PATH + "Count")
            async for _ in stream(b"", timeout=BOUND_S, metadata=(("traceparent", parent),)):
                pass
        await telemetry.close()
        spans = {span["name"]: span for span in sink.spans}
        assert len(sink.spans) == 3
        for name in ("Echo", "Count"):
            span = spans[f"grpc ringback.test.Echo/{name}"]
            assert (span["trace_id"], span["parent_id"]) == (parent[3:35], parent[36:52])
            assert span["kind"] == "server"
            assert span["attributes"][names.Attr.RPC_METHOD] == f"ringback.test.Echo/{name}"
        assert spans["grpc ringback.test.Echo/Fail"]["attributes"]["error.type"] == "fenced"
        assert sink.unregistered() == set()


async def test_stopping_says_so_first_then_drains_then_closes_in_order():
    closed = []

    async def first():
        closed.append("first")
        raise ValueError("also a closer that fails")

    async def second():
        closed.append("second")

    async with running(closers=[first, second]) as server:
        stub = health_pb2_grpc.HealthStub(server.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=BOUND_S)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        slow = asyncio.ensure_future(server.call("Wait"))
        await server.echo.entered.wait()
        server.stop.set()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not slow.done()
        assert closed == []
        server.echo.release.set()
        assert await slow == b"x"
        await server.task
        assert closed == ["first", "second"]


async def test_what_does_not_finish_within_the_drain_is_cut_off():
    async with running(drain_ms=20) as server:
        slow = asyncio.ensure_future(server.call("Wait"))
        await server.echo.entered.wait()
        server.stop.set()
        async with asyncio.timeout(BOUND_S):
            await server.task
        await failed(slow)
        assert server.echo.cancelled.is_set()


async def test_a_closer_that_hangs_does_not_hold_up_the_end():
    async with running(closers=[asyncio.Event().wait], close_ms=10):
        pass


async def test_the_ready_file_holds_the_port_while_serving(tmp_path):
    path = tmp_path / "run" / "ready"
    async with running(ready_file=path) as server:
        port = int(path.read_text())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary(PATH + "Echo")(b"y", timeout=BOUND_S) == b"y"
        server.stop.set()
        await server.task
        assert list(path.parent.iterdir()) == []


async def test_a_taken_port_is_named_with_what_to_do_and_resources_are_closed():
    closed = asyncio.Event()

    async def closer():
        closed.set()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} .*RINGBACK_PORT.*PORT="):
            async with running(port=port, closers=[closer]):
                pass
    assert closed.is_set()


async def test_unreadable_tls_files_are_named(tmp_path):
    tls = TlsFiles(cert=tmp_path / "c.pem", key=tmp_path / "k.pem", ca=tmp_path / "a.pem")
    with pytest.raises(ConfigError, match=r"k\.pem"):
        async with running(tls=tls):
            pass


def test_a_handler_that_would_block_the_loop_is_refused():
    def blocking(request, context):
        return request

    with pytest.raises(TypeError, match="async"):
        Guard(deadline_floor_ms=5, rpcs_max=1).wrap("/a.B/C", grpc.unary_unary_rpc_method_handler(blocking))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_server_and_a_second_one_cuts_the_drain(number):
    async with running(drain_ms=60_000) as server:
        slow = asyncio.ensure_future(server.call("Wait"))
        await server.echo.entered.wait()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(BOUND_S):
            await server.stop.wait()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(BOUND_S):
            await server.task
        await failed(slow)


async def test_calls_are_answered_while_what_is_under_way_is_finished():
    finishing, finished = asyncio.Event(), asyncio.Event()

    async def finish():
        finishing.set()
        await finished.wait()

    async with running(finish=finish) as server:
        server.stop.set()
        async with asyncio.timeout(BOUND_S):
            await finishing.wait()
        assert await server.call("Echo") == b"x"
        assert await server.health() == "NOT_SERVING"
        finished.set()
        async with asyncio.timeout(BOUND_S):
            await server.task


@pytest.mark.parametrize("how", ["raises", "hangs"])
async def test_what_can_not_be_finished_does_not_keep_the_server_from_ending(how, caplog):
    closed = []

    async def finish():
        if how == "raises":
            raise ValueError("secret")
        await asyncio.Event().wait()

    async def close():
        closed.append("closed")

    async with running(finish=finish, closers=[close], close_ms=200) as server:
        server.stop.set()
        async with asyncio.timeout(BOUND_S):
            await server.task
    assert closed == ["closed"]
    assert "under way" in caplog.text
