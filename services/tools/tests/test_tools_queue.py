"""Background work on a real JetStream: taken back before and while it runs, refused when too much waits, measured.

The functions that do the work are held by the test; everything else is what the service itself puts together.
"""

import asyncio
import sys
import types
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from ringback.events.v1 import events_pb2
from ringback_events import ALL_CONTROL, ALL_FACTS, NatsBus, load_topology
from ringback_identity import MacKeys, action_id, canonical_json, digest
from ringback_packs import load_files, publish_pack
from ringback_telemetry import setup
from ringback_testkit import NatsServer
from ringback_tools.bootstrap import build
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.requests import ActionRequest
from ringback_tools.domain.results import ErrorCode, FallbackKind, Status
from ringback_tools.settings import ToolsSettings
from ringback_tools.usecases.execution import Finished

pytestmark = pytest.mark.stack

WORK = "queue_tools_for_test"
PACK = b"""name: shop
version: 1.0.0
agents: [{name: desk, role: I help., tools: [search, order, look]}]
"""
TOOL = """
  - name: %s
    version: 1.0
    description: Takes long.
    side_effect: %s
    parameters: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
    connector: {kind: function, entry_point: "queue_tools_for_test:work"}
    mode: background
    backlog_window_ms: 1000
    attempt_timeout_ms: 20000
    deadline_ms: 30000
    fallback: {kind: callback, message: We will call you back.}
    %s
"""
LIVE = """
  - name: look
    version: 1.0
    description: Takes long, and is waited for.
    side_effect: read
    parameters: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
    connector: {kind: function, entry_point: "queue_tools_for_test:work"}
    attempt_timeout_ms: 20000
    deadline_ms: 30000
"""
KEY = "idempotency: {kind: key, header: key}"


class Work:
    """What the tools' function does: says that it began, and waits to be let go."""

    def __init__(self):
        self.begun, self.go, self.done, self.stopped = asyncio.Event(), asyncio.Event(), [], 0

    async def run(self, n):
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        self.done.append(n)
        return {}


class Replica:
    """One replica of the service over the bus, without its gRPC server."""

    def __init__(self, bus, tools):
        self.bus, self.executor, self.service, self.queue = (
            bus,
            tools.service.executor,
            tools.service,
            tools.queue,
        )
        self._telling = asyncio.create_task(tools.service.reconciler.run())
        self._siblings = tools.siblings

    async def listen(self):
        await self._siblings.follow(self.executor.heard)

    async def consume(self):
        return await self.queue.consume(self.executor.run_job)

    async def ask(self, request):
        async for event in self.executor.execute(request):
            if isinstance(event, Finished):
                return event.result
        raise AssertionError("no result")

    async def close(self):
        self._telling.cancel()
        await self.executor.close(drain_ms=10)
        await self.bus.close()


