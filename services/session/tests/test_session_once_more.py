"""The same change wanted once more: a repeated call means the same effect; on purpose it takes a yes of its own."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect, SideEffect
from ringback_session.domain.state import ACTIONS_KEPT
from session_core_kit import BOUND, READ_BACK, BoundValue, read_back

ONCE_MORE = "This was already done in this call. Once more:"
AGAIN = read_back(
    text=f"{ONCE_MORE} {READ_BACK}",
    must_contain=(BoundValue(name="once_more", value=ONCE_MORE, kind="text"), *BOUND),
    once_more=ONCE_MORE,
)


def cancelled(call):
    """The caller had something done that takes a yes."""
    call.is_read_back()
    agreed(call)
    call.reply("It is cancelled.")


def agreed(call):
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    call.journals()
    return call.runs()


def noted(call):
    """The caller had something done that takes none."""
    call.says("Note it.")
    calls(call, "call_1", tool="add_note")
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs()
    call.reply("Noted.")


def calls(call, call_id, *, tool="cancel_reservation"):
    call.reply("", calls=[(call_id, tool, {"reservation": "482915"})])


def insists(call, number=2, *, tool="cancel_reservation"):
    """The caller wants it again; the model is told that it is done, and asks; the caller wants it; the model calls."""
    call.says("Do that again.")
    calls(call, f"call_{number}", tool=tool)
    assert call.results()[f"call_{number}"]["already_done"] is True
    call.reply("That was done already. Once more?")
    call.says("Yes, once more.")
    calls(call, f"call_{number + 1}", tool=tool)


def is_asked_again(call):
    question = call.decides(Effect.CONFIRM, read_back=AGAIN)
    assert call.speaks().text == AGAIN.text
    return question


def only_told(call, call_id):
    """Nothing was begun, and the model knows what came of it the first time."""
    assert call.results()[call_id]["already_done"] is True
    assert call.results()[call_id]["data"] == {"message": "Done."}
    assert not [*call.new(fx.Journal), *call.new(fx.Execute)]
    assert not call.state.open_actions()


def test_what_the_caller_insists_on_is_asked_for_as_once_more_and_done_as_the_next_effect(call):
    cancelled(call)
    first = call.action()
    insists(call)
    question = is_asked_again(call)
    assert question.subject["consent"] is None
    assert question.subject["action_id"] != first.action_id
    done = question.view["actions"][0]
    assert (done["action_id"], done["status"]) == (first.action_id, "ok")
    assert done["arguments_json"] == question.subject["arguments_json"]
    call.says("Yes.")
    call.reads("yes")
    decided = call.decides(Effect.ALLOW)
    assert decided.subject["action_id"] == question.subject["action_id"]
    assert decided.subject["consent"]["consent_id"] != first.consent_id
    call.journals()
    assert call.runs().action_id == question.subject["action_id"]
    assert [action.ordinal for action in call.state.actions.values()] == [1, 2]
    assert "already_done" not in call.results()["call_3"]
    assert question.view["totals"][0]["requested"] == 2


def test_the_words_that_it_is_once_more_are_held_back_until_they_were_said(call):
    cancelled(call)
    insists(call)
    call.decides(Effect.CONFIRM, read_back=AGAIN)
    wanted = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=READ_BACK, item_id="item_x"))
    assert not call.new(fx.ReleaseSpeech), "without them it is not the read-back that may be agreed to"


def test_within_one_turn_of_the_caller_no_repetition_is_on_purpose(call):
    cancelled(call)
    call.says("What about my bag?")
    for call_id in ("call_2", "call_3", "call_4"):
        calls(call, call_id)
        assert "once more" in call.results()[call_id]["hint"]
        only_told(call, call_id)


@pytest.mark.parametrize("said", ["", None])
def test_a_noise_or_words_that_nobody_understood_want_nothing_once_more(call, said):
    cancelled(call)
    call.says("Do that again.")
    calls(call, "call_2")
    call.reply("That was done already. Once more?")
    call.says(said or "", failed=said is None)
    call.calls("call_3", "cancel_reservation", {"reservation": "482915"})
    only_told(call, "call_3")


def test_after_a_no_to_the_second_time_the_model_alone_cannot_ask_again(call):
    cancelled(call)
    insists(call)
    is_asked_again(call)
    call.says("No.")
    call.reads("no")
    assert call.results()["call_3"]["error_code"] == "refused_by_caller"
    calls(call, "call_4")
    only_told(call, "call_4")
    call.reply("It was done once.")
    call.says("Once more, then.")
    calls(call, "call_5")
    is_asked_again(call)
    third = agreed(call)
    assert [action.ordinal for action in call.state.actions.values()] == [1, 2, 3]
    assert third.action_id == list(call.state.actions)[2]


def test_a_yes_said_twice_does_it_once(call):
    cancelled(call)
    insists(call)
    is_asked_again(call)
    agreed(call)
    call.reply("Done once more.")
    call.says("Yes, yes!")
    calls(call, "call_4")
    only_told(call, "call_4")
    assert [action.ordinal for action in call.state.actions.values()] == [1, 2]


def test_while_it_is_asked_about_another_call_joins_it(call):
    cancelled(call)
    insists(call)
    call.decides(Effect.CONFIRM, read_back=AGAIN)
    call.calls("call_4", "cancel_reservation", {"reservation": "482915"})
    call.speaks()
    agreed(call)
    assert call.results()["call_3"] == call.results()["call_4"]
    assert len(call.state.actions) == 2


def test_words_that_do_not_say_that_it_is_once_more_are_never_read_for_it(call):
    cancelled(call)
    insists(call)
    call.decides(Effect.CONFIRM)
    assert not call.new(fx.RequestSpeech)
    only_told(call, "call_3")


def test_a_policy_that_asks_for_no_yes_begins_no_second_effect(call):
    noted(call)
    insists(call, tool="add_note")
    call.decides(Effect.ALLOW)
    only_told(call, "call_3")
    assert "cannot be done once more" in call.results()["call_3"]["hint"]
    call.reply("Done already.")
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    call.says("Again!")
    calls(call, "call_4", tool="add_note")
    call.decides(Effect.ALLOW)
    only_told(call, "call_4")


def test_without_words_to_ask_for_it_the_answer_is_what_came_of_it(call):
    noted(call)
    insists(call, tool="add_note")
    call.decides(Effect.DENY, done_already=True)
    only_told(call, "call_3")
    last = call.facts("action_finished")[-1]
    assert (last["status"], last["error_code"]) == ("not_started", "already_done")


def test_a_rule_that_forbids_it_is_told_as_such(call):
    cancelled(call)
    insists(call)
    call.decides(Effect.DENY, say="Over the limit.")
    assert call.results()["call_3"]["error_code"] == "denied_by_policy"


def test_a_yes_to_the_first_time_is_none_to_the_second(call):
    cancelled(call)
    insists(call)
    call.decides(Effect.ALLOW)
    only_told(call, "call_3")


def test_what_takes_no_yes_is_asked_for_the_second_time(call):
    noted(call)
    insists(call, tool="add_note")
    is_asked_again(call)
    second = agreed(call)
    assert second.side_effect is SideEffect.WRITE
    assert second.action_id != call.action().action_id


def test_a_new_owner_reads_it_back_as_once_more_and_needs_the_yes(call):
    cancelled(call)
    insists(call)
    is_asked_again(call)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert call.speaks().text == AGAIN.text
    second = agreed(call)
    assert second.action_id == list(call.state.actions)[1]


def test_a_new_owner_still_knows_that_the_model_was_told(call):
    cancelled(call)
    call.says("Do that again.")
    calls(call, "call_2")
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    call.reply("That was done already. Once more?", wanted=call.new(fx.RequestReply)[-1])
    call.says("Yes, once more.")
    calls(call, "call_3")
    is_asked_again(call)


def test_one_in_doubt_is_looked_up_and_not_done_once_more(call):
    call.is_read_back()
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs("unknown")
    call.reply("I don't know yet.")
    for call_id in ("call_2", "call_3"):
        call.says("Do it again.")
        calls(call, call_id)
        assert call.runs("unknown").attach_only
        call.reply("I still don't know.")
    assert len(call.state.actions) == 1


def test_reads_are_done_as_often_as_they_are_called(call):
    for number in (1, 2, 3):
        call.says("Look it up.")
        calls(call, f"call_{number}", tool="get_reservation")
        call.decides(Effect.ALLOW)
        call.runs()
        call.reply("There it is.")
    assert not any(action.once_more for action in call.state.actions.values())


def test_what_it_repeats_is_shown_to_policy_however_much_was_done_since(call):
    cancelled(call)
    for number in range(40):
        call.says("Look it up.")
        call.reply("", calls=[(f"look_{number}", "get_reservation", {"reservation": str(number)})])
        call.decides(Effect.ALLOW)
        call.runs()
        call.reply("There it is.")
    insists(call)
    shown = call.question().view["actions"]
    assert len(shown) == 32
    assert (shown[0]["tool"], shown[0]["status"]) == ("cancel_reservation", "ok")


def test_one_that_a_long_call_has_dropped_is_met_under_its_own_id_though_another_was_refused(call):
    cancelled(call)
    first = call.action().action_id
    insists(call)
    is_asked_again(call)
    call.says("No.")
    call.reads("no")
    call.reply("Nothing was done.")
    for number in range(ACTIONS_KEPT + 2):
        call.says("Look it up.")
        call.reply("", calls=[(f"look_{number}", "get_reservation", {"reservation": str(number)})])
        call.decides(Effect.ALLOW)
        call.runs()
        call.reply("There it is.")
    assert first not in call.state.actions
    call.says("Cancel 482915.")
    calls(call, "call_9")
    assert call.decides(Effect.CONFIRM).subject["action_id"] == first
    call.speaks()
    assert agreed(call).action_id == first, "tools have its outcome, and do not run it again"
    call.reply("It is cancelled.")
    insists(call, 10)
    is_asked_again(call)
    agreed(call)
    assert [a.ordinal for a in call.state.actions.values() if a.tool == "cancel_reservation"] == [1, 3]


def test_a_tool_of_the_clients_own_is_asked_for_likewise(call):
    def dims(call_id):
        wanted = call.one(fx.RequestReply)
        call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id=f"resp_{wanted.reply_id}"))
        call.calls(call_id, "dim", {"lamp": "1"}, reply_id=wanted.reply_id, client_tool=True)
        call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="completed"))

    call.says("Dim it.")
    dims("call_1")
    call.decides(Effect.ALLOW)
    call.journals()
    assert call.one(fx.DeliverClientCall).call_id == "call_1"
    call.do(ev.ClientCallOutput(call_id="call_1", output='{"dimmed":true}'))
    call.says("Again.")
    dims("call_2")
    assert call.results()["call_2"]["already_done"] is True
    assert not call.new(fx.DeliverClientCall)
    call.reply("Once more?")
    call.says("Yes.")
    dims("call_3")
    is_asked_again(call)
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    call.journals()
    assert call.one(fx.DeliverClientCall).call_id == "call_3"
