"""What is owed, what was noted, who is spoken of, and what must be looked up again."""

import pytest
from ringback_memory.adapters.packs import fact_ttls
from ringback_memory.domain import events as ev
from ringback_memory.domain.entities import newest_entities
from ringback_memory.domain.freshness import stale_slots
from ringback_memory.domain.handoff import build_packet
from ringback_memory.domain.schema import ToolOutline, schema_of_tools
from ringback_memory.domain.state import open_tasks

RESERVATION = {"properties": {"reservation_id": {"type": "string", "pattern": "^[0-9]{6}$"}}}
SEAT = {"properties": {"seat": {"enum": ["aisle", "window"], "x-remember": True, "x-ttl-ms": 60_000}}}


@pytest.fixture
def schema():
    return schema_of_tools(
        [
            ToolOutline("get_reservation", "Look up a reservation.", RESERVATION, False, 30_000),
            ToolOutline("cancel_reservation", "Cancel a reservation.", RESERVATION, True),
            ToolOutline("choose_seat", "Choose a seat on the plane.", SEAT, True),
        ]
    )


@pytest.fixture
def state_of(folded, schema):
    return lambda script: folded(script.events, schema=schema).state


def _titles(state):
    return [(task.kind, task.tool, task.status) for task in state.tasks.values()]


def test_a_request_is_open_until_its_tool_has_succeeded(script, state_of):
    script.started()
    script.caller("I'd like to cancel my reservation, please.")
    assert _titles(state_of(script)) == [("request", "cancel_reservation", "open")]
    script.requested()
    script.finished("unknown")
    assert _titles(state_of(script)) == [("request", "cancel_reservation", "open")]
    script.finished("ok")
    assert _titles(state_of(script)) == [("request", "cancel_reservation", "done")]


def test_a_refusal_blocks_the_request_and_a_no_to_the_read_back_drops_it(script, state_of, new_script):
    script.caller("Please cancel my reservation.")
    script.requested()
    script.decided("DENY")
    assert _titles(state_of(script)) == [("request", "cancel_reservation", "blocked")]
    other = new_script()
    other.caller("Please cancel my reservation.")
    other.requested()
    other.add(ev.ConsentAsked("con_1", "act_1", "Cancel it?"))
    other.add(ev.ConsentAnswered("con_1", "act_1", "no", "No."))
    assert _titles(state_of(other)) == [("request", "cancel_reservation", "dropped")]


def test_asking_again_opens_no_second_task_and_letting_go_drops_it(script, state_of):
    script.caller("Can you cancel the reservation?")
    script.caller("I want to cancel my reservation!")
    assert len(open_tasks(state_of(script))) == 1
    script.caller("Never mind, forget it.")
    assert not open_tasks(state_of(script))


def test_an_offer_that_is_taken_up_is_a_request(script, state_of):
    script.agent("Would you like to choose a seat?")
    script.caller("Yes, please.")
    assert _titles(state_of(script)) == [("request", "choose_seat", "open")]


@pytest.mark.parametrize(
    "said",
    ["Hello, good morning.", "It is four eight two.", "The weather is nice.", "My reservation is old."],
)
def test_small_talk_and_values_are_no_requests(script, state_of, said):
    script.caller(said)
    assert not open_tasks(state_of(script))


@pytest.mark.parametrize(
    "said",
    [
        "No, I don't want to cancel the reservation.",
        "Perhaps I'll cancel my reservation another time.",
        "Where does my reservation start?",
    ],
)
def test_refusals_and_questions_about_a_thing_are_no_requests(script, state_of, said):
    script.caller(said)
    assert not open_tasks(state_of(script))


def test_an_offer_that_is_declined_is_no_request(script, state_of):
    script.agent("Would you like to choose a seat?")
    script.caller("Not right now, thanks.")
    assert not open_tasks(state_of(script))


def test_what_is_asked_first_is_what_is_wanted(script, state_of):
    script.caller("Please look up the reservation, I may change it.")
    assert _titles(state_of(script)) == [("request", "get_reservation", "open")]


def test_looking_for_a_thing_is_a_step_once_something_is_to_be_done_with_it(script, state_of):
    script.caller("Can you find my reservation?")
    script.caller("I want to cancel the reservation.")
    script.agent("Which reservation is it?")
    script.caller("Look for 482915, please.")
    assert [task.tool for task in open_tasks(state_of(script))] == ["cancel_reservation"]


def test_what_was_found_is_looked_for_again_only_with_other_values(script, state_of):
    script.caller("Can you find my reservation 482915?")
    script.add(ev.ActionRequested("act_r", "call_r", "get_reservation", "{}", "read"))
    script.finished("ok", action_id="act_r", tool="get_reservation")
    script.caller("Are there any other reservations?")
    assert not open_tasks(state_of(script))
    script.caller("Can you find another reservation, 482916?")
    assert [task.tool for task in open_tasks(state_of(script))] == ["get_reservation"]


def test_a_promise_stays_open_until_it_was_kept(script, state_of):
    script.agent("I will send you an e-mail about the refund.")
    assert [(t.kind, t.owed_by) for t in open_tasks(state_of(script))] == [("promise", "agent")]
    script.agent("I have sent you the e-mail.")
    assert not open_tasks(state_of(script))


def test_a_handover_keeps_the_promise_to_pass_the_caller_on(script, state_of):
    script.agent("I'll transfer you to a colleague.")
    script.add(ev.Escalated("a person, please"))
    assert not open_tasks(state_of(script))


