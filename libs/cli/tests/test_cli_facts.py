"""Every fact has a line that a person can read."""

import pytest
from ringback.events.v1 import events_pb2 as pb
from ringback_cli.watch.facts import control_line, event_line

EVENT_BODIES = [field.name for field in pb.SessionEvent.DESCRIPTOR.oneofs_by_name["body"].fields]
CONTROL_BODIES = [field.name for field in pb.ControlFact.DESCRIPTOR.oneofs_by_name["body"].fields]


@pytest.mark.parametrize("name", EVENT_BODIES)
def test_every_session_event_has_a_line_of_its_own(name):
    event = pb.SessionEvent()
    getattr(event, name).SetInParent()
    line = event_line(event)
    assert line.text
    assert line.who != name


@pytest.mark.parametrize("name", CONTROL_BODIES)
def test_every_control_fact_has_a_line(name):
    fact = pb.ControlFact()
    getattr(fact, name).SetInParent()
    assert control_line(fact).who


def test_an_unknown_event_keeps_its_place():
    assert event_line(pb.SessionEvent()).who == "unknown"


def test_an_answer_that_was_cut_says_what_was_heard_of_it():
    event = pb.SessionEvent()
    event.agent_turn_ended.said = "One two three."
    event.agent_turn_ended.heard = "One"
    event.agent_turn_ended.first_audio_ms = 140
    line = event_line(event)
    assert line.text == "“One two three.”"
    assert "heard only “One”" in line.detail
    assert "first audio 140 ms" in line.detail


def test_a_fallback_decision_is_told_apart():
    event = pb.SessionEvent()
    event.action_decided.effect, event.action_decided.tool = "DENY", "cancel_reservation"
    event.action_decided.source = pb.DECISION_SOURCE_FALLBACK
    assert "FALLBACK" in event_line(event).detail
