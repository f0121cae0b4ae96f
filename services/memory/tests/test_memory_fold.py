"""What the fold makes of the facts of a call."""

from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.context import build_context
from ringback_memory.domain.events import Event, LateFact, Position
from ringback_memory.domain.fold import apply, apply_late
from ringback_memory.domain.state import State, open_tasks, pending_actions, pending_consents
from ringback_memory.domain.turns import last_agent_text


def test_the_spine_call_leaves_its_slots_outcomes_and_promise(script, folded, airline_schema):
    state = folded(script.spine(), schema=airline_schema).state
    slot = state.slots["reservation_id"]
    assert (slot.value_json, slot.source, slot.confidence) == (
        '"482915"',
        "tool",
        1.0,
    ) or slot.source == "read_back"
    assert state.slots["get_reservation.amount"].value_json == "310.5"
    assert state.slots["reservation.refundable"].ttl_ms == 30_000
    assert state.actions["act_1"].status == "ok"
    assert not pending_actions(state)
    assert [task.title for task in open_tasks(state)] == ["Send the refund e-mail"]
    assert state.promises == ("I will send you an e-mail about the refund",)
    assert state.position == Position(1, len(script.events))


def test_a_spoken_id_becomes_a_slot_before_any_tool_is_called(script, folded, airline_schema):
    script.started()
    script.agent("What is the reservation id?")
    script.caller("It's four eight two nine one five.")
    slot = folded(script.events, schema=airline_schema).state.slots["reservation_id"]
    assert (slot.value_json, slot.source) == ('"482915"', "caller")


def test_an_action_waits_for_its_answer_and_a_no_ends_it(script, folded):
    script.requested()
    script.decided("CONFIRM")
    script.add(ev.ConsentAsked("con_1", "act_1", "Cancel?", 9_999_999))
    state = folded(script.events).state
    assert [action.status for action in pending_actions(state)] == ["confirming"]
    assert [consent.consent_id for consent in pending_consents(state)] == ["con_1"]
    script.add(ev.ConsentAnswered("con_1", "act_1", "no", "No."))
    state = folded(script.events).state
    assert not pending_actions(state)
    assert not pending_consents(state)
    assert state.actions["act_1"].status == "not_started"


def test_a_yes_makes_the_arguments_confirmed_by_the_caller(script, folded):
    script.requested()
    script.add(ev.ConsentAsked("con_1", "act_1", "Cancel?", 9_999_999))
    script.add(ev.ConsentAnswered("con_1", "act_1", "yes", "Yes."))
    slot = folded(script.events).state.slots["reservation_id"]
    assert (slot.source, slot.confidence) == ("read_back", 0.99)


def test_a_correction_of_a_read_back_is_remembered_in_the_callers_words(script, folded):
    script.requested()
    script.add(ev.ConsentAsked("con_1", "act_1", "Cancel 482915?", 9_999_999))
    script.add(ev.ConsentAnswered("con_1", "act_1", "correction", "No, 482916."))
    script.requested("act_2", arguments='{"reservation_id":"482916"}', call_id="call_2")
    state = folded(script.events).state
    assert state.corrections[0] == 'to the read-back: "No, 482916."'
    assert state.corrections[1] == 'reservation_id: "482915" → "482916"'
    assert state.slots["reservation_id"].superseded[0].value_json == '"482915"'


def test_a_guess_from_the_transcript_does_not_displace_what_was_confirmed(script, folded, airline_schema):
    script.started()
    script.requested()
    script.add(ev.ConsentAsked("con_1", "act_1", "Cancel?", 9_999_999))
    script.add(ev.ConsentAnswered("con_1", "act_1", "yes", "Yes."))
    script.caller("My phone has the digits 111222 in it", confidence=0.4)
    state = folded(script.events, schema=airline_schema).state
    assert state.slots["reservation_id"].value_json == '"482915"'


def test_a_repeated_call_joins_its_action(script, folded):
    script.requested()
    script.finished()
    script.add(ev.ActionRequested("act_1", "call_9", "cancel_reservation", "{}", "irreversible", True))
    action = folded(script.events).state.actions["act_1"]
    assert action.status == "ok"
    assert action.call_ids == ("call_1", "call_9")


def test_an_unknown_outcome_stays_pending_until_it_is_reconciled(script, folded):
    script.requested()
    script.finished("unknown", result="")
    timeline = folded(script.events)
    assert [action.status for action in pending_actions(timeline.state)] == ["unknown"]
    outcome = ev.ActionFinished("act_1", "cancel_reservation", "ok", '{"status":"cancelled"}')
    assert timeline.add_late(LateFact("tools", 1, 5_000_000, outcome))
    assert not pending_actions(timeline.state)
    assert not timeline.add_late(LateFact("tools", 1, 5_000_000, outcome))


def test_a_late_fact_never_reopens_what_is_settled(script, folded):
    script.requested()
    script.finished("ok")
    state = folded(script.events).state
    late = LateFact("tools", 1, 9_000_000, ev.ActionFinished("act_1", "cancel_reservation", "unknown"))
    assert apply_late(state, late) == state


def test_only_what_was_heard_is_kept_of_an_interrupted_turn(script, folded):
    spoken = script.agent("one two three four five six seven eight")
    script.add(ev.Interrupted(spoken.body.item_id, 1_000))
    turn = folded(script.events).state.turns[-1]
    assert (turn.text, turn.unheard) == ("one two three four", True)


