"""An action whose outcome was unknown and that is wanted again: tools are asked what they know, nothing runs again."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.doubts import ASK_MS
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import restore, snapshot
from session_core_kit import CoreCall


def told_unknown(**rules):
    """A note of which nobody knows whether it was made; the caller was told so."""
    call = CoreCall(input_gate="off", **rules)
    note(call, "call_1")
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs("unknown", error_code="unknown_outcome")
    return call


def in_doubt(**rules):
    """A note of which nobody knows whether it was made, and that the model wants once more."""
    call = told_unknown(**rules)
    judge(call)
    call.reply("I can't tell yet.")
    note(call, "call_2")
    return call


def judge(call):
    if call.state.rules.result_gate != "off":
        call.do(ev.Decided(decision_id=call.question("result").decision_id, effect=Effect.ALLOW))


def note(call, call_id):
    call.says("Add a note.")
    call.reply("", calls=[(call_id, "add_note", {"reservation": "482915"})])


def told(call):
    return call.results()["call_2"]


def test_tools_are_asked_what_they_know_by_now_and_run_nothing():
    call = in_doubt()
    asked = call.one(fx.Execute)
    assert (asked.action_id, asked.attach_only) == (call.action().action_id, True)
    assert asked.deadline_ms == ASK_MS
    assert not [question for question in call.new(fx.AskPolicy) if question.gate == "action"]


def test_the_model_is_told_what_became_of_it_and_nobody_has_to_find_out_any_more():
    call = in_doubt()
    call.runs()
    assert told(call)["status"] == "ok"
    assert [fact["status"] for fact in call.facts("action_finished")] == ["unknown", "ok"]
    assert [task["outcome"] for task in call.facts("task_closed")] == ["done"]
    assert call.new(fx.RequestReply)


def test_while_tools_do_not_know_either_the_promise_stands_and_is_not_doubled():
    call = in_doubt()
    call.runs("unknown", error_code="unknown_outcome")
    assert told(call)["error_code"] == "unknown_outcome"
    assert len(call.facts("action_finished")) == len(call.facts("task_opened")) == 1
    assert not call.state.open_actions()


def test_what_proves_to_have_failed_may_be_wanted_again_as_the_next_one():
    call = in_doubt()
    call.runs("failed", error_code="tool_unavailable")
    first = call.action().action_id
    call.reply("It did not go through.")
    note(call, "call_3")
    call.decides(Effect.ALLOW)
    call.journals()
    again = call.one(fx.Execute)
    assert again.action_id != first
    assert not again.attach_only


def test_what_was_never_begun_is_not_begun_by_asking():
    call = in_doubt()
    call.runs("failed", error_code="not_started")
    assert told(call)["error_code"] == "not_started"
    assert not call.new(fx.Execute)
    assert not call.new(fx.Journal)


def test_a_call_that_comes_while_they_are_asked_waits_for_the_same_answer():
    call = in_doubt()
    call.new(fx.RequestReply)
    call.calls("call_3", "add_note", {"reservation": "482915"})
    call.runs()
    assert call.results()["call_2"] == call.results()["call_3"]
    assert len(call.new(fx.Execute)) == 0


@pytest.mark.parametrize("gate", ["off", "blocking"])
def test_a_late_fact_that_comes_first_is_the_answer_and_is_judged_like_one(gate):
    call = in_doubt(result_gate=gate)
    fact = ev.ActionReconciled(
        action_id=call.action().action_id, status="ok", data_json='{"message":"Done."}'
    )
    call.do(fact)
    judge(call)
    assert told(call)["status"] == "ok"
    call.runs()
    assert len(call.results()) == 2, "what tools answer after that is known"


def test_a_new_owner_asks_again():
    call = in_doubt()
    other = CoreCall(state=restore(snapshot(call.state)), started=False)
    other.do(ev.Resumed(epoch=2, owner="session-1"))
    assert other.one(fx.Execute).attach_only


def truth(call, message="The note is there."):
    call.do(
        ev.ActionReconciled(
            action_id=call.action().action_id, status="ok", data_json='{"card":"4111"}', message=message
        )
    )


def finished(call):
    return [(fact["status"], fact["result_json"]) for fact in call.facts("action_finished")]


def test_a_truth_that_nobody_asked_for_is_judged_before_it_is_said_or_on_record():
    call = told_unknown(result_gate="blocking")
    judge(call)
    call.reply("I can't tell yet.")
    truth(call)
    assert not call.new(fx.RequestSpeech)
    assert len(finished(call)) == 1
    question = call.question("result")
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.DENY, say="It is done."))
    assert call.speaks().text == "It is done."
    assert finished(call)[1] == ("ok", "")
    assert len(call.results()) == 1, "the model's call was answered already"
    assert not call.state.tasks


def test_a_truth_that_comes_while_the_doubt_is_judged_takes_its_place():
    call = told_unknown(result_gate="blocking")
    before = call.question("result")
    truth(call)
    question = call.question("result")
    call.do(ev.Decided(decision_id=before.decision_id, effect=Effect.ALLOW))
    assert not call.results()
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW))
    assert call.results()["call_1"]["status"] == "ok"
    assert not call.state.tasks


def test_a_truth_that_comes_after_the_end_is_on_record_without_what_nobody_judged():
    call = told_unknown(result_gate="blocking")
    judge(call)
    call.do(ev.ClientGone(reason="hang_up"))
    truth(call)
    assert finished(call)[1] == ("ok", "")
    assert not call.new(fx.RequestSpeech)


def test_a_new_owner_has_a_truth_judged_that_the_one_before_had_not():
    call = told_unknown(result_gate="blocking")
    judge(call)
    call.reply("I can't tell yet.")
    truth(call)
    other = CoreCall(state=restore(snapshot(call.state)), started=False)
    other.do(ev.Resumed(epoch=2, owner="session-1"))
    other.do(ev.Decided(decision_id=other.question("result").decision_id, effect=Effect.ALLOW))
    assert other.speaks().text == "The note is there."
