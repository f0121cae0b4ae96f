"""Old against new: peers that were built from the released contracts, and messages of releases still to come."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from contract_kit import AIRLINE, ARGUMENTS, SESSION_ID, WallClock, filled, pinned, tools_replica
from google.protobuf import descriptor_pb2, message_factory, symbol_database
from google.protobuf.message import Message
from ringback.events.v1 import events_pb2
from ringback.memory.v1 import memory_pb2
from ringback.policy.v1 import audit_pb2, policy_pb2, policy_pb2_grpc
from ringback.session.v1 import record_pb2, session_pb2
from ringback.tools.v1 import tools_pb2
from ringback_cli.watch.facts import control_line, event_line
from ringback_events import MemoryBus, control_subject, event_subject
from ringback_identity import digest
from ringback_memory.bootstrap import build
from ringback_memory.domain import events as memory_events
from ringback_memory.settings import MemorySettings
from ringback_memory.wire.facts import event_from_bytes, late_fact_from_bytes
from ringback_packs import load_pack, publish_pack
from ringback_policy.bootstrap import assemble
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_session import wire, wire_policy, wire_records
from ringback_session.adapters.policy_grpc import PolicyOverGrpc
from ringback_session.domain.effects import ReadConsent
from ringback_session.domain.inputs import ActionResult
from ringback_session.domain.rules import Effect, SideEffect
from ringback_tools.server import ToolsServicer, register

MODULES = (events_pb2, memory_pb2, policy_pb2, audit_pb2, session_pb2, record_pb2, tools_pb2)
TOOLS = {
    "get_reservation": policy_pb2.SIDE_EFFECT_READ,
    "cancel_reservation": policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}


def current(name: str) -> type[Message]:
    return symbol_database.Default().GetSymbol(name)


def test_every_released_message_still_exists_and_carries_every_field_both_ways(wires):
    assert MODULES
    names = []
    for old in wires.types():
        name = old.DESCRIPTOR.full_name
        sent = filled(old())
        received = current(name).FromString(sent.SerializeToString())
        back = old.FromString(received.SerializeToString())
        assert back == sent, f"{name} lost something between the releases"
        unknown = [field.name for field in old.DESCRIPTOR.fields if not hasattr(received, field.name)]
        assert not unknown, f"{name} has no {unknown} any more"
        names.append(name)
    assert len(names) > 60


def test_an_empty_old_message_is_a_valid_new_one(wires):
    for old in wires.types():
        received = current(old.DESCRIPTOR.full_name).FromString(old().SerializeToString())
        assert received.SerializeToString() == b""


# Old clients on the servers of this release.


class OldClient:
    """Speaks gRPC with the classes of the release."""

    def __init__(self, wires, port):
        self._wires = wires
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    async def call(self, package: str, service: str, method: str, request: str, answer: str, **fields: Any):
        asked = self._wires.type(f"{package}.v1.{request}")(**fields)
        calls = self._channel.unary_unary(
            f"/ringback.{package}.v1.{service}/{method}",
            request_serializer=type(asked).SerializeToString,
            response_deserializer=self._wires.type(f"{package}.v1.{answer}").FromString,
        )
        return await calls(asked, timeout=5)

    async def close(self):
        await self._channel.close()


@pytest.fixture
async def old_client(wires, loopback):
    clients = []

    async def make(register):
        clients.append(OldClient(wires, await loopback.serve(register)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def test_an_old_session_decides_with_this_policy(old_client, wires, keys):
    bus = MemoryBus()
    parts = assemble(bus, keys, instance="one")
    await parts.open()
    pack = load_pack(AIRLINE)
    request = policy_pb2.PublishBundleRequest(
        pack="airline", files=pack.bundle_files, tools=TOOLS, actor="ana"
    )
    bundle = (
        await PolicyAdminServicer(parts.publishing, parts.rolling_out).PublishBundle(request, None)
    ).bundle_digest
    client = await old_client(parts.register)
    subject = wires.type("policy.v1.ActionSubject")(
        action_id="act_1",
        tool="cancel_reservation",
        tool_version="1.0",
        arguments_json=ARGUMENTS,
        arguments_digest=digest(ARGUMENTS),
        side_effect=3,
    )
    view = wires.type("policy.v1.SessionView")(session_id=SESSION_ID, tenant="local")
    named = ("policy", "PolicyService")
    answer = await client.call(
        *named,
        "Decide",
        "DecideRequest",
        "DecideResponse",
        decision_id="dec_1",
        gate=2,
        tenant="local",
        bundle_digest=bundle,
        session=view,
        action=subject,
        now={"seconds": 1_795_000_000},
    )
    assert answer.decision_id == "dec_1"
    assert answer.needs_facts[0].tool == "get_reservation"
    asked = {"tenant": "local", "pack": "airline", "bundle_digest": bundle}
    rules = await client.call(
        *named, "GetSessionRules", "GetSessionRulesRequest", "GetSessionRulesResponse", **asked
    )
    assert rules.turn_rules.filler_after_ms == 600
    asked = {
        "tenant": "local",
        "session_id": SESSION_ID,
        "bundle_digest": bundle,
        "consent_id": "con_1",
        "read_back": "I will cancel it. Shall I?",
        "utterance": "Yes, go ahead.",
        "side_effect": 3,
    }
    read = await client.call(*named, "ReadConsent", "ReadConsentRequest", "ReadConsentResponse", **asked)
    assert read.consent_id == "con_1"
    await parts.close()


async def test_an_old_session_lists_and_asks_this_tools(old_client, keys):
    bus = MemoryBus()
    pack_digest = await publish_pack(bus, load_pack(AIRLINE))
    tools = tools_replica(bus, keys)
    servicer = ToolsServicer(executor=tools.executor, listing=tools.listing, erasing=tools.erasing)
    client = await old_client(register(servicer))
    asked = {"tenant": "local", "pack_digest": pack_digest, "agent": "reservations"}
    listed = await client.call(
        "tools", "ToolsService", "ListTools", "ListToolsRequest", "ListToolsResponse", **asked
    )
    assert [tool.name for tool in listed.tools] == ["get_reservation", "cancel_reservation"]
    asked = {"tenant": "local", "session_id": SESSION_ID, "action_id": "act_1"}
    known = await client.call(
        "tools", "ToolsService", "GetOutcome", "GetOutcomeRequest", "GetOutcomeResponse", **asked
    )
    assert known.state == tools_pb2.ACTION_STATE_UNKNOWN_ACTION
    await tools.executor.close(drain_ms=0)


async def test_an_old_session_publishes_to_and_asks_this_memory(old_client, wires):
    bus = MemoryBus()
    memory = build(bus, settings=MemorySettings())
    await memory.start()
    event = wires.type("events.v1.SessionEvent")(
        schema_version=1, tenant="local", session_id=SESSION_ID, epoch=1, seq=1
    )
    event.task_opened.title = "Call back"
    event.task_opened.task_id = "task_1"
    subject = event_subject("local", SESSION_ID, "task_opened")
    bus.publish(subject, event.SerializeToString(), msg_id="1")
    client = await old_client(memory.service.register)
    asked = {"tenant": "local", "session_id": SESSION_ID, "min_epoch": 1, "min_seq": 1}
    service = ("memory", "MemoryService")
    context = await client.call(
        *service, "GetContext", "GetContextRequest", "GetContextResponse", budget_tokens=500, **asked
    )
    assert (context.as_of_seq, context.tasks[0].title) == (1, "Call back")
    packet = await client.call(
        *service,
        "GetHandoffPacket",
        "GetHandoffPacketRequest",
        "GetHandoffPacketResponse",
        reason="why",
        **asked,
    )
    assert packet.packet.tasks[0].task_id == "task_1"
    await memory.feed.close()


# Old answers and records, read by this session.


def test_this_session_reads_the_answers_of_an_old_policy(wires):
    old = wires.type("policy.v1.DecideResponse")(decision_id="dec_1", effect=4, rule="r", layer=2, say="No.")
    decided = wire_policy.decided(policy_pb2.DecideResponse.FromString(old.SerializeToString()), 1.0)
    assert (decided.effect, decided.layer, decided.say) == (Effect.DENY, "domain", "No.")


def test_this_session_reads_an_old_record(wires):
    old = filled(wires.type("session.v1.SessionRecord")())
    message = record_pb2.SessionRecord.FromString(old.SerializeToString())
    record = wire_records.record_from(message, 7)
    assert (record.epoch, record.owner, record.revision) == (old.epoch, old.owner, 7)
    assert len(record.outbox) == len(old.outbox)


# A release still to come: bodies, fields and values that nobody here knows.


@pytest.fixture(scope="module")
def future(wires):
    """Message types of a later release, by name."""

    def change(files: descriptor_pb2.FileDescriptorSet) -> None:
        for file in files.file:
            for message in file.message_type:
                if file.package.startswith("ringback."):
                    _grow(message)
            for enum in file.enum_type:
                if file.package.startswith("ringback."):
                    enum.value.add(name=f"{enum.name.upper()}_OF_TOMORROW", number=99)

    pool = wires.changed(change)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"ringback.{name}"))


def _grow(message: descriptor_pb2.DescriptorProto) -> None:
    """A new field, and a new member of each oneof that is a union of messages."""
    text = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    message.field.add(name="of_tomorrow", number=900, type=text, label=label)
    for index, oneof in enumerate(message.oneof_decl):
        if not oneof.name.startswith("_"):
            message.field.add(
                name=f"{oneof.name}_of_tomorrow",
                number=901 + index,
                type=text,
                label=label,
                oneof_index=index,
            )


def tomorrow(future, **fields):
    event = future("events.v1.SessionEvent")(
        schema_version=2, tenant="local", session_id=SESSION_ID, epoch=1, seq=1, of_tomorrow="x", **fields
    )
    event.occurred_at.seconds = 1_700_000_000
    return event


def test_memory_keeps_its_place_at_a_body_that_it_does_not_know(future):
    payload = tomorrow(future, body_of_tomorrow="x").SerializeToString()
    event = event_from_bytes(payload, tenant="local", session_id=SESSION_ID)
    assert isinstance(event.body, memory_events.Other)
    assert (event.position.seq, event.schema_version) == (1, 2)


async def test_memory_answers_past_a_fact_of_tomorrow(future):
    bus = MemoryBus()
    memory = build(bus, settings=MemorySettings())
    await memory.start()
    subject = event_subject("local", SESSION_ID, "of_tomorrow")
    bus.publish(subject, tomorrow(future, body_of_tomorrow="x").SerializeToString(), msg_id="1")
    known = events_pb2.SessionEvent(schema_version=1, tenant="local", session_id=SESSION_ID, epoch=1, seq=2)
    known.task_opened.title = "Call back"
    known.task_opened.task_id = "task_1"
    subject = event_subject("local", SESSION_ID, "task_opened")
    bus.publish(subject, known.SerializeToString(), msg_id="2")
    request = memory_pb2.GetContextRequest(
        tenant="local", session_id=SESSION_ID, budget_tokens=500, min_epoch=1, min_seq=2
    )
    answer = await memory.service.GetContext(request, None)
    assert (answer.as_of_seq, answer.tasks[0].title) == (2, "Call back")
    await memory.feed.close()


def test_values_of_tomorrow_are_taken_for_not_known(future):
    event = tomorrow(future)
    event.action_finished.action_id = "act_1"
    event.action_finished.status = 99
    event.action_finished.side_effect = 99
    body = event_from_bytes(event.SerializeToString(), tenant="local", session_id=SESSION_ID).body
    assert body.action_id == "act_1"
    assert body.status not in ("ok", "failed", "not_started"), "nothing is claimed about the effect"


def test_a_late_fact_of_tomorrow_is_passed_over(future):
    late = future("events.v1.LateFact")(
        producer="tools", producer_seq=1, tenant="local", session_id=SESSION_ID, body_of_tomorrow="x"
    )
    found = late_fact_from_bytes(
        late.SerializeToString(), service="tools", tenant="local", session_id=SESSION_ID
    )
    assert found.producer_seq == 1


def test_an_outbox_keeps_a_fact_of_tomorrow_readable(future):
    message = events_pb2.SessionEvent.FromString(tomorrow(future, body_of_tomorrow="x").SerializeToString())
    fact = wire.publish_of(message)
    assert (fact.kind, fact.seq, fact.epoch) == ("", 1, 1)


def test_the_command_line_shows_facts_of_tomorrow(future):
    message = events_pb2.SessionEvent.FromString(tomorrow(future, body_of_tomorrow="x").SerializeToString())
    assert event_line(message).who == "unknown"
    fact = future("events.v1.ControlFact")(producer="tools", body_of_tomorrow="x")
    assert control_line(events_pb2.ControlFact.FromString(fact.SerializeToString())).who == "unknown"
    event = tomorrow(future)
    event.agent_turn_ended.kind = 99
    event.agent_turn_ended.said = "Hello"
    assert "Hello" in event_line(events_pb2.SessionEvent.FromString(event.SerializeToString())).text


async def test_policys_intake_passes_facts_of_tomorrow_over(future, keys):
    bus = MemoryBus()
    policy = assemble(bus, keys, instance="one")
    await policy.open()
    decided = tomorrow(future)
    decided.action_decided.decision_id = "dec_9"
    decided.action_decided.source = 99
    subject = event_subject("local", SESSION_ID, "action_decided")
    bus.publish(subject, decided.SerializeToString(), msg_id="1")
    fact = future("events.v1.ControlFact")(producer="tools", body_of_tomorrow="x")
    bus.publish(control_subject("of_tomorrow"), fact.SerializeToString(), msg_id="2")
    await bus.flush()
    assert bus.stats.parked == 0
    assert not bus.broker.streams["AUDIT"].messages
    await policy.close()


def test_a_decision_of_tomorrow_allows_nothing(future):
    answer = future("policy.v1.DecideResponse")(decision_id="dec_1", effect=99, layer=99, of_tomorrow="x")
    answer.obligations.add(kind_of_tomorrow="x")
    decided = wire_policy.decided(policy_pb2.DecideResponse.FromString(answer.SerializeToString()), 1.0)
    assert decided.effect is None
    assert decided.proof is None


def test_a_tool_whose_side_effect_is_not_known_is_treated_as_the_worst(future):
    tool = future("tools.v1.Tool")(name="t", version="1.0", side_effect=99, parameters_json="{}")
    found = wire.tool(tools_pb2.Tool.FromString(tool.SerializeToString()))
    assert found.side_effect is SideEffect.IRREVERSIBLE


@pytest.mark.parametrize(("reading", "expected"), [(99, "unclear"), (0, "unclear"), (1, "yes")])
async def test_a_reading_of_tomorrow_is_no_yes(future, loopback, reading, expected):
    class Policy(policy_pb2_grpc.PolicyServiceServicer):
        async def ReadConsent(self, request, context):  # noqa: N802 - the contract's name
            answer = future("policy.v1.ReadConsentResponse")(consent_id="con_1", reading=reading)
            return policy_pb2.ReadConsentResponse.FromString(answer.SerializeToString())

    channel = await loopback.channel_to(
        lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(Policy(), server)
    )
    question = ReadConsent(
        consent_id="con_1",
        read_back="Shall I?",
        utterance="Yes.",
        confidence=None,
        bound_values=(),
        side_effect=SideEffect.WRITE,
        item_id="item_1",
        timeout_ms=5_000,
    )
    read = await PolicyOverGrpc(channel, WallClock()).read_consent(question, pinned())
    assert read.reading == expected


def test_a_result_of_tomorrow_claims_nothing_about_the_effect(future):
    answer = future("tools.v1.ExecuteResponse")()
    answer.result.status = 99
    answer.result.error_code = 99
    message = tools_pb2.ExecuteResponse.FromString(answer.SerializeToString())
    result = wire.progress_or_result("act_1", message)
    assert isinstance(result, ActionResult)
    assert result.status == "unknown"


def test_progress_of_tomorrow_is_passed_over(future):
    answer = future("tools.v1.ExecuteResponse")(event_of_tomorrow="x")
    message = tools_pb2.ExecuteResponse.FromString(answer.SerializeToString())
    assert wire.progress_or_result("act_1", message) is None
