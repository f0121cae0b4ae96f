"""The assembled service over the bus's in-memory twin: facts in, answers out."""

import asyncio
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ringback.events.v1 import events_pb2 as ev_pb
from ringback.memory.v1 import memory_pb2 as pb
from ringback_errors import InvalidInput, NotFound
from ringback_events import MemoryBus, event_subject, fact_subject
from ringback_memory.bootstrap import build
from ringback_memory.ports import SessionKey
from ringback_memory.settings import MemorySettings
from ringback_packs import load_pack, publish_pack
from ringback_telemetry import setup, span
from ringback_telemetry.names import Span


class Caller:
    """Publishes facts as a session does and asks as a session does."""

    def __init__(self, bus, memory):
        self.bus = bus
        self.memory = memory
        self.seq = 0

    def publish(self, kind, **fields):
        self.seq += 1
        event = ev_pb.SessionEvent(
            schema_version=1, tenant="local", session_id="sess_1", epoch=1, seq=self.seq
        )
        event.occurred_at.GetCurrentTime()
        getattr(event, kind).SetInParent()
        for name, value in fields.items():
            setattr(getattr(event, kind), name, value)
        subject = event_subject("local", "sess_1", kind)
        self.bus.publish(subject, event.SerializeToString(), msg_id=f"sess_1:1:{self.seq}")
        return self.seq

    async def context(self, *, seq=None, budget_tokens=500):
        request = pb.GetContextRequest(
            tenant="local",
            session_id="sess_1",
            budget_tokens=budget_tokens,
            min_epoch=1,
            min_seq=seq or self.seq,
        )
        return await self.memory.service.GetContext(request, None)


@pytest.fixture
async def caller():
    bus = MemoryBus()
    memory = build(bus, settings=MemorySettings())
    await memory.start()
    yield Caller(bus, memory)
    await memory.feed.close()
    await bus.close()


async def test_what_was_published_is_in_the_next_context(caller):
    caller.publish("session_started", pack="airline")
    caller.publish("user_turn_ended", item_id="item_1", text="I want to cancel 482915.")
    caller.publish(
        "action_requested",
        action_id="act_1",
        tool="cancel_reservation",
        arguments_json='{"reservation_id":"482915"}',
    )
    answer = await caller.context()
    assert (answer.as_of_epoch, answer.as_of_seq) == (1, 3)
    assert answer.pending_actions[0].status == "requested"
    assert answer.slots[0].name == "reservation_id"
    assert 'Caller: "I want to cancel 482915."' in answer.text
    assert 0 < answer.tokens <= 500
    assert answer.unverified_ms == 0
    assert not answer.HasField("plan")


async def test_a_spoken_id_is_read_by_the_schemas_of_the_sessions_own_pack(caller):
    folder = Path(__file__).parents[3] / "packs" / "airline"
    digest = await publish_pack(caller.bus, load_pack(folder))
    caller.publish("session_started", pack="airline", pack_digest=digest)
    caller.publish("user_turn_ended", item_id="item_1", text="It's four eight two, nine one five.")
    slot = (await caller.context()).slots[0]
    assert (slot.name, slot.value_json, slot.source) == ("reservation_id", '"482915"', "caller")


async def test_a_pack_that_was_never_published_stops_no_fold(caller):
    caller.publish("session_started", pack="airline", pack_digest="sha256:" + "0" * 64)
    caller.publish("user_turn_ended", item_id="item_1", text="It's four eight two, nine one five.")
    assert (await caller.context()).as_of_seq == 2


async def test_a_fold_belongs_to_the_trace_of_the_turn_that_published_it(caller):
    exporter = InMemorySpanExporter()
    telemetry = setup("memory", extra_processor=SimpleSpanProcessor(exporter))
    with span(Span.TURN) as turn:
        caller.publish("session_started", pack="airline")
    await caller.context()
    await caller.memory.feed.close()
    spans = {one.name: one for one in exporter.get_finished_spans()}
    fold, process, publish = spans["memory.fold"], spans["nats.process"], spans["nats.publish"]
    assert fold.parent.span_id == process.context.span_id
    assert process.parent.span_id == publish.context.span_id
    assert {s.context.trace_id for s in (fold, process, publish)} == {turn.get_span_context().trace_id}
    assert fold.attributes["ringback.session_id"] == "sess_1"
    telemetry.shutdown()


async def test_garbage_on_the_bus_is_passed_over(caller):
    caller.bus.publish(event_subject("local", "sess_1", "user_turn_ended"), b"\xff\xff", msg_id="x")
    caller.publish("session_started", pack="airline")
    assert (await caller.context()).as_of_seq == 1
    assert caller.bus.stats.parked == 0


async def test_a_late_fact_settles_an_unknown_outcome(caller):
    caller.publish("action_requested", action_id="act_1", tool="t", arguments_json="{}")
    caller.publish("action_finished", action_id="act_1", tool="t", status=ev_pb.ACTION_STATUS_UNKNOWN)
    assert (await caller.context()).pending_actions[0].status == "unknown"
    late = ev_pb.LateFact(
        schema_version=1, producer="tools", producer_seq=1, tenant="local", session_id="sess_1"
    )
    late.action_reconciled.action_id = "act_1"
    late.action_reconciled.status = ev_pb.ACTION_STATUS_OK
    subject = fact_subject("tools", "local", "sess_1")
    caller.bus.publish(subject, late.SerializeToString(), msg_id="late")
    key = SessionKey("local", "sess_1")
    async with asyncio.timeout(5):
        with caller.memory.sessions.changes(key) as changed:
            while (await caller.memory.sessions.view(key)).state.actions["act_1"].status != "ok":
                await changed(20)
    packet = (await caller.memory.service.GetHandoffPacket(_packet(), None)).packet
    assert packet.actions[0].status == "ok"


async def test_a_packet_carries_its_reason_and_place(caller):
    caller.publish("session_started", pack="airline", caller_id="caller-7")
    await caller.context()
    packet = (await caller.memory.service.GetHandoffPacket(_packet(), None)).packet
    assert (packet.reason, packet.caller_id, packet.as_of_seq) == ("a person, please", "caller-7", 1)


@pytest.mark.parametrize(
    "change", [{"tenant": ""}, {"session_id": ""}, {"session_id": "a.b"}, {"tenant": "*"}]
)
async def test_a_request_without_a_proper_session_is_refused_by_name(caller, change):
    fields = {"tenant": "local", "session_id": "sess_1", "budget_tokens": 10, **change}
    with pytest.raises(InvalidInput) as refused:
        await caller.memory.service.GetContext(pb.GetContextRequest(**fields), None)
    assert refused.value.field == next(iter(change))


async def test_another_tenants_session_is_not_found(caller):
    caller.publish("session_started", pack="airline")
    await caller.context()
    request = pb.GetContextRequest(tenant="other", session_id="sess_1", budget_tokens=10)
    with pytest.raises(NotFound):
        await caller.memory.service.GetContext(request, None)


async def test_a_state_that_was_lost_is_folded_again_from_the_stream(caller):
    caller.publish("session_started", pack="airline")
    caller.publish("task_opened", task_id="task_1", title="Call back")
    before = await caller.context()
    bucket = caller.bus.bucket("memory")
    entry = await bucket.get("local.sess_1")
    await bucket.put("local.sess_1", b"broken")
    fresh = build(caller.bus, settings=MemorySettings())
    again = await Caller(caller.bus, fresh).context(seq=2)
    assert again == before
    assert (await bucket.get("local.sess_1")).value == entry.value


def _packet():
    return pb.GetHandoffPacketRequest(tenant="local", session_id="sess_1", reason="a person, please")