class World:
    """A real NATS server with the pack, the facts that were told, and replicas."""

    def __init__(self, nats, folder, topology):
        self._nats, self._folder, self._topology = nats, folder, topology
        MacKeys.generate(folder / "mac.json")
        self.keys = MacKeys.load(folder / "mac.json")
        self.work = Work()
        self.facts = asyncio.Queue()
        self.replicas = []
        self.digest = ""

    async def replica(self, name="tools-1"):
        bus = NatsBus(self._nats.url, name=name, topology=self._topology)
        await bus.open(wait_ms=10_000)
        await bus.ensure(self._topology, "tools")
        env = {
            "RINGBACK_MAC_KEYS_FILE": str(self._folder / "mac.json"),
            "RINGBACK_TOOL_MODULES": WORK,
            "RINGBACK_INSTANCE": name,
            "RINGBACK_STATE_DIR": str(self._folder / name),
        }
        if not self.digest:
            await bus.ensure(self._topology, "cli")
            tools = "tools:" + TOOL % ("search", "read", "") + TOOL % ("order", "write", KEY) + LIVE
            pack = load_files({"pack.yaml": PACK, "tools.yaml": tools.encode()})
            self.digest = await publish_pack(bus, pack)
            await bus.ephemeral(ALL_FACTS, self._told, start="all")
        self.replicas.append(Replica(bus, build(bus, self.keys, settings=ToolsSettings.from_env(env))))
        await self.replicas[-1].listen()
        return self.replicas[-1]

    async def _told(self, delivery):
        fact = events_pb2.LateFact.FromString(delivery.payload)
        await self.facts.put((fact.job_finished.action_id, fact.job_finished.error_code))

    async def fact(self):
        return await asyncio.wait_for(self.facts.get(), 30)

    def request(self, tool, *, n=1):
        arguments = canonical_json({"n": n})
        named = {"tenant": "local", "session_id": "sess_1", "tool": tool, "tool_version": "1.0"}
        effect = action_id(
            session_id="sess_1", tool=tool, major_version=1, arguments_digest=digest(arguments), ordinal=1
        )
        proof = self.keys.sign(
            **named,
            action_id=effect,
            arguments_digest=digest(arguments),
            decision_id="dec_1",
            consent_id="",
            expires_at_ms=2_000_000_000_000,
        )
        return ActionRequest(
            **named,
            epoch=1,
            action_id=effect,
            pack_digest=self.digest,
            arguments_json=arguments,
            proof=proof,
        )

    async def record(self, request):
        return await self.replicas[0].executor.outcome(*request.key)


@pytest.fixture
def open_world(tmp_path, monkeypatch):
    @asynccontextmanager
    async def opened(topology=None):
        with NatsServer.start(tmp_path / "nats") as nats:
            world = World(nats, tmp_path, topology or load_topology())

            async def work(*, n):
                return await world.work.run(n)

            module = types.ModuleType(WORK)
            work.__module__ = WORK
            module.work = work
            monkeypatch.setitem(sys.modules, WORK, module)
            try:
                yield world
            finally:
                for replica in world.replicas:
                    await replica.close()

    return opened


@pytest.mark.parametrize("tool", ["search", "order"])
async def test_work_that_is_cancelled_before_a_replica_takes_it_never_runs(open_world, tool):
    async with open_world() as world:
        one, two = await world.replica("tools-1"), await world.replica("tools-2")
        cancelled, kept = world.request(tool, n=1), world.request(tool, n=2)
        for request in (cancelled, kept):
            assert (await one.ask(request)).detail == "accepted"
        # Any replica may be asked.
        assert await two.executor.cancel(cancelled.key, epoch=1)
        assert not await two.executor.cancel(cancelled.key, epoch=1)
        assert await world.fact() == (cancelled.action_id, "cancelled")
        world.work.go.set()
        await one.consume()
        assert await world.fact() == (kept.action_id, "")
        assert world.work.done == [2]
        assert (await one.queue.waiting()).count == 0
        assert (await two.ask(cancelled)).error_code is ErrorCode.CANCELLED


@pytest.mark.parametrize("asked", ["the replica that runs it", "another one"])
async def test_a_read_is_stopped_while_it_runs_and_does_not_come_again(open_world, asked):
    async with open_world() as world:
        one, two = await world.replica("tools-1"), await world.replica("tools-2")
        request = world.request("search")
        await one.ask(request)
        await one.consume()
        await asyncio.wait_for(world.work.begun.wait(), 20)
        replica = one if asked == "the replica that runs it" else two
        assert await replica.executor.cancel(request.key, epoch=1)
        assert await world.fact() == (request.action_id, "cancelled")
        world.work.go.set()
        other = world.request("search", n=2)
        await one.ask(other)
        assert await world.fact() == (other.action_id, "")
        record = await world.record(request)
        assert (record.state, record.result.error_code) == (ActionState.FINISHED, ErrorCode.CANCELLED)
        assert world.work.done == [2]
        assert world.work.stopped == 1


