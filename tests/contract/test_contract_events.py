"""Facts on the streams: what session publishes is what memory folds, policy audits and the command line shows."""

from __future__ import annotations

import ast
import asyncio

import pytest
from contract_kit import ROOT, SESSION_ID, WallClock, fields_of, filled, pinned
from ringback.events.v1 import events_pb2
from ringback_cli.watch.facts import event_line, fact_as_json
from ringback_events import MemoryBus, event_subject, fact_subject
from ringback_memory.domain import events as memory_events
from ringback_memory.wire.facts import event_from_bytes, event_from_wire, late_fact_from_bytes
from ringback_policy.adapters.audit_trail import read_entries
from ringback_policy.bootstrap import assemble
from ringback_session import wire
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.domain.effects import Publish
from ringback_session.domain.rules import SideEffect
from ringback_tools.domain.catalogue import SideEffect as ToolsSideEffect
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord
from ringback_tools.domain.results import ErrorCode, Result, Status
from ringback_tools.wire import late_fact

BODIES = {field.name: field.message_type for field in events_pb2.SessionEvent.DESCRIPTOR.oneofs[0].fields}
# Values of the core's own words; every other field gets a sample by its type.
WORDS = {
    ("agent_turn_ended", "kind"): "read_back",
    ("action_requested", "side_effect"): SideEffect.IRREVERSIBLE,
    ("action_finished", "side_effect"): SideEffect.WRITE,
    ("action_finished", "status"): "unknown",
    ("action_decided", "source"): "fallback",
    ("consent_answered", "reading"): "correction",
}
# They keep their place in the order, and change nothing.
OF_NO_USE_TO_MEMORY = {"turn_rule_applied", "usage_reported", "budget_crossed", "operator_acted"}


def fact(kind, /, seq=1, **body):
    return Publish(
        kind=kind, seq=seq, epoch=2, turn_id="turn_1", agent="front", at_ms=1_700_000_000_123, body=body
    )


def body_of(kind):
    """A body with every field of scalars set, in the core's words."""
    sample = filled(getattr(events_pb2.SessionEvent(), kind))
    body = {}
    for field in sample.DESCRIPTOR.fields:
        if (kind, field.name) in WORDS:
            body[field.name] = WORDS[kind, field.name]
        elif field.name == "expires_at":
            body["expires_at_ms"] = 1_700_000_000_999
        elif not field.is_repeated:
            body[field.name] = getattr(sample, field.name)
    return body


def published_by_the_core():
    """(kind, keywords) of every `publish("kind", …)` in the core."""
    core = ROOT / "services" / "session" / "src" / "ringback_session" / "domain"
    for path in sorted(core.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="publish"), args=[ast.Constant(value=str(kind))]):
                    # `in_turn` says to which turn the fact belongs; it is in the envelope.
                    names = [word.arg for word in node.keywords if word.arg and word.arg != "in_turn"]
                    yield path.name, kind, names
                case ast.Call(func=ast.Attribute(attr="applied")):
                    yield path.name, "turn_rule_applied", [word.arg for word in node.keywords if word.arg]


def test_every_fact_of_the_core_and_each_of_its_fields_is_in_the_contract():
    found = list(published_by_the_core())
    assert len({kind for _, kind, _ in found}) > 10, "the core publishes by name"
    wrong = [
        f"{where}: {kind}.{name}"
        for where, kind, names in found
        for name in names
        if kind not in BODIES or name not in fields_of(BODIES[kind]) | {"expires_at_ms"}
    ]
    assert not wrong


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_that_session_publishes_is_folded_by_memory(kind):
    message = wire.event(fact(kind, **body_of(kind)), "local", SESSION_ID)
    event = event_from_bytes(message.SerializeToString(), tenant="local", session_id=SESSION_ID)
    known = not isinstance(event.body, memory_events.Other)
    assert known is (kind not in OF_NO_USE_TO_MEMORY), f"memory and {kind}"
    assert (event.position.epoch, event.position.seq, event.at_ms) == (2, 1, 1_700_000_000_123)
    assert event.agent == "front"


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_survives_the_outbox_and_has_a_line(kind):
    message = wire.event(fact(kind, **body_of(kind)), "local", SESSION_ID)
    again = wire.event(wire.publish_of(message), "local", SESSION_ID)
    assert again == message
    assert event_line(message).topic
    assert kind in fact_as_json(message)


