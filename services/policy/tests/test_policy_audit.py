"""The audit under a bus that can keep no more."""

import asyncio
import shutil

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import InvalidInput, Overloaded
from ringback_events import Delivery, MemoryBroker, MemoryBus, SpoolFull, event_subject
from ringback_policy.adapters import audit_trail
from ringback_policy.adapters.audit_trail import BATCH_MAX, AuditChain, chain_breaks, read_entries
from ringback_policy.adapters.intake import AuditIntake
from ringback_policy.domain.auditing import ChangeRecord, ConsentRecord, DecisionRecord
from ringback_policy.domain.vocabulary import Gate, Reading
from ringback_policy.usecases.recording import Recording


class FullBus(MemoryBus):
    """A bus whose spool is full while it is told so."""

    full = False

    def publish(self, subject, payload, **more):
        if self.full:
            raise SpoolFull("full")
        super().publish(subject, payload, **more)


def change(kind):
    return ChangeRecord(at_ms=1, tenant="local", kind=kind)


async def turn():
    """Lets the event loop run what is due."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def test_what_cannot_be_audited_is_refused_and_nothing_is_lost_or_doubled_after():
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    chain.append(change("a"))
    await turn()
    bus.full = True
    chain.append(change("b"))
    await turn()
    for _ in range(2):
        with pytest.raises(Overloaded):
            chain.append(change("c"))
    bus.full = False
    chain.append(change("d"))
    await turn()
    await bus.flush()
    kinds = [entry.change.kind for entry in entries(bus)]
    assert kinds == ["a", "b", "d"]
    assert chain_breaks(entries(bus)) == []
    await bus.close()


async def test_what_waited_for_a_full_bus_goes_on_by_itself(monkeypatch):
    monkeypatch.setattr(audit_trail, "AGAIN_MS", 1)
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    bus.full = True
    chain.append(change("a"))
    bus.full = False
    async with asyncio.timeout(25):
        while not entries(bus):
            await turn()
    assert [entry.change.kind for entry in entries(bus)] == ["a"]
    await bus.close()


def reading(n):
    return ConsentRecord(
        at_ms=1, tenant="local", consent_id=f"con_{n}", session_id="s", reading=Reading.NO, evidence=""
    )


def decided(n):
    return DecisionRecord(at_ms=1, tenant="local", decision_id=f"dec_{n}", session_id="s", gate=Gate.ACTION)


async def test_readings_go_to_the_bus_together_and_none_is_left_behind():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    for n in range(BATCH_MAX):
        chain.append(reading(n))
    await turn()
    chain.append(reading(BATCH_MAX))
    await bus.flush()
    assert len(entries(bus)) == BATCH_MAX
    chain.deliver()
    await bus.flush()
    assert [entry.consent.consent_id for entry in entries(bus)] == [f"con_{n}" for n in range(BATCH_MAX + 1)]
    assert chain_breaks(entries(bus)) == []
    await bus.close()


async def test_entries_made_later_keep_their_place_and_are_made_once_also_where_the_bus_was_full():
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    made = []

    def later(n):
        made.append(n)
        return decided(n)

    bus.full = True
    chain.append_later("local", lambda: later(1))
    assert made == []
    chain.append(reading(2))
    chain.append_later("local", lambda: later(3))
    chain.deliver()
    with pytest.raises(Overloaded):
        chain.append_later("local", lambda: later(4))
    bus.full = False
    with pytest.raises(InvalidInput):
        chain.append_later("a b", lambda: later(5))
    chain.deliver()
    await bus.flush()
    assert made == [1, 3]
    found = [entry.decision.decision_id or entry.consent.consent_id for entry in entries(bus)]
    assert found == ["dec_1", "con_2", "dec_3"]
    assert chain_breaks(entries(bus)) == []
    await bus.close()


async def test_a_tenant_that_is_no_name_is_refused_at_once():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    with pytest.raises(InvalidInput):
        chain.append(ChangeRecord(at_ms=1, tenant="a b", kind="x"))
    chain.append(change("after"))
    await turn()
    await bus.flush()
    assert [entry.change.kind for entry in entries(bus)] == ["after"]
    await bus.close()


class NoRollout:
    """Nothing is being rolled out."""

    async def gate_failed(self, digest, **told):
        """Concerns nobody."""


async def test_a_fallback_decision_of_a_session_is_audited_once():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    intake = AuditIntake(bus, Recording(chain), NoRollout())
    await intake.open()
    event = events_pb2.SessionEvent(
        tenant="local", session_id="sess_1", epoch=1, seq=4, occurred_at=Timestamp(seconds=1)
    )
    event.action_decided.decision_id = "dec_9"
    event.action_decided.gate = "ACTION"
    event.action_decided.effect = "DENY"
    event.action_decided.tool = "cancel_reservation"
    event.action_decided.reason = "policy was away"
    event.action_decided.source = events_pb2.DECISION_SOURCE_FALLBACK
    subject = event_subject("local", "sess_1", "action_decided")
    payload = event.SerializeToString()
    bus.publish(subject, payload, msg_id="a")
    bus.publish(subject, payload, msg_id="b")
    event.action_decided.source = events_pb2.DECISION_SOURCE_POLICY
    event.action_decided.decision_id = "dec_10"
    bus.publish(subject, event.SerializeToString(), msg_id="c")
    async with asyncio.timeout(5):
        while bus.stats.delivered < 3:
            await turn()
    await turn()
    await bus.flush()
    (entry,) = entries(bus)
    assert (entry.actor, entry.decision.source, entry.decision.decision_id) == (
        "session",
        "fallback",
        "dec_9",
    )
    assert entry.decision.effect == pb.EFFECT_DENY
    await intake.close()
    await bus.close()


async def test_what_the_audit_could_not_take_is_taken_when_it_comes_again():
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    recording = Recording(chain)
    bus.full = True
    chain.append(change("before"))
    for _ in range(2):
        with pytest.raises(Overloaded):
            recording.record("control:7", change("theirs"))
    bus.full = False
    assert [recording.record("control:7", change("theirs")) for _ in range(2)] == [True, False]
    await bus.flush()
    assert [entry.change.kind for entry in entries(bus)] == ["before", "theirs"]
    await bus.close()


async def test_a_change_by_another_service_is_audited():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    intake = AuditIntake(bus, Recording(chain), NoRollout())
    fact = events_pb2.ControlFact(producer="tools", occurred_at=Timestamp(seconds=1))
    fact.tool_disabled.tool = "cancel_reservation"
    fact.tool_disabled.disabled = True
    fact.tool_disabled.actor = "bo"
    delivery = Delivery("ringback.control.tool_disabled", fact.SerializeToString(), {}, 7)
    await intake.on_control(delivery)
    await intake.on_control(delivery)
    await intake.on_control(Delivery("ringback.control.x", b"\xff\xff", {}, 8))
    await turn()
    await bus.flush()
    (entry,) = entries(bus)
    assert (entry.actor, entry.change.kind) == ("bo", "tool_disabled")
    await bus.close()


async def test_a_forgotten_caller_is_audited_without_being_named():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    intake = AuditIntake(bus, Recording(chain), NoRollout())
    done = events_pb2.CallerForgotten(
        tenant="local", session_ids=["sess_1"], removed=7, left=0, actor="bo@host"
    )
    fact = events_pb2.ControlFact(producer="memory", occurred_at=Timestamp(seconds=1), caller_forgotten=done)
    delivery = Delivery("ringback.control.caller_forgotten", fact.SerializeToString(), {}, 7)
    await intake.on_control(delivery)
    await turn()
    await bus.flush()
    (entry,) = entries(bus)
    assert (entry.tenant, entry.actor, entry.change.kind) == ("local", "bo@host", "caller_forgotten")
    assert entry.change.reason == "1 calls, 7 entries removed, 0 left; sess_1"
    await bus.close()


@pytest.mark.parametrize(("session_id", "named"), [("sess_1", "sess_1"), ("", "client secrets of a caller")])
async def test_what_one_service_erased_is_audited(session_id, named):
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    intake = AuditIntake(bus, Recording(chain), NoRollout())
    done = events_pb2.SessionErased(tenant="local", session_id=session_id, removed=3, left=1, actor="bo@host")
    fact = events_pb2.ControlFact(producer="tools", occurred_at=Timestamp(seconds=1), session_erased=done)
    await intake.on_control(Delivery("ringback.control.session_erased", fact.SerializeToString(), {}, 7))
    await turn()
    await bus.flush()
    (entry,) = entries(bus)
    assert (entry.tenant, entry.actor, entry.change.kind) == ("local", "bo@host", "session_erased")
    assert entry.change.reason == f"tools: 3 entries removed, 1 left; {named}"
    await bus.close()


def entries(bus):
    found = []
    for stored in bus.broker.streams["AUDIT"].messages:
        found += read_entries(stored.message.payload)
    return found


def decision(n, *, binding=False, tenant="local"):
    return DecisionRecord(
        at_ms=1, tenant=tenant, decision_id=f"dec_{n}", session_id="s", gate=Gate.ACTION, binding=binding
    )


async def test_what_allows_a_side_effect_is_on_disk_with_all_before_it_before_anybody_is_told(tmp_path):
    broker = MemoryBroker()
    bus = MemoryBus(broker, spool_dir=tmp_path / "spool")
    chain = AuditChain(bus, replica="one")
    for n in range(3):
        chain.append(decision(n))
    chain.append(decision(3, binding=True))
    # As a kill leaves it: nothing was sent, and nobody closed anything.
    copy = tmp_path / "after"
    shutil.copytree(tmp_path / "spool", copy)
    (copy / "lock").unlink()
    after = MemoryBus(MemoryBroker(), spool_dir=copy)
    await after.flush()
    found = entries(after)
    assert [entry.decision.decision_id for entry in found] == ["dec_0", "dec_1", "dec_2", "dec_3"]
    assert chain_breaks(found) == []
    await after.close()
    await bus.flush()
    assert [entry.decision.decision_id for entry in entries(bus)] == ["dec_0", "dec_1", "dec_2", "dec_3"]
    await bus.close()


async def test_an_allow_that_cannot_be_kept_is_refused_and_leaves_no_entry():
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    bus.full = True
    with pytest.raises(Overloaded):
        chain.append(decision(1, binding=True))
    bus.full = False
    chain.append(decision(2, binding=True))
    await bus.flush()
    assert [entry.decision.decision_id for entry in entries(bus)] == ["dec_2"]
    assert chain_breaks(entries(bus)) == []
    await bus.close()


async def test_a_message_holds_entries_of_one_tenant_and_the_chain_goes_through_all():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    for n, tenant in enumerate(["a", "a", "b", "a"]):
        chain.append(decision(n, tenant=tenant))
    chain.deliver()
    await bus.flush()
    subjects = [stored.message.subject for stored in bus.broker.streams["AUDIT"].messages]
    assert subjects == ["ringback.audit.a.batch", "ringback.audit.b.decision", "ringback.audit.a.decision"]
    assert [entry.chain_seq for entry in entries(bus)] == [1, 2, 3, 4]
    assert chain_breaks(entries(bus)) == []
    await bus.close()
