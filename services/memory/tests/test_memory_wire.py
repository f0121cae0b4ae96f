"""What comes in over the wire, good and bad."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback.events.v1 import events_pb2 as pb
from ringback_errors import InvalidInput
from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.events import Position
from ringback_memory.wire import event_from_bytes, event_from_wire, late_fact_from_bytes


def _event(**body):
    return pb.SessionEvent(schema_version=1, tenant="local", session_id="sess_1", epoch=1, seq=7, **body)


def _read(message):
    return event_from_bytes(message.SerializeToString(), tenant="local", session_id="sess_1")


# Facts for others: they keep their place in the order, and change nothing here.
OF_NO_USE = {"turn_rule_applied", "usage_reported", "budget_crossed", "operator_acted"}


def test_every_body_of_the_contract_is_known():
    for field in pb.SessionEvent.DESCRIPTOR.oneofs_by_name["body"].fields:
        message = _event()
        getattr(message, field.name).SetInParent()
        assert isinstance(_read(message).body, ev.Other) is (field.name in OF_NO_USE), field.name


def test_a_turn_keeps_its_place_text_and_confidence():
    body = pb.UserTurnEnded(item_id="item_1", text="Hi", confidence=0.5, audio_start_ms=100, audio_end_ms=900)
    event = _read(_event(user_turn_ended=body))
    assert event.position == Position(1, 7)
    assert event.body == ev.CallerSpoke("item_1", "Hi", 0.5, 800)
    assert _read(_event(user_turn_ended=pb.UserTurnEnded())).body.confidence is None


def test_a_body_of_a_newer_release_keeps_its_place():
    message = _event()
    message.ParseFromString(message.SerializeToString() + b"\xfa\x3e\x02\x08\x01")
    event = _read(message)
    assert event.position == Position(1, 7)
    assert isinstance(event.body, ev.Other)


def test_ten_megabytes_of_talk_are_clipped_at_the_door():
    huge = "Start of it. " + "x" * 10_000_000 + " The end: 482915."
    event = event_from_wire(_event(user_turn_ended=pb.UserTurnEnded(text=huge)))
    assert len(event.body.text.encode()) <= limits.TURN_BYTES_MAX
    assert event.body.text.startswith("Start of it.")
    assert event.body.text.endswith("The end: 482915.")


def test_half_a_json_value_is_left_out():
    result = '{"a":"' + "y" * 100_000 + '"}'
    event = event_from_wire(_event(action_finished=pb.ActionFinished(action_id="act_1", result_json=result)))
    assert event.body.result_json == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seq": 0}, "seq"),
        ({"epoch": 0}, "seq"),
        ({"tenant": "other"}, "session_id"),
        ({"session_id": "s"}, "session_id"),
    ],
)
def test_a_fact_of_another_session_or_without_a_place_is_refused_by_name(change, named):
    message = _event()
    for field, value in change.items():
        setattr(message, field, value)
    with pytest.raises(InvalidInput) as refused:
        _read(message)
    assert refused.value.field == named


@given(payload=st.binary(max_size=200))
def test_bytes_that_are_no_event_are_refused_or_read_never_worse(payload):
    for read in (
        lambda: event_from_bytes(payload, tenant="local", session_id="sess_1"),
        lambda: late_fact_from_bytes(payload, service="tools", tenant="local", session_id="sess_1"),
    ):
        with contextlib.suppress(InvalidInput):
            read()


def test_a_late_fact_must_come_from_the_service_that_its_subject_names():
    message = pb.LateFact(producer="tools", producer_seq=3, tenant="local", session_id="sess_1")
    message.action_reconciled.action_id = "act_1"
    message.action_reconciled.status = pb.ACTION_STATUS_OK
    payload = message.SerializeToString()
    fact = late_fact_from_bytes(payload, service="tools", tenant="local", session_id="sess_1")
    assert (fact.producer_seq, fact.outcome.status) == (3, "ok")
    with pytest.raises(InvalidInput):
        late_fact_from_bytes(payload, service="policy", tenant="local", session_id="sess_1")


@given(text=st.text(max_size=300), bytes_max=st.integers(8, 200))
def test_clipping_keeps_to_the_bound_and_to_whole_characters(text, bytes_max):
    clipped = limits.clip(text, bytes_max)
    assert len(clipped.encode()) <= bytes_max
    if len(text.encode("utf-8", "replace")) <= bytes_max:
        assert clipped == text.encode("utf-8", "replace").decode()