def test_words_of_the_core_mean_the_same_to_memory():
    finished = wire.event(
        fact("action_finished", action_id="act_1", tool="t", status="unknown", side_effect=SideEffect.WRITE),
        "local",
        SESSION_ID,
    )
    assert event_from_wire(finished).body.status == "unknown"
    answered = wire.event(
        fact("consent_answered", consent_id="con_1", action_id="act_1", reading="yes"), "local", SESSION_ID
    )
    assert event_from_wire(answered).body.reading == "yes"
    spoken = wire.event(fact("agent_turn_ended", item_id="i", said="Hi", kind="filler"), "local", SESSION_ID)
    assert event_from_wire(spoken).body.kind == "filler"
    asked = wire.event(fact("action_requested", action_id="a", side_effect=SideEffect.READ), "local", "s")
    assert event_from_wire(asked).body.side_effect == "read"


def test_a_confidence_that_is_not_known_is_absent_for_memory_too():
    heard = wire.event(fact("user_turn_ended", item_id="i", text="Hi", confidence=None), "local", SESSION_ID)
    assert not heard.user_turn_ended.HasField("confidence")
    assert event_from_wire(heard).body.confidence is None


async def _audited(bus):
    entries = []
    for item in bus.broker.streams["AUDIT"].messages:
        entries += read_entries(item.message.payload)
    return entries


async def test_policy_audits_the_decisions_that_session_took_without_it_and_no_others(keys):
    bus = MemoryBus()
    policy = assemble(bus, keys, instance="one")
    await policy.open()
    facts = FactsOnBus(bus)
    common = {"gate": "ACTION", "action_id": "act_1", "tool": "cancel_reservation", "effect": "DENY"}
    taken = [
        ("dec_1", "fallback", "session.policy_away"),
        ("dec_2", "policy", "cancel-flown"),
        ("dec_3", "fallback", "session.policy_away"),
    ]
    for seq, (decision_id, source, rule) in enumerate(taken, start=1):
        body = common | {"decision_id": decision_id, "source": source, "rule": rule, "reason": "unavailable"}
        facts.publish(fact("action_decided", seq, **body), pinned(), lambda: None)
    async with asyncio.timeout(5):
        while len(await _audited(bus)) < 2:
            await asyncio.sleep(0)
    await bus.flush()
    entries = await _audited(bus)
    told = [str(entry) for entry in entries]
    assert len(entries) == 2
    assert any("dec_1" in text for text in told)
    assert any("dec_3" in text for text in told)
    assert all("session.policy_away" in text and SESSION_ID in text for text in told)
    await policy.close()


def reconciled(**changes):
    fields = {
        "tenant": "local",
        "session_id": SESSION_ID,
        "action_id": "act_1",
        "epoch": 1,
        "tool": "cancel_reservation",
        "tool_version": "1.0",
        "arguments_json": "{}",
        "arguments_digest": "sha256:x",
        "pack_digest": "sha256:p",
        "state": ActionState.FINISHED,
        "attempt": 1,
        "owner": "tools-1#1",
        "attempt_deadline_ms": 0,
        "result": Result(status=Status.OK, data_json='{"status":"cancelled"}', message="It is cancelled."),
        "decision_id": "dec_1",
        "updated_at_ms": WallClock().now_ms(),
        "late_fact_due": True,
    }
    return OutcomeRecord(**{**fields, **changes})


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result(status=Status.OK), "ok"),
        (Result(status=Status.ERROR, error_code=ErrorCode.TIMEOUT), "failed"),
        (Result(status=Status.UNKNOWN_OUTCOME, error_code=ErrorCode.UNKNOWN_OUTCOME), "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_late_fact_of_tools_is_one_that_memory_folds(result, status):
    message = late_fact(reconciled(result=result), side_effect=ToolsSideEffect.IRREVERSIBLE, producer_seq=1)
    found = late_fact_from_bytes(
        message.SerializeToString(), service="tools", tenant="local", session_id=SESSION_ID
    )
    assert (found.outcome.action_id, found.outcome.status) == ("act_1", status)


def test_subjects_name_what_the_messages_hold():
    subject = event_subject("local", SESSION_ID, "task_opened")
    assert subject == f"ringback.events.local.{SESSION_ID}.task_opened"
    assert fact_subject("tools", "local", SESSION_ID) == f"ringback.facts.tools.local.{SESSION_ID}"
