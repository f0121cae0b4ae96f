"""Order, repetition, gaps and late facts."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.events import Event, LateFact, Position
from ringback_memory.domain.timeline import Gap, Placed, Record, Timeline


def _long_call(new_script):
    script = new_script()
    for _ in range(3):
        script.spine()
    second = new_script(epoch=2)
    second.now_ms = script.now_ms
    second.add(ev.Resumed(1))
    second.spine()
    return script.events + second.events


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_order_and_repetition_within_the_bound_gives_the_same_record(
    new_script, folded, airline_schema, seed
):
    events = _long_call(new_script)
    expected = folded(events, schema=airline_schema)
    pick = random.Random(seed)
    # Each event is delayed by less than the bound, and half of them come twice.
    delayed = [(n + pick.randrange(limits.TAIL_EVENTS_MAX - 1), e) for n, e in enumerate(events)]
    delayed += [
        (n + pick.randrange(2 * limits.TAIL_EVENTS_MAX), e)
        for n, e in enumerate(events)
        if pick.random() < 0.5
    ]
    shuffled = [event for _, event in sorted(delayed, key=lambda one: one[0])]
    assert folded(shuffled, schema=airline_schema).record == expected.record


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_late_facts_fold_to_the_same_state_wherever_they_come(new_script, seed):
    script = new_script()
    for n in range(40):
        script.requested(f"act_{n}", call_id=f"call_{n}")
        script.finished("unknown", action_id=f"act_{n}", result="")
    late = [
        LateFact(
            "tools", n + 1, 9_000_000, ev.ActionFinished(f"act_{n}", "cancel_reservation", "ok", '{"a":1}')
        )
        for n in range(0, 40, 3)
    ]
    states = []
    for facts in (script.events + late, random.Random(seed).sample(late, len(late)) + script.events):
        timeline = Timeline(Record())
        for fact in facts:
            timeline.add_late(fact) if isinstance(fact, LateFact) else timeline.add(fact)
        states.append({key: action.status for key, action in timeline.state.actions.items()})
    assert states[0] == states[1]


def test_a_missing_fact_holds_the_mark_back_until_it_comes(script):
    script.spine()
    timeline = Timeline(Record())
    for event in [*script.events[:4], *script.events[5:8]]:
        timeline.add(event)
    assert timeline.watermark() == Position(1, 4)
    assert timeline.after_gaps() == (Position(1, 6),)
    assert timeline.watermark({Position(1, 6)}) == Position(1, 8)
    assert timeline.state.position == Position(1, 8)
    assert timeline.add(script.events[4]) is Placed.MOVED
    assert timeline.watermark() == Position(1, 8)
    assert timeline.after_gaps() == ()


def test_a_fact_that_comes_after_its_gap_was_settled_is_folded_once(script, folded):
    script.started()
    lost = script.caller("My name is Ada and I need a wheelchair.")
    for n in range(limits.TAIL_EVENTS_MAX + 8):
        script.caller(f"turn {n}")
    timeline = folded([e for e in script.events if e is not lost])
    assert timeline.record.gaps == (Gap(1, 2, 2),)
    assert timeline.add(lost) is Placed.FILLED
    assert timeline.record.gaps == ()
    assert timeline.add(lost) is Placed.DUPLICATE
    assert any("wheelchair" in turn.text for turn in timeline.state.turns)
    assert timeline.state.position == script.events[-1].position


def test_facts_of_an_older_epoch_that_come_very_late_are_not_lost(new_script, folded):
    first, second = new_script(), new_script(epoch=2)
    first.started()
    outbox = Event(Position(1, 2), 2_000_000, ev.TaskOpened("task_1", "Call back", "promise"))
    for n in range(limits.TAIL_EVENTS_MAX + 8):
        second.caller(f"turn {n}")
    timeline = folded(first.events + second.events)
    assert timeline.add(outbox) is Placed.FILLED
    assert timeline.add(outbox) is Placed.DUPLICATE
    assert "task_1" in timeline.state.tasks


def test_what_a_former_owner_says_late_of_the_call_as_a_whole_does_not_undo_what_the_next_one_said(
    new_script, folded
):
    first, second = new_script(), new_script(epoch=2)
    first.started()
    second.add(ev.Resumed(1), agent="billing")
    for n in range(limits.TAIL_EVENTS_MAX + 8):
        second.add(ev.CallerSpoke(f"item_{n}", f"turn {n}"), agent="billing")
    timeline = folded(first.events + second.events)
    # A paused owner's buffer leaves it when it goes on.
    promise = Event(Position(1, 2), 2_000_000, ev.TaskOpened("task_1", "Call back", "promise"), agent="front")
    ended = Event(Position(1, 3), 2_000_000, ev.Ended("client_lost"), agent="front")
    assert [timeline.add(event) for event in (promise, ended)] == [Placed.FILLED, Placed.FILLED]
    state = timeline.state
    assert "task_1" in state.tasks
    assert (state.ended, state.agent) == ("", "billing")


def test_a_turn_that_is_told_again_replaces_what_was_told_of_it(script):
    told = {"item_id": "item_a", "said": "At nine, from gate four.", "audio_ms": 2_000}
    script.add(ev.AgentSpoke(**told, heard="At", heard_ms=300))
    script.caller("What?")
    script.add(ev.AgentSpoke(**told, heard="At nine, from", heard_ms=1_200))
    timeline = Timeline(Record())
    for event in script.events:
        timeline.add(event)
    assert [turn.text for turn in timeline.state.turns] == ["At nine, from", "What?"]


def test_a_stored_record_goes_on_where_it_stopped(new_script, folded, airline_schema):
    events = _long_call(new_script)
    expected = folded(events, schema=airline_schema)
    timeline = Timeline(Record(), schema=airline_schema)
    for event in events:
        timeline = Timeline(timeline.record, schema=airline_schema)
        timeline.add(event)
    assert timeline.record == expected.record
    assert timeline.state == expected.state


def test_late_facts_beyond_the_bound_are_settled_not_lost(script):
    count = limits.LATE_FACTS_MAX + 10
    for n in range(count):
        script.requested(f"act_{n}", call_id=f"call_{n}")
        script.finished("unknown", action_id=f"act_{n}", result="")
    timeline = Timeline(Record())
    for event in script.events:
        timeline.add(event)
    for n in range(count):
        outcome = ev.ActionFinished(f"act_{n}", "cancel_reservation", "ok")
        assert timeline.add_late(LateFact("tools", n + 1, 9_000_000, outcome))
    assert len(timeline.record.late) == limits.LATE_FACTS_MAX
    assert {action.status for action in timeline.state.actions.values()} == {"ok"}
    assert not timeline.add_late(LateFact("tools", 1, 9_000_000, None))
