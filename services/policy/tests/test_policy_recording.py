"""Recorded questions: only where an operator asks for them, masked, and they decide as they did."""

import json

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_events import MemoryBroker, MemoryBus
from ringback_identity import MacKeys, canonical_json, digest
from ringback_policy.adapters.audit_trail import read_entries
from ringback_policy.adapters.question_records import HELD_MAX, QuestionRecords
from ringback_policy.bootstrap import assemble
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_policy.usecases.rolling_out import Questions
from ringback_policy.wire import read_question
from ringback_policy.wire_recorded import masked_question

CARD = "4111 1111 1111 1111"
PLAIN = 'version: "1"\nowner: test\n'
RULE = "rules:\n  - {{id: dear, gate: action, action: pay, when: args.amount > {}, effect: deny, on_error: deny}}\n"


def files(limit):
    actions = "actions:\n  pay: {side_effect: read}\n"
    texts = {
        "interaction": PLAIN,
        "domain": PLAIN + RULE.format(limit),
        "safety": PLAIN,
        "actions": PLAIN + actions,
    }
    return {f"{name}.yaml": text.encode() for name, text in texts.items()}


def question(bundle, amount):
    arguments = canonical_json({"amount": amount, "card": CARD})
    asked = pb.DecideRequest(
        decision_id=f"dec_{amount}",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=pb.SessionView(session_id="sess_1", tenant="local"),
        now=Timestamp(seconds=1_795_000_000),
    )
    asked.session.caller.caller_id = "+1 212 555 0147"
    asked.session.slots.add(name="card", value_json=json.dumps(CARD))
    asked.action.action_id, asked.action.tool, asked.action.tool_version = "act_1", "pay", "1.0"
    asked.action.side_effect = pb.SIDE_EFFECT_READ
    asked.action.arguments_json, asked.action.arguments_digest = arguments, digest(arguments)
    asked.action.consent.arguments_digest = digest(arguments)
    return asked


@pytest.fixture
async def replica(tmp_path):
    MacKeys.generate(tmp_path / "mac.json")
    bus = MemoryBus(MemoryBroker())
    records = QuestionRecords(bus, on=True)
    made = assemble(bus, MacKeys.load(tmp_path / "mac.json"), keep=records.keep)
    made.records = records
    await made.open()
    yield made
    await made.close()


def recorded(bus):
    return [
        question
        for stored in bus.broker.streams["DECISIONS"].messages
        for question in audit_pb2.RecordedQuestions.FromString(stored.message.payload).questions
    ]


async def test_what_was_recorded_shows_what_another_bundle_would_decide(replica):
    admin = PolicyAdminServicer(replica.publishing, replica.rolling_out)
    first, second = [
        (
            await admin.PublishBundle(pb.PublishBundleRequest(pack="shop", files=files(n), actor="ana"), None)
        ).bundle_digest
        for n in (100, 50)
    ]
    policy = PolicyServicer(replica.deciding)
    for amount in (10, 70, 200):
        await policy.Decide(question(first, amount), None)
    replica.audit.deliver()
    await replica.records.close()
    await replica.bus.flush()
    kept = recorded(replica.bus)
    assert [one.decision_id for one in kept] == ["dec_10", "dec_70", "dec_200"]
    found = await admin.DiffBundles(
        pb.DiffBundlesRequest(pack="shop", base_digest=first, candidate_digest=second, questions=kept), None
    )
    assert (found.questions, found.changed, found.laxer) == (3, 1, 0)
    assert found.changes[0].decision_id == "dec_70"


async def test_a_recorded_question_bears_the_digest_that_the_audit_has_of_it(replica):
    admin = PolicyAdminServicer(replica.publishing, replica.rolling_out)
    request = pb.PublishBundleRequest(pack="shop", files=files(100), actor="ana")
    bundle = (await admin.PublishBundle(request, None)).bundle_digest
    policy = PolicyServicer(replica.deciding)
    for amount in (10, 70):
        await policy.Decide(question(bundle, amount), None)
    replica.audit.deliver()
    await replica.records.close()
    await replica.bus.flush()
    entries = [
        entry
        for stored in replica.bus.broker.streams["AUDIT"].messages
        for entry in read_entries(stored.message.payload)
    ]
    audited = [entry.decision.input_digest for entry in entries if entry.HasField("decision")]
    (batch,) = replica.bus.broker.streams["DECISIONS"].messages
    kept = audit_pb2.RecordedQuestions.FromString(batch.message.payload)
    assert list(kept.input_digests) == audited
    assert len(kept.questions) == 2


async def test_nothing_is_recorded_unless_an_operator_asks_for_it():
    bus = MemoryBus()
    records = QuestionRecords(bus, on=False)
    records.keep("shop", question("sha256:x", 1).SerializeToString())
    records.deliver()
    await bus.flush()
    assert recorded(bus) == []
    await bus.close()


async def test_a_recording_is_bounded_and_holds_nobody_up():
    bus = MemoryBus()
    records = QuestionRecords(bus, on=True)
    for amount in range(HELD_MAX + 5):
        records.keep("shop", question("sha256:x", amount).SerializeToString())
    assert records.dropped == 5
    records.deliver()
    await bus.flush()
    assert len(recorded(bus)) == HELD_MAX
    await bus.close()


def test_a_recorded_question_holds_no_personal_value_and_its_digests_fit():
    kept = masked_question(question("sha256:x", 5))
    text = str(kept)
    assert CARD not in text
    assert "555 0147" not in text
    assert (
        kept.action.arguments_digest
        == digest(kept.action.arguments_json)
        == kept.action.consent.arguments_digest
    )
    assert json.loads(kept.action.arguments_json)["amount"] == 5
    assert json.loads(kept.session.slots[0].value_json) == json.loads(kept.action.arguments_json)["card"]


def test_remembered_questions_are_bounded_in_number_and_in_bytes():
    sent = [question("sha256:x", amount).SerializeToString() for amount in range(5)]
    for limits, left in (({"kept_max": 3}, [2, 3, 4]), ({"bytes_max": 2 * len(sent[0]) + 1}, [3, 4])):
        kept = Questions(read_question, **limits)
        for asked in sent:
            kept.keep("airline", asked)
        assert [asked.decision_id for asked in kept.of("airline")] == [f"dec_{amount}" for amount in left]
    assert list(kept.of("other")) == []
