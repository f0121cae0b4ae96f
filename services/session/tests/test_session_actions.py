"""Actions: decided with facts, journalled before they run, run once, and told honestly."""

import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import ActionFallback, Effect, SideEffect
from ringback_session.domain.state import ActionPhase
from session_core_kit import PROOF, CoreCall

NEED = ev.FactNeed(name="reservation", tool="get_reservation", arguments_json='{"reservation":"482915"}')


def fact(action_id, *, name="reservation", value='{"refundable":true}', **more):
    return ev.FactFetched(
        action_id=action_id,
        name=name,
        tool="get_reservation",
        arguments_json='{"reservation":"482915"}',
        value_json=value,
        **more,
    )


def note(call, call_id="call_1", text="482915"):
    call.says("Add a note.")
    call.reply("", calls=[(call_id, "add_note", {"reservation": text})])


def looks_up(call, call_id="call_1", value="482915"):
    call.says("What is it?")
    call.reply("", calls=[(call_id, "get_reservation", {"reservation": value})])


def test_a_read_runs_without_a_journal(call):
    looks_up(call)
    call.decides(Effect.ALLOW)
    assert not call.new(fx.Journal)
    asked = call.runs(data_json='{"status":"confirmed","message":"It is confirmed."}')
    assert (asked.tool, asked.version, asked.deadline_ms) == ("get_reservation", "1.2", 8_000)
    told = call.results()["call_1"]
    assert (told["status"], told["message"]) == ("ok", "It is confirmed.")
    call.reply("It is confirmed.")


def test_a_write_runs_only_after_the_record_is_written(call):
    note(call)
    call.decides(Effect.ALLOW)
    assert not call.new(fx.Execute)
    assert call.action().phase is ActionPhase.JOURNALLING
    call.journals()
    asked = call.runs()
    assert (asked.proof, asked.attach_only) == (PROOF, False)


def test_a_record_that_cannot_be_written_means_not_started_and_a_task(call):
    note(call)
    call.decides(Effect.ALLOW)
    asked = call.one(fx.Journal)
    call.do(ev.JournalFailed(action_id=asked.action_id, reason="journal_unavailable"))
    assert call.results()["call_1"]["error_code"] == "journal_unavailable"
    assert call.facts("task_opened")[0]["reason"] == "journal_unavailable"
    call.do(ev.Journalled(action_id=asked.action_id))
    assert not call.new(fx.Execute)


def test_an_unknown_tool_is_told_to_the_model(call):
    call.says("Fly.")
    call.reply("", calls=[("call_1", "fly", {})])
    assert call.results()["call_1"]["error_code"] == "unknown_tool"
    assert call.new(fx.RequestReply)


@pytest.mark.parametrize(
    "arguments", ["{}", '{"reservation": 5}', "nonsense", "[]", '{"reservation": "1", "x": 2}']
)
def test_arguments_that_do_not_fit_are_told_to_the_model(call, arguments):
    call.says("Look.")
    call.reply("", calls=[("call_1", "get_reservation", arguments)])
    assert call.results()["call_1"]["error_code"] == "invalid_arguments"
    assert not call.state.actions


def test_a_denied_action_is_answered_with_policys_reason(call):
    looks_up(call)
    call.decides(Effect.DENY, say="That ticket is not refundable.", rule="refundable", layer="domain")
    told = call.results()["call_1"]
    assert (told["error_code"], told["message"]) == ("denied_by_policy", "That ticket is not refundable.")
    assert call.facts("action_decided")[-1]["rule"] == "refundable"
    assert call.new(fx.RequestReply)


def test_a_confirm_without_anything_to_read_back_runs_nothing(call):
    note(call)
    call.decides(Effect.CONFIRM, read_back=None)
    assert call.results()["call_1"]["error_code"] == "denied_by_policy"


def test_facts_that_a_rule_needs_are_fetched_and_policy_is_asked_again(call):
    note(call)
    action_id = call.question_about_facts()
    fetch = call.one(fx.FetchFact)
    assert (fetch.tool, fetch.name) == ("get_reservation", "reservation")
    call.do(fact(action_id))
    question = call.decides(Effect.ALLOW)
    assert question.facts[0]["value_json"] == '{"refundable":true}'
    assert call.facts("facts_fetched")[0]["name"] == "reservation"
    assert call.new(fx.Journal)


