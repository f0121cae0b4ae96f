"""The real process on a real NATS server, killed with -9 at each state; the ledger is another process's truth."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_events import connect, load_topology
from ringback_identity import MacKeys, action_id, canonical_json, digest
from ringback_packs import publish_pack
from ringback_packs.loading import load_files
from ringback_testkit import NatsServer, ServiceProcess

pytestmark = pytest.mark.stack

BACKEND = Path(__file__).parents[3] / "packs" / "airline" / "backend" / "reservations.py"
SESSION = "sess_crash"
ARGUMENTS = canonical_json({"reservation_id": "482915"})
SETTLE_MS = 500


class Backend:
    """The reservation system as a process."""

    def __init__(self, folder, *, keys):
        ready = folder / "backend.ready"
        command = [
            sys.executable,
            str(BACKEND),
            "--ledger",
            str(folder / "ledger.db"),
            "--ready-file",
            str(ready),
        ]
        self._process = subprocess.Popen([*command, "--idempotency-keys", "on" if keys else "off"])
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert time.monotonic() < deadline, "the reservation system did not start"
            assert self._process.poll() is None, "the reservation system ended"
            self._look_again()
        self.url = f"http://127.0.0.1:{ready.read_text().strip()}"

    def fault(self, **fault):
        self._send("POST", "/faults", fault)

    def effects(self):
        return self._send("GET", "/ledger")["entries"]

    def close(self):
        self._process.terminate()
        self._process.wait(10)

    def _send(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def _look_again(self):
        try:
            self._process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            return


class Stack:
    """NATS, the reservation system, the pack, and tools as often as asked for."""

    def __init__(self, folder, nats, backend, keys, digest_):
        self.folder, self.nats, self.backend, self.keys, self.digest = folder, nats, backend, keys, digest_
        self.running = []

    def tools(self, name="tools-1", *, pause_at="", **more):
        env = {
            "RINGBACK_NATS_URL": self.nats.url,
            "RINGBACK_INSTANCE": name,
            "RINGBACK_MAC_KEYS_FILE": str(self.folder / "mac.json"),
            "RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS": self.backend.url,
            "RINGBACK_SETTLE_MS": str(SETTLE_MS),
            "RINGBACK_TEST_PAUSE_AT": pause_at,
            "RINGBACK_LOG_LEVEL": "warning",
            **more,
        }
        folder = self.folder / f"{name}-{len(self.running)}"
        process = ServiceProcess.start("ringback_tools", env, folder=folder, name=name)
        self.running.append(process)
        return process

    def request(self, *, epoch=1, expires_in_ms=60_000, **changes):
        effect = action_id(
            session_id=SESSION,
            tool="cancel_reservation",
            major_version=1,
            arguments_digest=digest(ARGUMENTS),
            ordinal=1,
        )
        signed = self.keys.sign(
            tenant="local",
            session_id=SESSION,
            action_id=effect,
            tool="cancel_reservation",
            tool_version="1.0",
            arguments_digest=digest(ARGUMENTS),
            decision_id="dec_1",
            consent_id="con_1",
            expires_at_ms=time.time_ns() // 1_000_000 + expires_in_ms,
        )
        proof = policy_pb2.DecisionProof(
            key_id=signed.key_id,
            mac=signed.mac,
            decision_id=signed.decision_id,
            consent_id=signed.consent_id,
            expires_at_ms=signed.expires_at_ms,
        )
        fields = {
            "tenant": "local",
            "session_id": SESSION,
            "epoch": epoch,
            "action_id": effect,
            "pack_digest": self.digest,
            "tool": "cancel_reservation",
            "tool_version": "1.0",
            "arguments_json": ARGUMENTS,
            "proof": proof,
        }
        return tools_pb2.ExecuteRequest(**{**fields, **changes})

    async def execute(self, process, request):
        """The result that the stream ends with."""
        async with grpc.aio.insecure_channel(process.address) as channel:
            stub = tools_pb2_grpc.ToolsServiceStub(channel)
            last = None
            async for event in stub.Execute(request, timeout=30, wait_for_ready=True):
                last = event
            assert last is not None
            assert last.WhichOneof("event") == "result"
            return last.result

    async def outcome(self, process):
        request = self.request()
        asked = tools_pb2.GetOutcomeRequest(tenant="local", session_id=SESSION, action_id=request.action_id)
        async with grpc.aio.insecure_channel(process.address) as channel:
            return await tools_pb2_grpc.ToolsServiceStub(channel).GetOutcome(asked, timeout=10)

    async def kill_at(self, process, state):
        """Start the action and kill the process with -9 when it reaches the state."""
        mark = process._folder / "state" / f"paused.{state}"
        watching = asyncio.create_task(self.execute(process, self.request()))
        async with asyncio.timeout(20):
            while not mark.exists():
                await asyncio.wait([watching], timeout=0.01)
                assert not watching.done(), f"it never reached {state}: {watching}"
        process.kill9()
        with pytest.raises(grpc.aio.AioRpcError):
            await watching


@asynccontextmanager
async def stack(folder, files, *, keys):
    with NatsServer.start(folder) as nats:
        MacKeys.generate(folder / "mac.json")
        backend = Backend(folder, keys=keys)
        bus = await connect(nats.url, name="test")
        built = None
        try:
            await bus.ensure(load_topology(), "cli")
            published = await publish_pack(bus, load_files(files, label="airline"))
            built = Stack(folder, nats, backend, MacKeys.load(folder / "mac.json"), published)
            built.bus = bus
            yield built
        finally:
            for process in built.running if built else ():
                process.kill9()
            await bus.close()
            backend.close()


@pytest.mark.parametrize("state", ["admitted", "attempting", "answered", "finished"])
async def test_kill_9_at_each_state_with_backend_keys_ends_with_one_effect(tmp_path, kit, state):
    async with stack(tmp_path, kit.airline_files(), keys=True) as world:
        await world.kill_at(world.tools(pause_at=state), state)
        process = world.tools()
        result = await world.execute(process, world.request(epoch=2))
        assert result.status == tools_pb2.STATUS_OK
        assert len(world.backend.effects()) == 1
        outcome = await world.outcome(process)
        assert outcome.state == tools_pb2.ACTION_STATE_FINISHED
        assert outcome.result.status == tools_pb2.STATUS_OK


@pytest.mark.parametrize(
    ("state", "effects"), [("admitted", 1), ("attempting", 0), ("answered", 1), ("finished", 1)]
)
async def test_kill_9_at_each_state_without_backend_keys_ends_as_the_check_finds_it(
    tmp_path, kit, state, effects
):
    async with stack(tmp_path, kit.airline_files(keys=False), keys=False) as world:
        await world.kill_at(world.tools(pause_at=state), state)
        process = world.tools("tools-2")
        result = await world.execute(process, world.request(epoch=2))
        assert result.status == (tools_pb2.STATUS_OK if effects else tools_pb2.STATUS_ERROR)
        assert len(world.backend.effects()) == effects
        assert (await world.outcome(process)).result.status == result.status
        again = await world.execute(process, world.request(epoch=2))
        assert again.status == result.status
        assert len(world.backend.effects()) == effects


async def test_an_answer_lost_for_long_is_reconciled_and_told_as_a_fact(tmp_path, kit):
    async with stack(tmp_path, kit.airline_files(keys=False), keys=False) as world:
        world.backend.fault(scope="482915", method="POST", apply_then_drop=True, fail_count=1)
        world.backend.fault(scope="482915", method="GET", fail_status=503)
        process = world.tools()
        facts = asyncio.Queue()

        async def seen(delivery):
            facts.put_nowait(events_pb2.LateFact.FromString(delivery.payload))

        await world.bus.ensure(load_topology(), "session")
        await world.bus.ephemeral(f"ringback.facts.tools.local.{SESSION}", seen)
        told = await world.execute(process, world.request())
        assert told.status == tools_pb2.STATUS_UNKNOWN_OUTCOME
        world.backend.fault(scope="482915", clear=True)
        async with asyncio.timeout(20):
            fact = await facts.get()
        assert fact.action_reconciled.status == events_pb2.ACTION_STATUS_OK
        assert fact.action_reconciled.action_id == world.request().action_id
        assert fact.producer == "tools"
        assert fact.producer_seq > 0
        again = await world.execute(process, world.request())
        assert again.already_done
        assert len(world.backend.effects()) == 1


async def test_without_nats_no_write_starts_and_reads_go_on(tmp_path, kit):
    async with stack(tmp_path, kit.airline_files(), keys=True) as world:
        process = world.tools()
        read = world.request(tool="get_reservation", action_id="act_read_1", attach_only=False)
        assert (await world.execute(process, read)).status == tools_pb2.STATUS_OK
        world.nats.kill()
        result = await world.execute(process, world.request())
        assert result.status == tools_pb2.STATUS_ERROR
        assert result.error_code == tools_pb2.ERROR_CODE_TOOL_UNAVAILABLE
        assert (await world.execute(process, read)).status == tools_pb2.STATUS_OK
        assert world.backend.effects() == []
        world.nats.restart()
        deadline = time.monotonic() + 20
        while result.status != tools_pb2.STATUS_OK and time.monotonic() < deadline:
            result = await world.execute(process, world.request())
        assert result.status == tools_pb2.STATUS_OK
        assert len(world.backend.effects()) == 1


async def test_two_replicas_and_two_epochs_share_one_action_and_one_fence(tmp_path, kit):
    async with stack(tmp_path, kit.airline_files(), keys=True) as world:
        one, two = world.tools("tools-1"), world.tools("tools-2")
        world.backend.fault(scope="482915", method="POST", latency_ms=400, fail_count=1)
        results = await asyncio.gather(
            world.execute(one, world.request(epoch=1)),
            world.execute(two, world.request(epoch=1)),
            world.execute(one, world.request(epoch=1)),
        )
        assert {result.status for result in results} == {tools_pb2.STATUS_OK}
        assert len(world.backend.effects()) == 1
        newer = await world.execute(two, world.request(epoch=2, attach_only=True))
        older = await world.execute(one, world.request(epoch=1))
        assert newer.already_done
        assert older.error_code == tools_pb2.ERROR_CODE_FENCED


async def test_sigterm_lets_a_running_write_finish(tmp_path, kit):
    async with stack(tmp_path, kit.airline_files(), keys=True) as world:
        process = world.tools()
        world.backend.fault(scope="482915", method="POST", latency_ms=1_000, fail_count=1)
        work = asyncio.create_task(world.execute(process, world.request()))
        async with asyncio.timeout(10):
            while (await world.outcome(process)).state != tools_pb2.ACTION_STATE_ATTEMPTING:
                assert not work.done()
        ended = asyncio.create_task(asyncio.to_thread(process.terminate))
        assert (await work).status == tools_pb2.STATUS_OK
        assert await ended == 0


def in_background(files):
    text = files["tools.yaml"].decode()
    line = "    side_effect: irreversible\n"
    assert line in text
    return {**files, "tools.yaml": text.replace(line, f"{line}    mode: background\n").encode()}


@pytest.mark.parametrize("state", ["", "attempting", "answered"])
async def test_background_work_is_done_once_and_told_as_a_fact_also_after_kill_9(tmp_path, kit, state):
    async with stack(tmp_path, in_background(kit.airline_files()), keys=True) as world:
        facts = asyncio.Queue()

        async def seen(delivery):
            facts.put_nowait(events_pb2.LateFact.FromString(delivery.payload))

        await world.bus.ensure(load_topology(), "session")
        await world.bus.ephemeral(f"ringback.facts.tools.local.{SESSION}", seen)
        first = world.tools(pause_at=state or "none")
        told = await world.execute(first, world.request())
        assert (told.status, told.detail) == (tools_pb2.STATUS_UNKNOWN_OUTCOME, "accepted")
        if state:
            mark = first._folder / "state" / f"paused.{state}"
            async with asyncio.timeout(20):
                while not mark.exists():
                    await asyncio.wait([asyncio.create_task(world.outcome(first))])
            first.kill9()
            # The session's next owner asks what became of it.
            second = world.tools("tools-2")
            again = await world.execute(second, world.request(epoch=2))
            assert again.status in (tools_pb2.STATUS_UNKNOWN_OUTCOME, tools_pb2.STATUS_OK)
        async with asyncio.timeout(60):
            fact = await facts.get()
        assert fact.job_finished.status == events_pb2.ACTION_STATUS_OK
        assert len(world.backend.effects()) == 1


async def test_a_tool_switched_off_is_off_on_every_replica_also_one_that_starts_later(tmp_path, kit):
    async with stack(tmp_path, kit.airline_files(), keys=True) as world:
        one, two = world.tools("tools-1"), world.tools("tools-2")
        off = events_pb2.ControlFact(schema_version=1, producer="cli")
        off.tool_disabled.CopyFrom(
            events_pb2.ToolDisabled(tool="cancel_reservation", disabled=True, reason="drill", actor="ann")
        )
        await world.bus.publish_now("ringback.control.tool_disabled", off.SerializeToString(), msg_id="ctl_1")
        three = world.tools("tools-3")
        for process in (three, one, two):
            async with asyncio.timeout(10):
                while not await listed_off(world, process):
                    assert process.running
            result = await world.execute(process, world.request())
            assert result.error_code == tools_pb2.ERROR_CODE_TOOL_UNAVAILABLE
        assert world.backend.effects() == []


async def listed_off(world, process):
    asked = tools_pb2.ListToolsRequest(tenant="local", pack_digest=world.digest, agent="reservations")
    async with grpc.aio.insecure_channel(process.address) as channel:
        listed = await tools_pb2_grpc.ToolsServiceStub(channel).ListTools(asked, timeout=10)
    found = next(tool for tool in listed.tools if tool.name == "cancel_reservation")
    return not found.available and found.unavailable_reason == "switched off: drill"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"RINGBACK_MAC_KEYS_FILE": ""}, "RINGBACK_MAC_KEYS_FILE"),
        ({"RINGBACK_MAC_KEYS_FILE": "/nowhere"}, "/nowhere"),
        ({"RINGBACK_CONNECTOR_AIRLINE": "localhost"}, "RINGBACK_CONNECTOR_AIRLINE"),
        ({"RINGBACK_SETTLE_MS": "soon"}, "RINGBACK_SETTLE_MS"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(tmp_path, env, said):
    MacKeys.generate(tmp_path / "mac.json")
    given = {"RINGBACK_MAC_KEYS_FILE": str(tmp_path / "mac.json"), **env}
    process = ServiceProcess("ringback_tools", given, folder=tmp_path / "run")
    process.launch()
    assert process.wait() == 2
    assert said in process.log
    assert len(process.log.strip().splitlines()) == 1
