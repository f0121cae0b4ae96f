"""Memory is waited for where the decision reads slots, and nowhere else; policy has the last word on that."""

import json

import pytest
from ringback.policy.v1 import policy_pb2 as pb
from ringback_session import wire_policy
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.known import StaleValue
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ActionPhase, SlotValue, restore, snapshot
from ringback_session.ports import Pinned
from session_core_kit import CoreCall

PINNED = Pinned(
    tenant="local", session_id="sess_test", pack_digest="p", bundle_digest="b", epoch=1, agent="reservations"
)


def told(call, value="Lisbon", *, stale=(), as_of=None, ttl_ms=0):
    """Memory answers, by default as of now."""
    slot = SlotValue(name="city", value_json=json.dumps(value), as_of_seq=1, at_ms=call.now_ms, ttl_ms=ttl_ms)
    call.do(ev.ContextArrived(slots=(slot,), as_of=as_of or (call.state.epoch, call.state.seq), stale=stale))


def asks(call, tool="cancel_reservation", *, call_id="c1"):
    call.says("Not Lisbon, Porto. Do it.")
    call.reply("", calls=[(call_id, tool, {"reservation": "482915"})])


def questions(call):
    return [effect for effect in call.new(fx.AskPolicy) if effect.gate == "action"]


def only_question(call):
    (question,) = questions(call)
    return question


@pytest.fixture
def calm():
    """A call whose bundle reads slots for refunds alone; memory has told of a city."""
    call = CoreCall(slot_readers=("refund",))
    told(call)
    return call


def test_a_decision_that_reads_no_slots_is_asked_for_at_once(calm):
    asks(calm)
    question = only_question(calm)
    assert question.view["slots"] == []
    assert question.view["slots_behind"]
    assert [slot["value_json"] for slot in question.view["slots_before"]] == ['"Lisbon"']
    assert not [pull for pull in calm.new(fx.PullContext) if pull.at_once]


def test_a_decision_that_reads_slots_waits_for_memory(calm):
    asks(calm, "refund")
    assert not questions(calm)
    told(calm, "Porto")
    view = only_question(calm).view
    assert [slot["value_json"] for slot in view["slots"]] == ['"Porto"']
    assert "slots_behind" not in view


@pytest.mark.parametrize("readers", [None, ("cancel_reservation",)])
def test_a_policy_that_does_not_tell_has_every_change_wait(readers):
    call = CoreCall(slot_readers=readers)
    told(call)
    asks(call)
    assert not questions(call)


def test_what_memory_has_told_of_in_time_is_shown_as_ever(calm):
    calm.says("Do it.")
    told(calm, "Porto")
    calm.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    view = only_question(calm).view
    assert [slot["value_json"] for slot in view["slots"]] == ['"Porto"']
    assert "slots_behind" not in view


def test_a_stale_value_is_not_read_again_for_a_decision_without_slots(calm):
    stale = StaleValue(name="city", tool="get_reservation", arguments_json="{}")
    calm.says("Do it.")
    told(calm, stale=(stale,))
    calm.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    assert only_question(calm).view["slots_behind"]
    assert not calm.new(fx.RefreshValue)


def test_a_value_that_ran_out_is_not_asked_about_for_a_decision_without_slots(calm):
    calm.says("Do it.")
    told(calm, ttl_ms=5_000)
    calm.pass_ms(6_000)
    calm.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    assert only_question(calm).view["slots_behind"]


def test_a_read_never_waits_and_never_says_so(calm):
    asks(calm, "get_reservation")
    assert "slots_behind" not in only_question(calm).view


def test_a_stricter_bundle_that_reads_slots_is_asked_again_with_them(calm):
    asks(calm)
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, needs_slots=True))
    assert not questions(calm), "memory is asked first"
    assert [pull for pull in calm.new(fx.PullContext) if pull.at_once]
    assert not calm.results(), "nothing was decided yet"
    told(calm, "Porto")
    question = only_question(calm)
    assert [slot["value_json"] for slot in question.view["slots"]] == ['"Porto"']
    calm.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, proof={"key_id": "k"}))
    assert calm.one(fx.Journal)


def test_from_then_on_every_change_waits(calm):
    asks(calm)
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, needs_slots=True))
    calm.new(fx.PullContext)
    told(calm, "Porto")
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, effect=Effect.DENY))
    other = CoreCall(state=restore(snapshot(calm.state)), started=False)
    other.now_ms = calm.now_ms
    for heir in (calm, other):
        assert heir.state.rules.reads_slots("add_note")


def test_without_memory_it_is_asked_again_with_what_there_is(calm):
    asks(calm)
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, needs_slots=True))
    calm.do(ev.ContextMissed())
    view = only_question(calm).view
    assert view["slots"] == []
    assert "slots_behind" not in view


def test_two_actions_at_once_are_both_asked_again(calm):
    calm.says("Do both.")
    both = ("cancel_reservation", "add_note")
    calm.reply("", calls=[(tool, tool, {"reservation": "482915"}) for tool in both])
    for question in questions(calm):
        calm.do(ev.Decided(decision_id=question.decision_id, needs_slots=True))
    told(calm, "Porto")
    assert [question.subject["tool"] for question in questions(calm)] == list(both)


def test_a_policy_that_never_has_enough_is_none(calm):
    asks(calm)
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, needs_slots=True))
    told(calm, "Porto")
    calm.do(ev.Decided(decision_id=only_question(calm).decision_id, needs_slots=True))
    assert not questions(calm)
    (action,) = calm.state.actions.values()
    assert (action.phase, action.status) == (ActionPhase.DONE, "not_started")


def test_what_policy_tells_and_is_told_travels(calm):
    asks(calm)
    request = wire_policy.decide_request(only_question(calm), PINNED, calm.now_ms)
    assert request.session.slots_behind
    assert [slot.name for slot in request.session.slots_before] == ["city"]
    assert not request.session.slots
    assert wire_policy.decided(pb.DecideResponse(decision_id="d", needs_slots=True), 1.0).needs_slots


@pytest.mark.parametrize(
    ("readers", "expected"),
    [
        (None, None),
        (pb.SlotReaders(), ()),
        (pb.SlotReaders(tools=["pay"]), ("pay",)),
        (pb.SlotReaders(every=True, tools=["pay"]), None),
    ],
)
def test_readers_that_are_not_told_are_all(readers, expected):
    rules = wire_policy.turn_rules(pb.GetSessionRulesResponse(bundle_digest="b", slot_readers=readers))
    assert rules.slot_readers == expected
    assert rules.reads_slots("other") is (expected is None)