async def test_a_live_read_is_stopped_by_whichever_replica_is_asked(open_world):
    async with open_world() as world:
        one, two = await world.replica("tools-1"), await world.replica("tools-2")
        request = world.request("look")
        reading = asyncio.create_task(one.ask(request))
        await asyncio.wait_for(world.work.begun.wait(), 25)
        # A note may be lost, and then the answer is no; asked again it gets there.
        async with asyncio.timeout(25):
            while not await two.executor.cancel(request.key, epoch=1):
                pass
        assert (await reading).error_code is ErrorCode.CANCELLED
        assert world.work.stopped == 1


async def test_a_write_past_its_point_of_no_return_finishes_and_reports(open_world):
    async with open_world() as world:
        one, two = await world.replica("tools-1"), await world.replica("tools-2")
        request = world.request("order")
        await one.ask(request)
        await one.consume()
        await asyncio.wait_for(world.work.begun.wait(), 20)
        for replica in (one, two):
            assert not await replica.executor.cancel(request.key, epoch=1)
        world.work.go.set()
        assert await world.fact() == (request.action_id, "")
        assert (await world.record(request)).result.status is Status.OK
        assert world.work.done == [1]


async def test_waiting_work_is_measured_and_when_it_is_late_no_more_is_taken_on(open_world):
    reader = InMemoryMetricReader()
    telemetry = setup("test", extra_reader=reader)
    async with open_world() as world:
        replica, alerts = await world.replica(), asyncio.Queue()

        async def seen(delivery):
            kind = delivery.subject.rpartition(".")[2]
            if kind.startswith("alert"):
                await alerts.put(kind)

        await replica.bus.ephemeral(ALL_CONTROL, seen, start="all")
        consumer = await replica.consume()
        await consumer.close()
        for n in (1, 2):
            assert (await replica.ask(world.request("search", n=n))).detail == "accepted"
        watching = asyncio.create_task(replica.service.jobs.watch())
        try:
            assert await asyncio.wait_for(alerts.get(), 30) == "alert_raised"
            assert replica.service.jobs.waiting.count == 2
            assert replica.service.jobs.waiting.oldest_ms > 1_000
            assert gauges(reader)["ringback.jobs.waiting"] == 2
            assert gauges(reader)["ringback.jobs.oldest"] > 1_000
            refused = await replica.ask(world.request("search", n=3))
            assert (refused.error_code, refused.fallback.kind) == (
                ErrorCode.OVERLOADED,
                FallbackKind.CALLBACK,
            )
            world.work.go.set()
            await replica.consume()
            assert await asyncio.wait_for(alerts.get(), 30) == "alert_cleared"
            assert (await replica.ask(world.request("search", n=3))).detail == "accepted"
            assert sorted([await world.fact() for _ in range(3)])[0][1] == ""
            assert sorted(world.work.done) == [1, 2, 3]
        finally:
            watching.cancel()
            telemetry.shutdown()


def gauges(reader):
    """The last value of every metric."""
    found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: metric.data.data_points[0].value for metric in found if metric.data.data_points}


async def test_a_full_queue_refuses_what_comes_on_top_with_the_fallback(open_world):
    topology = load_topology()
    streams = (replace(each, messages_max=2) if each.name == "JOBS" else each for each in topology.streams)
    async with open_world(replace(topology, streams=tuple(streams))) as world:
        replica = await world.replica()
        for n in (1, 2):
            assert (await replica.ask(world.request("order", n=n))).detail == "accepted"
        refused = await replica.ask(world.request("order", n=3))
        assert (refused.error_code, refused.retryable, refused.fallback.kind) == (
            ErrorCode.OVERLOADED,
            True,
            FallbackKind.CALLBACK,
        )
        world.work.go.set()
        await replica.consume()
        assert {(await world.fact())[1] for _ in range(2)} == {""}
        assert (await replica.ask(world.request("order", n=3))).detail == "accepted"
        await world.fact()
        assert sorted(world.work.done) == [1, 2, 3]
