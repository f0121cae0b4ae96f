"""Going on after a loss: of the owner, of the model, of the client. Bounds that hold however long the call."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import (
    ACTIONS_KEPT,
    HISTORY_KEPT,
    ActionPhase,
    ConsentPhase,
    restore,
    snapshot,
)
from session_core_kit import READ_BACK, CoreCall


def resumed(call, *, after_ms=2_000):
    """Another replica takes the call over from its snapshot."""
    other = CoreCall(state=restore(snapshot(call.state)), started=False)
    other.now_ms = call.now_ms + after_ms
    other.do(ev.Resumed(epoch=call.state.epoch + 1, owner="session-1"))
    return other


def agreed(call):
    call.is_read_back()
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)


def test_a_new_owner_begins_its_own_epoch(call):
    call.says("Hello.")
    call.reply("Hi.")
    other = resumed(call)
    first = other.one(fx.Publish)
    assert (first.kind, first.epoch, first.seq) == ("session_resumed", 2, 1)
    assert first.body == {"previous_epoch": 1, "owner": "session-1"}
    assert other.new(fx.Persist)
    assert other.one(fx.PullContext).min_epoch == 1
    assert not other.new(fx.RequestReply)


def test_ids_of_two_owners_never_meet(call):
    call.says("Hello.")
    call.reply("Hi.")
    other = resumed(call)
    other.says("More.")
    turns = [call.state.turn_id, other.state.turn_id]
    assert len(set(turns)) == 2


def test_a_running_write_is_attached_to_under_its_own_id(call):
    agreed(call)
    call.journals()
    asked = call.one(fx.Execute)
    other = resumed(call)
    again = other.runs()
    assert (again.action_id, again.attach_only, again.proof) == (asked.action_id, True, asked.proof)
    assert other.results()["call_1"]["status"] == "ok"


def test_a_journalled_write_that_may_have_been_sent_is_attached_to(call):
    agreed(call)
    other = resumed(call)
    assert other.one(fx.Execute).attach_only


def test_a_read_is_simply_done_again(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    other = resumed(call)
    assert not other.one(fx.Execute).attach_only


def test_a_write_that_tools_never_saw_starts_only_after_a_fresh_decision(call):
    agreed(call)
    other = resumed(call)
    asked = other.one(fx.Execute)
    other.do(ev.ActionResult(action_id=asked.action_id, status="failed", error_code="not_started"))
    question = other.decides(Effect.ALLOW)
    assert question.subject["consent"] is not None
    other.journals()
    again = other.runs()
    assert (again.action_id, again.attach_only) == (asked.action_id, False)


def test_a_write_that_tools_never_saw_is_not_started_after_its_consent_expired(call):
    agreed(call)
    other = resumed(call, after_ms=60_000)
    asked = other.one(fx.Execute)
    other.do(ev.ActionResult(action_id=asked.action_id, status="failed", error_code="not_started"))
    assert other.results()["call_1"]["error_code"] == "consent_expired"
    assert other.facts("task_opened")[0]["reason"] == "consent_expired"
    assert not [e for e in other.new(fx.AskPolicy) if e.gate == "action"]


def test_a_consent_that_was_waited_for_is_asked_again(call):
    call.is_read_back()
    other = resumed(call)
    assert other.speaks().text == READ_BACK
    other.says("Yes.")
    other.reads("yes")
    other.decides(Effect.ALLOW)
    assert other.new(fx.Journal)


def test_a_yes_to_the_owner_before_does_not_answer_the_new_read_back(call):
    call.is_read_back()
    call.says("Yes.")
    asked = call.one(fx.ReadConsent)
    other = resumed(call)
    other.do(ev.ConsentRead(consent_id=asked.consent_id, reading="yes", item_id=asked.item_id))
    assert not other.new(fx.Journal)
    assert other.consent().phase is ConsentPhase.READING_BACK


@pytest.mark.parametrize("fetching", [False, True])
def test_an_undecided_action_is_asked_about_again(call, fetching):
    call.asks_to_cancel()
    if fetching:
        call.question_about_facts()
    other = resumed(call)
    other.decides(Effect.DENY, say="No.")
    assert other.results()["call_1"]["error_code"] == "denied_by_policy"


def test_a_given_consent_that_expired_meanwhile_is_not_shown_to_policy(call):
    call.is_read_back()
    call.says("Yes.")
    call.reads("yes")
    other = resumed(call, after_ms=60_000)
    assert other.question().subject["consent"] is None


def test_an_unanswered_turn_is_answered(call):
    call.says("Where is my flight?")
    call.new(fx.RequestReply)
    other = resumed(call)
    assert other.new(fx.RequestReply)


def test_a_result_that_was_not_told_is_told(call):
    call.says("What is 482915?")
    call.reply("Let me see.", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.runs()
    other = resumed(call)
    assert other.new(fx.RequestReply)


def test_a_clients_call_under_way_stays_the_clients():
    call = CoreCall(client_tools="confirm")
    call.says("Dim the lights.")
    call.new(fx.RequestReply)
    call.calls("call_1", "dim", {}, client_tool=True)
    call.decides(Effect.ALLOW)
    call.journals()
    other = resumed(call)
    assert not other.new(fx.Execute)
    other.do(ev.ClientCallOutput(call_id="call_1", output="dimmed"))
    assert other.facts("action_finished")[0]["status"] == "ok"


def test_an_expired_session_is_settled_without_a_client(call):
    agreed(call)
    call.journals()
    other = resumed(call, after_ms=60_000)
    other.do(ev.ClientGone(reason="expired"))
    assert other.facts("session_ended")[0]["reason"] == "expired"
    assert other.facts("task_opened")[0]["reason"] == "hang_up"
    other.runs()
    assert other.facts("action_finished")[0]["status"] == "ok"
    assert not other.new(fx.RequestReply)


def test_an_expired_session_does_not_start_what_never_ran(call):
    agreed(call)
    other = resumed(call, after_ms=5_000)
    other.do(ev.ClientGone(reason="expired"))
    asked = other.one(fx.Execute)
    other.do(ev.ActionResult(action_id=asked.action_id, status="failed", error_code="not_started"))
    assert not [e for e in other.new(fx.AskPolicy) if e.gate == "action"]
    assert not other.state.open_actions()
    assert other.facts("task_opened")


def test_an_end_is_an_end(call):
    call.do(ev.ClientGone(reason="client_closed"), ev.ClientGone(reason="expired"))
    assert len(call.facts("session_ended")) == 1


def test_a_lost_model_is_bridged_and_the_reply_asked_for_again(call):
    call.says("When?")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ModelLost(reason="closed_1006"))
    call.speaks()
    assert call.one(fx.RequestReply).reply_id != wanted.reply_id
    assert call.facts("model_rotated")[0] == {"reason": "closed_1006", "generation": 2}


def test_a_lost_clarifying_reply_is_asked_for_again_without_tools(call):
    call.is_read_back()
    call.says("Which card?")
    call.reads("unclear")
    call.one(fx.RequestReply)
    call.do(ev.ModelLost(reason="closed_1006"))
    call.speaks()
    wanted = call.one(fx.RequestReply)
    assert not wanted.tools
    call.reply("Yours.", wanted=wanted)
    assert call.speaks().text == READ_BACK


def test_words_of_our_own_that_were_lost_are_said_again(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    first = call.one(fx.RequestSpeech)
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.speaks().speech_id == first.speech_id
    assert call.consent().phase is ConsentPhase.WAITING


def test_an_utterance_lost_with_the_model_is_asked_for_again(call):
    call.is_read_back()
    call.starts_speaking()
    call.commits()
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.speaks().text == call.state.rules.say_bridge
    assert call.consent().phase is ConsentPhase.WAITING


def test_a_read_back_cut_by_speech_that_was_lost_is_repeated(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.one(fx.RequestSpeech)
    call.starts_speaking()
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.speaks().text == READ_BACK


def in_doubt(call):
    """A write of which nobody knows whether it was done, and the caller was told so."""
    call.says("Add a note.")
    call.reply("", calls=[("call_1", "add_note", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.journals()
    asked = call.runs("unknown", error_code="unknown_outcome", message="I can't tell yet.")
    call.reply("I can't tell yet.")
    return asked.action_id


def test_the_truth_about_a_write_in_doubt_is_told_and_settles_what_was_owed(call):
    action_id = in_doubt(call)
    call.do(ev.ActionReconciled(action_id=action_id, status="ok", message="The note is there."))
    assert call.speaks().text == "The note is there."
    assert [fact["status"] for fact in call.facts("action_finished")] == ["unknown", "ok"]
    assert call.facts("task_closed")[0]["task_id"] == call.facts("task_opened")[0]["task_id"]
    assert not call.state.tasks
    assert len(call.results()) == 1, "the model's call was answered already"


def test_the_truth_is_told_once_and_only_of_what_was_in_doubt(call):
    action_id = in_doubt(call)
    told = ev.ActionReconciled(action_id=action_id, status="ok", message="The note is there.")
    call.do(told)
    call.speaks()
    call.do(told, ev.ActionReconciled(action_id="act_other", status="ok", message="x"))
    assert not call.new(fx.RequestSpeech)


def test_a_write_found_not_done_may_be_tried_again(call):
    action_id = in_doubt(call)
    call.do(ev.ActionReconciled(action_id=action_id, status="failed", message="It was not done."))
    call.speaks()
    call.says("Then try again.")
    call.reply("", calls=[("call_2", "add_note", {"reservation": "482915"})])
    assert call.decides(Effect.ALLOW).subject["action_id"] != action_id


def test_memorys_slots_are_shown_to_policy_with_their_age(call):
    from ringback_session.domain.state import SlotValue

    slot = SlotValue(name="city", value_json='"Lisbon"', as_of_seq=3, at_ms=call.now_ms)
    call.do(ev.ContextArrived(slots=(slot,)))
    call.pass_ms(700)
    call.says("Cancel.", gate=None, ms=300)
    assert call.one(fx.AskPolicy).view["slots"][0]["age_ms"] == 1_000


def test_the_packet_of_the_cores_own_holds_what_is_known(call):
    call.is_read_back()
    call.says("Give me a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked_for_a_person")
    packet = call.one(fx.FetchPacket).fallback
    assert packet["reason"] == "asked_for_a_person"
    assert packet["actions"][0]["status"] == "not_started"
    assert packet["turns"][0]["speaker"] == "caller"
    assert packet["pending_consents"] == []


def test_the_state_stays_bounded_however_long_the_call(call):
    for turn in range(90):
        call.says(f"What is {turn}?")
        call.reply("", calls=[(f"call_{turn}", "get_reservation", {"reservation": str(turn)})])
        call.decides(Effect.ALLOW)
        call.runs()
        call.reply("Fine.")
    size = len(snapshot(call.state))
    assert len(call.state.actions) <= ACTIONS_KEPT
    assert len(call.state.history) <= HISTORY_KEPT
    assert len(call.state.playback.items) <= 33
    assert all(action.phase is ActionPhase.DONE for action in call.state.actions.values())
    assert size < 120_000


def test_long_items_do_not_make_the_record_too_large_to_write(call):
    for turn in range(60):
        call.types("x" * 60_000, key=f"req_{turn}")
        call.reply("y" * 60_000)
    assert len(snapshot(call.state)) < 600_000
    assert call.state.history[-1].text.startswith("y")