def test_policy_is_asked_again_only_when_all_facts_are_there(call):
    note(call)
    other = ev.FactNeed(name="account", tool="get_reservation", arguments_json="{}")
    action_id = call.question_about_facts(NEED, other)
    call.do(fact(action_id))
    assert not call.new(fx.AskPolicy)
    call.do(fact(action_id, name="account"))
    assert call.question()


def test_after_two_rounds_of_facts_the_fallback_holds(call):
    note(call)
    for _ in range(2):
        call.do(fact(call.question_about_facts()))
    call.question_about_facts()
    assert call.results()["call_1"]["error_code"] == "policy_unavailable"
    assert call.facts("task_opened")


def test_a_fact_that_cannot_be_had_is_policys_to_judge(call):
    note(call)
    call.do(fact(call.question_about_facts(), value="", unavailable=True))
    assert call.question().facts[0]["unavailable"]


def test_a_fact_that_could_not_be_had_is_asked_for_again_at_the_next_decision(call):
    note(call)
    call.do(fact(call.question_about_facts(), value="", unavailable=True))
    call.decides(Effect.DENY)
    note(call, call_id="call_2")
    assert not call.question().facts


def test_a_fact_that_comes_twice_or_that_nobody_wants_changes_nothing(call):
    note(call)
    need = {"tool": "get_reservation", "arguments_json": '{"reservation":"482915"}'}
    action_id = call.question_about_facts(
        ev.FactNeed(name="reservation", **need), ev.FactNeed(name="fare", **need)
    )
    call.do(fact(action_id), fact(action_id), fact(action_id, name="weather"))
    assert not call.new(fx.AskPolicy)
    call.do(fact(action_id, name="fare"))
    assert {known["name"] for known in call.question().facts} == {"reservation", "fare"}


def test_a_callback_promise_is_kept_once_the_same_thing_was_done_in_the_call(call):
    note(call)
    call.do(fact(call.question_about_facts(), value="", unavailable=True, fallback="callback"))
    told = call.results()["call_1"]
    assert told["message"] == call.state.rules.say_unavailable
    note(call, call_id="call_2")
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs()
    (opened,) = call.facts("task_opened")
    assert call.facts("task_closed") == [{"task_id": opened["task_id"], "outcome": "done"}]
    assert not call.state.tasks


def test_a_fact_whose_tool_promises_a_callback_ends_in_an_honest_answer_and_a_task(call):
    note(call)
    action_id = call.question_about_facts()
    call.do(
        fact(
            action_id,
            value="",
            unavailable=True,
            fallback="callback",
            message="The reservation system does not answer.",
            open_breakers=("reservations",),
        )
    )
    told = call.results()["call_1"]
    assert (told["error_code"], told["message"]) == (
        "tool_unavailable",
        "The reservation system does not answer.",
    )
    assert call.facts("task_opened")[0]["reason"] == "fact_unavailable"
    assert call.state.open_breakers == ["reservations"]


def test_with_policy_away_reads_proceed(call):
    looks_up(call)
    call.policy_is_away()
    assert call.new(fx.Execute)
    assert call.facts("action_decided")[-1]["source"] == "fallback"


def test_with_policy_away_a_write_stops_with_a_task(call):
    note(call)
    call.policy_is_away()
    assert call.results()["call_1"]["error_code"] == "policy_unavailable"
    assert call.facts("task_opened")[0]["reason"] == "policy_away"
    assert not call.new(fx.Journal)


def test_no_bundle_lets_a_write_run_undecided():
    lax = {SideEffect.WRITE: ActionFallback(effect=Effect.ALLOW)}
    call = CoreCall(fallbacks=lax)
    note(call)
    call.policy_is_away()
    assert call.facts("action_decided")[-1]["effect"] == "DENY"
    assert not call.new(fx.Journal)