def test_a_filler_neither_hides_a_question_nor_fills_the_context(script, folded, airline_schema):
    script.started()
    script.agent("Shall I upgrade you to business?")
    script.agent("One moment, please.", kind="filler")
    state = folded(script.events, schema=airline_schema).state
    assert last_agent_text(state) == "Shall I upgrade you to business?"
    assert "One moment" not in build_context(state, budget_tokens=500, count=len, now_ms=0).text


def test_a_handoff_voids_the_open_consents(script, folded):
    script.requested()
    script.add(ev.ConsentAsked("con_1", "act_1", "Cancel?", 9_999_999))
    script.add(ev.HandedOff("front", "refunds", "asked for refunds"))
    state = folded(script.events).state
    assert not pending_consents(state)
    assert state.agent == "refunds"
    assert state.handoffs == ("front → refunds: asked for refunds",)


def test_a_task_that_is_closed_is_owed_no_more(script, folded):
    script.add(ev.TaskOpened("task_1", "Call back", "promise"))
    script.add(ev.TaskClosed("task_1", "done"))
    state = folded(script.events).state
    assert not open_tasks(state)
    assert state.tasks["task_1"].status == "done"


def test_a_body_of_an_unknown_kind_keeps_its_place_and_changes_nothing_else():
    state = apply(State(), Event(Position(1, 1), 5, ev.Other(), schema_version=9))
    assert state.position == Position(1, 1)
    assert (state.counts.unknown_kinds, state.counts.newer_schemas) == (1, 1)
    assert not state.slots


def test_everything_that_is_kept_has_a_bound(script, folded):
    for n in range(300):
        script.caller(f"Turn number {n} " + "x" * 500)
        script.requested(
            f"act_{n}", arguments=f'{{"slot_{n}":{n},"long":"{"y" * 3000}"}}', call_id=f"call_{n}"
        )
        script.add(ev.TaskOpened(f"task_{n}", "t" * 100))
        script.add(ev.ConsentAsked(f"con_{n}", f"act_{n}", "?", 0))
        script.add(ev.FactsFetched(f"fact_{n}", "t", "{}", '"v"'))
        script.decided("ALLOW", action_id=f"act_{n}")
    state = folded(script.events).state
    assert len(state.turns) <= limits.TURNS_MAX
    assert state.turns_bytes <= limits.TURNS_BYTES_MAX
    assert len(state.slots) <= limits.SLOTS_MAX
    assert len(state.tasks) <= limits.TASKS_MAX
    assert len(state.actions) <= limits.ACTIONS_MAX
    assert len(state.consents) <= limits.CONSENTS_MAX
    assert len(state.facts) <= limits.FACTS_MAX
    assert len(state.decisions) <= limits.DECISIONS_MAX
    assert len(state.summary.text.encode()) <= limits.SUMMARY_BYTES_MAX
    assert len(state.spilled_item_ids) <= limits.SPILLED_ITEMS_MAX


_text = st.text(max_size=80)
_json = st.sampled_from(
    ["", "{}", "[]", "nonsense", '{"a":{"b":{"c":{"d":1}}}}', '{"a":[1,2],"n":1e400}', "NaN", '"x"']
)
_name = st.sampled_from(["", "a", "b", "act_1", "con_1"])
_bodies = st.one_of(
    st.builds(ev.Started, pack=_text),
    st.builds(ev.CallerSpoke, item_id=_name, text=_text, confidence=st.none() | st.floats()),
    st.builds(ev.AgentSpoke, item_id=_name, said=_text, heard=_text, kind=_name),
    st.builds(ev.Interrupted, item_id=_name, heard_ms=st.integers(0, 2**63)),
    st.builds(ev.ActionRequested, action_id=_name, call_id=_name, tool=_name, arguments_json=_json),
    st.builds(ev.ActionDecided, decision_id=_name, gate=_name, action_id=_name, tool=_name, effect=_name),
    st.builds(ev.ActionProgressed, action_id=_name, stage=_name),
    st.builds(
        ev.ActionFinished,
        action_id=_name,
        tool=_name,
        status=st.sampled_from(["ok", "unknown"]),
        result_json=_json,
    ),
    st.builds(ev.ConsentAsked, consent_id=_name, action_id=_name, read_back=_text),
    st.builds(
        ev.ConsentAnswered,
        consent_id=_name,
        action_id=_name,
        reading=st.sampled_from(["yes", "no", "correction", "?"]),
    ),
    st.builds(ev.FactsFetched, name=_text, tool=_name, arguments_json=_json, value_json=_json),
    st.builds(
        ev.SlotsChanged,
        slots=st.tuples(st.builds(ev.SlotNote, name=_text, value_json=_json, confidence=st.floats())),
    ),
    st.builds(ev.TaskOpened, task_id=_name, title=_text),
    st.builds(ev.TaskClosed, task_id=_name),
    st.builds(
        ev.Compacted, epoch=st.integers(0, 9), covers=st.just(Position(1, 1)), item_ids=st.tuples(_name)
    ),
    st.builds(ev.HandedOff, from_agent=_name, to_agent=_name),
    st.builds(ev.Other),
)


@settings(max_examples=150)
@given(bodies=st.lists(_bodies, max_size=40))
def test_no_sequence_of_facts_raises_and_the_same_one_gives_the_same_state(airline_schema, bodies):
    states = []
    for _ in range(2):
        state = State()
        for n, body in enumerate(bodies):
            state = apply(state, Event(Position(1, n + 1), n, body), schema=airline_schema)
        states.append(state)
    assert states[0] == states[1]