def test_a_task_of_the_session_takes_the_place_of_what_was_read_of_the_same_matter(script, state_of):
    script.caller("Please cancel my reservation.")
    script.requested()
    script.add(ev.TaskOpened("task_1", "Call back about the cancellation", "promise", "agent", "", "act_1"))
    assert [task.task_id for task in open_tasks(state_of(script))] == ["task_1"]


def test_a_task_that_the_session_opened_is_closed_by_the_session_alone(script, state_of):
    script.requested()
    script.add(ev.TaskOpened("task_1", "Send the refund", "promise", "agent", "", "act_1"))
    script.finished("ok")
    assert [task.task_id for task in open_tasks(state_of(script))] == ["task_1"]
    script.add(ev.TaskClosed("task_1"))
    assert not open_tasks(state_of(script))


def _noted(name, value, source="agent", confidence=0.8, ttl_ms=0):
    return ev.SlotsChanged((ev.SlotNote(name, value, source, confidence, ttl_ms),))


def test_a_note_is_a_slot_as_the_model_understood_it(script, state_of):
    script.add(_noted("delivery_note", '"leave it with the neighbour"'))
    slot = state_of(script).slots["delivery_note"]
    assert (slot.source, slot.confidence) == ("agent", 0.8)


@pytest.mark.parametrize("claimed", ["tool", "read_back", "system", ""])
def test_a_note_cannot_claim_to_be_proved(script, state_of, claimed):
    script.add(_noted("amount", "900", claimed, 1.0))
    assert state_of(script).slots["amount"].source == "agent"


def test_a_note_does_not_displace_what_a_tool_returned_and_cannot_take_it_back(script, state_of):
    script.add(ev.ActionRequested("act_r", "call_r", "get_reservation", "{}", "read"))
    script.finished(action_id="act_r", tool="get_reservation", result='{"reservation_id":"482915"}')
    script.add(_noted("reservation_id", '"111111"', confidence=0.5))
    script.add(_noted("reservation_id", "null"))
    assert state_of(script).slots["reservation_id"].value_json == '"482915"'


def test_null_takes_back_what_was_noted(script, state_of):
    script.add(_noted("seat", '"aisle"'))
    script.add(_noted("seat", "null"))
    assert "seat" not in state_of(script).slots


def test_a_stale_fact_is_refreshed_as_it_was_fetched(script, state_of):
    arguments = '{"reservation_id":"482915"}'
    script.add(ev.FactsFetched("reservation", "get_reservation", arguments, '{"refundable":true}', 5_000))
    (stale,) = stale_slots(state_of(script), now_ms=script.now_ms + 6_000)
    assert (stale.slot.name, stale.fact) == ("reservation.refundable", "reservation")
    assert (stale.tool, stale.arguments_json) == ("get_reservation", arguments)
    assert not stale_slots(state_of(script), now_ms=script.now_ms + 4_000)


def test_a_results_values_get_stale_as_the_bundle_declares_and_are_read_again(script, state_of):
    script.add(
        ev.ActionRequested("act_r", "call_r", "get_reservation", '{"reservation_id":"482915"}', "read")
    )
    script.finished(action_id="act_r", tool="get_reservation", result='{"amount":310.5}')
    (stale,) = stale_slots(state_of(script), now_ms=script.now_ms + 31_000)
    assert stale.slot.name == "get_reservation.amount"
    assert (stale.tool, stale.arguments_json) == ("get_reservation", '{"reservation_id":"482915"}')


def test_nothing_that_changes_the_world_is_ever_a_refresh(script, state_of):
    script.caller("The window, please.")
    script.add(ev.ActionRequested("act_1", "call_1", "choose_seat", '{"seat":"window"}', "write"))
    script.finished(tool="choose_seat", result='{"seat":"window"}')
    state = state_of(script)
    stale = stale_slots(state, now_ms=script.now_ms + 10**9)
    assert all(not one.tool for one in stale)


def test_facts_declared_in_a_bundle_give_their_tools_a_time_to_live():
    bundle = {
        "domain.yaml": b"facts:\n  a: {tool: t, ttl_ms: 500}\n  b: {tool: t, ttl_ms: 200}\n  c: {tool: u}\n",
        "broken.yaml": b"facts: [",
        "notes.txt": b"facts: {}",
    }
    assert fact_ttls(bundle) == {"t": 200}


def test_people_places_and_ids_are_entities_with_what_holds_them(script, state_of):
    script.caller("My daughter Anna Weber flies to Lisbon.")
    script.agent("What is the reservation id of Anna Weber?")
    script.requested(arguments='{"reservation_id":"482915"}')
    found = {one.name: (one.kind, one.mentions) for one in newest_entities(state_of(script))}
    assert found["Anna Weber"] == ("name", 2)
    assert found["Lisbon"] == ("name", 1)
    assert found["482915"] == ("reservation_id", 1)
    packet = build_packet(state_of(script), reason="", now_ms=1)
    assert packet.entities[0].name == "482915"


def test_entities_are_bounded_and_those_with_a_meaning_stay(script, state_of):
    script.requested(arguments='{"reservation_id":"482915"}')
    for n in range(60):
        script.caller(f"I spoke to Mister Number{n}.")
    state = state_of(script)
    assert len(state.entities) == 48
    assert "482915" in state.entities
