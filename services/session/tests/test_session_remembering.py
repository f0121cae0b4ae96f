"""What the call knows: noted by the model, refreshed before it is decided with, recalled from earlier calls."""

import json

import pytest
from ringback_session import wire
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.known import StaleValue
from ringback_session.domain.notes import NOTES_PER_TURN_MAX
from ringback_session.domain.recalling import RECALL
from ringback_session.domain.state import SlotValue, restore, snapshot
from session_agents_kit import team_state
from session_core_kit import CoreCall

READ = {"tool": "get_reservation", "arguments_json": '{"reservation":"482915"}'}


@pytest.fixture
def team():
    return CoreCall(state=team_state())


def slot(name, value, *, call, ttl_ms=0, age_ms=0):
    return SlotValue(
        name=name, value_json=json.dumps(value), as_of_seq=1, at_ms=call.now_ms - age_ms, ttl_ms=ttl_ms
    )


def remembers(call, *slots, stale=(), as_of=None):
    """Memory answers, by default as of now."""
    as_of = as_of or (call.state.epoch, call.state.seq)
    call.do(ev.ContextArrived(slots=slots, as_of=as_of, stale=tuple(stale)))


def asks_for_a_note(call, **arguments):
    call.says("Please keep that in mind.")
    call.reply("", calls=[("n1", "note", arguments)])


def questions(call):
    return [e for e in call.new(fx.AskPolicy) if e.gate == "action"]


def shown(question):
    return {entry["name"]: json.loads(entry["value_json"]) for entry in question.view["slots"]}


# Notes.


def test_a_note_goes_to_memory_as_it_was_said(team):
    asks_for_a_note(team, name="seat", value="aisle", said_by="caller")
    (fact,) = team.facts("slots_changed")
    assert fact["slots"] == [{"name": "seat", "value_json": '"aisle"', "source": "caller", "confidence": 0.9}]
    assert team.results()["n1"] == {"status": "ok"}
    published = [e for e in team.effects if isinstance(e, fx.Publish) and e.kind == "slots_changed"]
    assert wire.event(published[0], "local", "sess_1").slots_changed.slots[0].name == "seat"


def test_what_the_model_understood_counts_less_than_the_callers_words(team):
    asks_for_a_note(team, name="seat", value="aisle")
    note = team.facts("slots_changed")[0]["slots"][0]
    assert (note["source"], note["confidence"]) == ("agent", 0.7)


def test_a_note_can_be_taken_back(team):
    asks_for_a_note(team, name="seat", value=None)
    assert team.facts("slots_changed")[0]["slots"][0]["value_json"] == "null"


def test_a_reply_that_only_noted_is_followed_by_one_that_speaks(team):
    asks_for_a_note(team, name="seat", value="aisle")
    assert team.one(fx.RequestReply).tools


def test_a_reply_that_spoke_and_noted_is_enough(team):
    team.says("Please keep that in mind.")
    team.reply("I will.", calls=[("n1", "note", {"name": "seat", "value": "aisle"})])
    assert not team.new(fx.RequestReply)
    assert team.results()["n1"] == {"status": "ok"}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"name": "seat"},
        {"name": "Seat!", "value": 1},
        {"name": "seat", "value": {"a": 1}},
        {"name": "x", "value": "v" * 601},
    ],
)
def test_a_note_that_is_none_is_told_to_the_model(team, arguments):
    asks_for_a_note(team, **arguments)
    assert team.results()["n1"]["error_code"] == "invalid_arguments"
    assert not team.facts("slots_changed")


def test_a_model_that_notes_and_notes_is_made_to_speak(team):
    team.says("Well.")
    for number in range(NOTES_PER_TURN_MAX + 1):
        team.reply("", calls=[(f"n{number}", "note", {"name": "seat", "value": number})])
    assert team.results()[f"n{NOTES_PER_TURN_MAX}"]["error_code"] == "too_many_notes"
    assert not team.one(fx.RequestReply).tools
    assert len(team.facts("slots_changed")) == NOTES_PER_TURN_MAX


@pytest.mark.parametrize(
    ("said", "arguments", "taken"),
    [
        ({}, {"value": True, "said_by": "caller"}, True),
        ({}, {"value": True, "said_by": "agent"}, False),
        ({"confidence": 0.2}, {"value": True, "said_by": "caller"}, False),
        ({"confidence": 0.2}, {"value": False, "said_by": "agent"}, True),
        ({}, {"value": "yes", "said_by": "caller"}, False),
    ],
)
def test_only_the_callers_own_clear_word_lets_them_be_remembered(team, said, arguments, taken):
    team.says("Yes, remember me.", **said)
    team.reply("", calls=[("n1", "note", {"name": "memory_consent"} | arguments)])
    assert bool(team.facts("slots_changed")) is taken
    assert taken or team.results()["n1"]["error_code"] == "not_said"


