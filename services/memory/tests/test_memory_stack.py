"""Memory as a process on a real NATS server: killed, replayed, cut off."""

import asyncio
import os
import signal
import subprocess
import sys

import grpc
import pytest
from ringback.events.v1 import events_pb2 as ev_pb
from ringback.memory.v1 import memory_pb2 as pb
from ringback.memory.v1 import memory_pb2_grpc
from ringback_events import connect, event_subject, load_topology
from ringback_testkit import NatsServer

pytestmark = pytest.mark.stack
TURNS = 60


class Replica:
    """One memory process; `kill` is kill -9."""

    def __init__(self, nats, folder, *, name):
        folder.mkdir()
        self._ready = folder / "ready"
        environment = {
            **os.environ,
            "RINGBACK_NATS_URL": nats.url,
            "RINGBACK_READY_FILE": str(self._ready),
            "RINGBACK_INSTANCE": name,
            "RINGBACK_STATE_DIR": str(folder),
            "RINGBACK_LOG_LEVEL": "error",
        }
        self._process = subprocess.Popen([sys.executable, "-m", "ringback_memory"], env=environment)

    async def stub(self):
        async with asyncio.timeout(30):
            while not self._ready.exists():
                assert self._process.poll() is None, "memory ended before it was ready"
                await asyncio.to_thread(self._wait_a_little)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{int(self._ready.read_text())}")
        return channel, memory_pb2_grpc.MemoryServiceStub(channel)

    def _wait_a_little(self):
        try:
            self._process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            return

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=10)

    def stop(self):
        self._process.terminate()
        return self._process.wait(timeout=20)


@pytest.fixture
def nats(tmp_path):
    with NatsServer.start(tmp_path) as server:
        yield server


@pytest.fixture
def start(nats, tmp_path):
    replicas = []

    def begin(name):
        replicas.append(Replica(nats, tmp_path / name, name=name))
        return replicas[-1]

    yield begin
    for replica in replicas:
        replica.kill()


@pytest.fixture
async def bus(nats):
    bus = await connect(nats.url, name="test")
    await bus.ensure(load_topology(), "session")
    yield bus
    await bus.close()


def _facts(session_id):
    facts = [("session_started", {"pack": "airline", "caller_id": "caller-1"})]
    for n in range(TURNS):
        facts.append(("user_turn_ended", {"item_id": f"c{n}", "text": f"I want flight {n}, please."}))
        facts.append(
            ("action_requested", {"action_id": f"act_{n}", "tool": "t", "arguments_json": f'{{"n":{n}}}'})
        )
        facts.append(
            ("action_finished", {"action_id": f"act_{n}", "tool": "t", "status": ev_pb.ACTION_STATUS_OK})
        )
    for seq, (kind, fields) in enumerate(facts, start=1):
        event = ev_pb.SessionEvent(schema_version=1, tenant="local", session_id=session_id, epoch=1, seq=seq)
        event.occurred_at.FromMilliseconds(1_700_000_000_000 + seq)
        for name, value in fields.items():
            setattr(getattr(event, kind), name, value)
        yield event_subject("local", session_id, kind), event.SerializeToString(), f"{session_id}:1:{seq}"


async def _publish(bus, session_id):
    seq = 0
    for subject, payload, msg_id in _facts(session_id):
        bus.publish(subject, payload, msg_id=msg_id)
        seq += 1
    await bus.flush(10_000)
    return seq


async def _context(stub, session_id, seq, *, timeout_s=20):
    request = pb.GetContextRequest(
        tenant="local", session_id=session_id, budget_tokens=1_000, min_epoch=1, min_seq=seq
    )
    return await stub.GetContext(request, timeout=timeout_s)


async def _refusal(stub, session_id, seq):
    """The code that it is refused with, in time; where the machine is too slow for that, with more time."""
    for timeout_s in (2, 8, 32):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _context(stub, session_id, seq, timeout_s=timeout_s)
        if refused.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            break
    return refused.value.code()


async def test_two_replicas_one_killed_in_the_midst_keep_every_fact_once(start, bus):
    first, second = start("one"), start("two")
    await first.stub()
    channel, stub = await second.stub()
    publishing = asyncio.create_task(_publish(bus, "sess_1"))
    await bus.flush(10_000)
    first.kill()
    seq = await publishing
    # What the killed one held is offered again after the acknowledgement wait.
    answer = await _context(stub, "sess_1", seq, timeout_s=90)
    undisturbed = await _publish(bus, "sess_2")
    expected = await _context(stub, "sess_2", undisturbed)
    assert answer.text == expected.text
    assert (answer.as_of_seq, len(answer.slots)) == (seq, len(expected.slots))
    await channel.close()


async def test_a_replica_that_starts_with_an_empty_bucket_folds_the_stream_to_the_same_state(start, bus):
    replica = start("one")
    channel, stub = await replica.stub()
    seq = await _publish(bus, "sess_1")
    before = await _context(stub, "sess_1", seq)
    await channel.close()
    assert replica.stop() == 0
    bucket = bus.bucket("memory")
    stored = await bucket.get("local.sess_1")
    await bucket.put("local.sess_1", b"lost")
    channel, stub = await start("two").stub()
    after = await _context(stub, "sess_1", seq)
    assert (after.text, after.as_of_seq) == (before.text, seq)
    assert (await bucket.get("local.sess_1")).value == stored.value
    await channel.close()


async def test_with_nats_away_it_answers_with_what_it_has_and_goes_on_after(start, bus, nats):
    channel, stub = await start("one").stub()
    seq = await _publish(bus, "sess_1")
    assert (await _context(stub, "sess_1", seq)).unverified_ms == 0
    nats.kill()
    request = pb.GetContextRequest(tenant="local", session_id="sess_1", budget_tokens=1_000)
    answer = await stub.GetContext(request, timeout=10)
    assert answer.unverified_ms > 0
    assert answer.as_of_seq == seq
    nats.restart()
    await _publish(bus, "sess_2")
    assert (await _context(stub, "sess_2", seq, timeout_s=60)).as_of_seq == seq
    await channel.close()


async def test_behind_and_unknown_are_told_apart(start, bus):
    channel, stub = await start("one").stub()
    seq = await _publish(bus, "sess_1")
    await _context(stub, "sess_1", seq)
    assert await _refusal(stub, "sess_1", seq + 1) is grpc.StatusCode.FAILED_PRECONDITION
    assert await _refusal(stub, "sess_none", 1) is grpc.StatusCode.NOT_FOUND
    await channel.close()