def test_a_decision_that_comes_after_its_fallback_is_ignored(call):
    note(call)
    question = call.question()
    call.do(ev.Decided(decision_id=question.decision_id, source="fallback"))
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, proof=PROOF))
    assert not call.new(fx.Journal)


def test_a_call_repeated_while_its_action_is_open_gets_the_same_result(call):
    looks_up(call)
    call.calls("call_2", "get_reservation", {"reservation": "482915"})
    call.decides(Effect.ALLOW)
    call.runs()
    assert call.results()["call_1"] == call.results()["call_2"]
    assert [fact["attached"] for fact in call.facts("action_requested")] == [False, True]


def test_a_write_repeated_after_its_success_is_answered_as_already_done(call):
    note(call)
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs()
    call.reply("Noted.")
    note(call, "call_2")
    assert call.results()["call_2"]["already_done"] is True
    assert not call.new(fx.Execute)
    assert not [e for e in call.new(fx.AskPolicy) if e.gate == "action"]


def test_an_outcome_that_nobody_can_tell_is_told_as_such(call):
    """Tools were away until the action's time was over: there are no words of theirs."""
    note(call)
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs("unknown", error_code="unknown_outcome", message="")
    assert "can't tell yet" in call.results()["call_1"]["message"]


def test_a_write_whose_outcome_is_unknown_is_not_tried_again(call):
    note(call)
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs("unknown", error_code="unknown_outcome", message="I can't tell yet.")
    assert call.facts("task_opened")[0]["reason"] == "unknown_outcome"
    call.reply("I can't tell yet.")
    note(call, "call_2")
    assert call.runs("unknown", error_code="unknown_outcome", message="I can't tell yet.").attach_only
    assert call.results()["call_2"]["error_code"] == "unknown_outcome"
    assert len(call.facts("task_opened")) == len(call.facts("action_finished")) == 1


def test_an_action_that_had_no_effect_may_be_tried_as_the_next_one(call):
    note(call)
    call.decides(Effect.ALLOW)
    call.journals()
    first = call.runs("failed", error_code="upstream_error", retryable=True)
    call.reply("That did not work.")
    note(call, "call_2")
    call.decides(Effect.ALLOW)
    call.journals()
    second = call.runs()
    assert first.action_id != second.action_id
    assert [action.ordinal for action in call.state.actions.values()] == [1, 2]


def test_a_read_repeated_is_read_again(call):
    looks_up(call)
    call.decides(Effect.ALLOW)
    call.runs()
    call.reply("Confirmed.")
    looks_up(call, "call_2")
    call.decides(Effect.ALLOW)
    assert call.new(fx.Execute)


def test_the_same_arguments_said_differently_are_the_same_action(call):
    call.says("Note.")
    call.reply("", calls=[("call_1", "add_note", '{"reason": "x", "reservation": "1"}')])
    call.calls("call_2", "add_note", ' {"reservation":"1","reason":"x"}')
    assert len(call.state.actions) == 1


def test_a_call_that_is_reported_twice_is_answered_once(call):
    looks_up(call)
    call.calls("call_1", "get_reservation", {"reservation": "482915"})
    call.decides(Effect.ALLOW)
    call.runs()
    call.calls("call_1", "get_reservation", {"reservation": "482915"})
    assert call.results()["call_1"]["status"] == "ok"


@pytest.mark.parametrize("fallback", ["callback", "person"])
def test_a_failed_action_with_a_fallback_is_told_honestly_and_leaves_a_task(call, fallback):
    looks_up(call)
    call.decides(Effect.ALLOW)
    call.runs(
        "failed",
        error_code="tool_unavailable",
        fallback=fallback,
        fallback_message="I'll have someone call you back.",
        open_breakers=("reservations",),
        attempts=3,
    )
    told = call.results()["call_1"]
    assert (told["status"], told["message"]) == ("error", "I'll have someone call you back.")
    assert call.facts("task_opened")[0]["reason"] == "tool_unavailable"
    assert call.facts("action_finished")[0]["attempts"] == 3
    assert call.state.open_breakers == ["reservations"]