def test_an_agent_without_notes_has_no_such_function(call):
    call.says("Well.")
    call.reply("", calls=[("n1", "note", {"name": "seat", "value": 1})])
    assert call.results()["n1"]["error_code"] == "unknown_tool"


# Freshness.


def test_a_stale_value_is_read_again_before_a_change_is_decided(call):
    remembers(
        call,
        slot("reservation.status", "flown", call=call, ttl_ms=1_000, age_ms=2_000),
        slot("reservation.cabin", "economy", call=call, ttl_ms=1_000, age_ms=2_000),
        slot("city", "Lisbon", call=call),
        stale=[
            StaleValue(name="reservation.status", fact="reservation", ttl_ms=1_000, **READ),
            StaleValue(name="reservation.cabin", fact="reservation", ttl_ms=1_000, **READ),
        ],
    )
    call.asks_to_cancel()
    call.new(fx.PullContext)
    remembers(call, *call.state.slots.values(), stale=list(call.state.known.stale.values()))
    refresh = call.one(fx.RefreshValue)
    assert (refresh.tool, refresh.arguments_json) == (READ["tool"], READ["arguments_json"])
    assert not questions(call)
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"status":"confirmed"}'))
    (question,) = questions(call)
    assert shown(question) == {"reservation.status": "confirmed", "city": "Lisbon"}
    assert question.facts[0]["name"] == "reservation"
    assert call.facts("facts_fetched")[0]["ttl_ms"] == 1_000


def test_a_stale_value_that_cannot_be_read_again_counts_as_missing(call):
    remembers(
        call,
        slot("a.x", 1, call=call),
        slot("b", 2, call=call),
        stale=[StaleValue(name="a.x", tool="get_reservation", arguments_json="{}")],
    )
    call.says("Cancel 482915.")
    remembers(call, *call.state.slots.values(), stale=list(call.state.known.stale.values()))
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    refresh = call.one(fx.RefreshValue)
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=False))
    assert shown(questions(call)[0]) == {"b": 2}


def test_a_refreshed_result_of_a_tool_is_told_as_its_result(call):
    remembers(call, slot("cabin", "economy", call=call), stale=[StaleValue(name="cabin", **READ)])
    call.says("Cancel 482915.")
    remembers(call, *call.state.slots.values(), stale=list(call.state.known.stale.values()))
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    refresh = call.one(fx.RefreshValue)
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"cabin":"business"}'))
    (fact,) = call.facts("action_finished")
    assert (fact["tool"], fact["status"], fact["side_effect"]) == ("get_reservation", "ok", "read")
    assert shown(questions(call)[0]) == {"cabin": "business"}


def test_a_value_without_a_hook_is_simply_missing(call):
    remembers(call, slot("pin", 1, call=call), stale=[StaleValue(name="pin")])
    call.says("Cancel 482915.")
    remembers(call, *call.state.slots.values(), stale=[StaleValue(name="pin")])
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    assert shown(questions(call)[0]) == {}


def test_reads_do_not_wait_for_a_refresh(call):
    remembers(call, slot("x", 1, call=call), stale=[StaleValue(name="x", **READ)])
    call.says("Look it up.")
    call.reply("", calls=[("c1", "get_reservation", {"reservation": "482915"})])
    assert shown(questions(call)[0]) == {}
    assert not call.new(fx.RefreshValue)


def test_while_memory_has_not_heard_the_last_turn_its_slots_do_not_count(call):
    remembers(call, slot("city", "Lisbon", call=call))
    before = (call.state.epoch, call.state.seq)
    call.says("No, Porto. Cancel 482915.")
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    assert not questions(call), "memory is asked first"
    remembers(call, *call.state.slots.values(), as_of=before)
    assert not questions(call)
    call.do(ev.ContextMissed())
    assert shown(questions(call)[0]) == {}


def test_a_change_waits_for_what_memory_makes_of_the_last_turn(call):
    remembers(call, slot("city", "Lisbon", call=call))
    call.says("No, Porto. Cancel 482915.")
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    remembers(call, slot("city", "Porto", call=call))
    assert shown(questions(call)[0]) == {"city": "Porto"}


def test_the_callers_words_are_judged_with_what_was_known_before_them(call):
    remembers(call, slot("city", "Lisbon", call=call))
    call.says("Cancel.", gate=None)
    assert shown(call.one(fx.AskPolicy)) == {"city": "Lisbon"}