def test_an_action_that_policy_escalates_is_not_started_and_a_person_takes_over(call):
    note(call)
    call.decides(
        Effect.ESCALATE, escalate="needs_a_supervisor", rule="safety.limit", say="A colleague will help."
    )
    assert call.one(fx.FetchPacket).reason == "needs_a_supervisor"
    assert call.speaks().text == "A colleague will help."
    assert call.results()["call_1"]["error_code"] == "escalated"
    assert not call.new(fx.RequestReply)


def test_progress_is_a_fact_of_the_call(call):
    looks_up(call)
    call.decides(Effect.ALLOW)
    action_id = call.action().action_id
    call.do(ev.ActionProgressed(action_id=action_id, stage="attempt", attempt=2, message="timeout"))
    call.do(ev.ActionProgressed(action_id="act_other", stage="attempt"))
    assert [fact["attempt"] for fact in call.facts("action_progressed")] == [2]


def test_a_result_counts_once(call):
    looks_up(call)
    call.decides(Effect.ALLOW)
    asked = call.runs()
    call.do(ev.ActionResult(action_id=asked.action_id, status="failed"))
    assert len(call.facts("action_finished")) == 1


def test_policy_sees_what_the_call_has_done(call):
    looks_up(call)
    call.decides(Effect.ALLOW)
    call.runs()
    call.reply("Fine.")
    note(call, "call_2")
    view = call.question().view
    assert [(past["tool"], past["status"]) for past in view["actions"]] == [
        ("get_reservation", "ok"),
        ("add_note", "open"),
    ]
    assert view["totals"][0] | {"sums": {}} == {
        "tool": "get_reservation",
        "requested": 1,
        "succeeded": 1,
        "failed": 0,
        "sums": {},
    }
    assert view["turn"] == 2


@pytest.fixture
def with_client_tool():
    call = CoreCall(client_tools="confirm")
    call.says("Dim the lights.")
    wanted = call.one(fx.RequestReply)
    call.calls("call_1", "dim", {"level": 3}, reply_id=wanted.reply_id, client_tool=True)
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="completed"))
    return call


def test_a_clients_own_tool_is_handed_to_it_after_policy_agreed(with_client_tool):
    call = with_client_tool
    assert not call.new(fx.DeliverClientCall)
    call.decides(Effect.ALLOW)
    assert not call.new(fx.DeliverClientCall), "the record is written first"
    call.journals()
    delivered = call.one(fx.DeliverClientCall)
    assert (delivered.call_id, delivered.tool, json.loads(delivered.arguments_json)) == (
        "call_1",
        "dim",
        {"level": 3},
    )
    call.do(ev.ClientCallOutput(call_id="call_1", output="dimmed"))
    assert call.facts("action_finished")[0]["result_json"] == '"dimmed"'
    assert not call.new(fx.ReturnResult), "the client's own item answers the call"


def test_a_repeated_call_of_a_clients_tool_is_answered_with_it(with_client_tool):
    call = with_client_tool
    call.decides(Effect.ALLOW)
    call.journals()
    call.calls("call_2", "dim", {"level": 3}, client_tool=True)
    call.do(ev.ClientCallOutput(call_id="call_1", output='{"ok":true}'))
    assert list(call.results()) == ["call_2"]


def test_a_client_cannot_answer_a_call_that_it_was_not_handed(with_client_tool):
    call = with_client_tool
    call.do(ev.ClientCallOutput(call_id="call_1", output="done"))
    assert call.action().phase is ActionPhase.DECIDING
    call.decides(Effect.DENY, say="Not in this call.")
    assert call.results()["call_1"]["error_code"] == "denied_by_policy"


def test_a_clients_tool_does_not_keep_a_call_open_after_its_end(with_client_tool):
    from ringback_session.domain.recovery import settled

    call = with_client_tool
    call.decides(Effect.ALLOW)
    call.journals()
    call.do(ev.ClientGone(reason="client_closed"))
    assert settled(call.state)
    assert not call.facts("task_opened")


def test_what_the_model_calls_after_the_end_is_not_begun(call):
    call.do(ev.ClientGone(reason="client_closed"))
    call.calls("call_1", "add_note", {"reservation": "1"})
    assert not call.new(fx.AskPolicy)
    assert not call.state.open_actions()