def test_two_actions_share_one_refresh(call):
    remembers(call, slot("x", 1, call=call), stale=[StaleValue(name="x", **READ)])
    call.says("Cancel and note it.")
    remembers(call, *call.state.slots.values(), stale=[StaleValue(name="x", **READ)])
    calls = [
        ("c1", "cancel_reservation", {"reservation": "482915"}),
        ("c2", "add_note", {"reservation": "482915"}),
    ]
    call.reply("", calls=calls)
    refresh = call.one(fx.RefreshValue)
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"x":2}'))
    assert [shown(question) for question in questions(call)] == [{"x": 2}, {"x": 2}]


def test_a_value_that_went_stale_since_memory_told_of_it_is_asked_about_again(call):
    remembers(call, slot("x", 1, call=call, ttl_ms=5_000))
    call.says("Cancel 482915.")
    remembers(call, *call.state.slots.values())
    call.pass_ms(6_000)
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    assert call.new(fx.PullContext)
    assert not questions(call)
    remembers(call, *call.state.slots.values(), stale=[StaleValue(name="x", **READ)])
    call.one(fx.RefreshValue)


def test_a_new_owner_prepares_a_decision_anew(call):
    remembers(call, slot("x", 1, call=call), stale=[StaleValue(name="x", **READ)])
    call.says("Cancel 482915.")
    remembers(call, *call.state.slots.values(), stale=[StaleValue(name="x", **READ)])
    call.reply("", calls=[("c1", "cancel_reservation", {"reservation": "482915"})])
    other = CoreCall(state=restore(snapshot(call.state)), started=False)
    other.now_ms = call.now_ms + 1_000
    other.do(ev.Resumed(epoch=2, owner="session-1"))
    refresh = other.one(fx.RefreshValue)
    other.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"x":2}'))
    assert shown(other.question()) == {"x": 2}


def test_an_answer_of_memory_that_was_overtaken_tells_nothing_new(call):
    remembers(call, slot("city", "Porto", call=call), as_of=(1, 9))
    remembers(call, slot("city", "Lisbon", call=call), as_of=(1, 4))
    assert call.state.slots["city"].value_json == '"Porto"'
    assert call.state.known.as_of == (1, 9)


# Recall.


def test_what_earlier_calls_left_is_put_at_the_head():
    call = CoreCall(state=team_state(caller_id="caller-7"))
    asked = call.one(fx.Recall)
    assert (asked.min_epoch, asked.min_seq) == (1, 1)
    assert asked.budget_tokens > 0
    call.do(ev.Recalled(text='From earlier calls of this caller:\n- prefers "aisle"'))
    note = call.one(fx.Note)
    assert (note.role, note.at_head) == ("system", True)
    assert call.state.history[0].name == RECALL
    call.do(ev.Recalled(text="again"))
    assert not call.new(fx.Note)


def test_nobody_is_asked_about_a_caller_who_is_not_known(call):
    assert not call.new(fx.Recall)


def test_nothing_left_or_nothing_allowed_is_nothing_said():
    call = CoreCall(state=team_state(caller_id="caller-7"))
    call.do(ev.Recalled(text=""))
    assert not call.new(fx.Note)
    assert not call.state.history


def test_a_compact_context_takes_the_place_of_the_recall():
    call = CoreCall(state=team_state(caller_id="caller-7"))
    call.do(ev.Recalled(text="recalled"))
    recalled = call.state.history[0].item_id
    call.says("Hello.")
    call.reply("Hi.")
    plan = ev.CompactionPlan(
        epoch=1, covers_epoch=1, covers_seq=9, item_ids=(), call_ids=(), compact_context="So far."
    )
    call.do(ev.ContextArrived(slots=(), as_of=(1, call.state.seq), plan=plan))
    assert recalled in call.one(fx.Forget).item_ids


def test_spent_calls_of_our_own_functions_go_with_the_turns_around_them(team):
    asks_for_a_note(team, name="seat", value="aisle")
    team.reply("Noted.")
    asked, noted, answered, said = [entry.item_id for entry in team.state.history]
    plan = ev.CompactionPlan(
        epoch=1, covers_epoch=1, covers_seq=9, item_ids=(asked, said), call_ids=(), compact_context="So far."
    )
    team.do(ev.ContextArrived(slots=(), as_of=(1, team.state.seq), plan=plan))
    assert set(team.one(fx.Forget).item_ids) == {asked, noted, answered, said}
    assert [entry.text for entry in team.state.history] == ["So far."]
