"""Consent as a spoken contract: exactly what was read back, once, in time, by the caller alone."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ActionPhase, BoundValue, ConsentPhase
from session_core_kit import READ_BACK, CoreCall, read_back


def agreed(call):
    """A yes to the whole read-back."""
    call.is_read_back()
    call.says("Yes.")
    call.reads("yes")


def test_a_confirmed_action_is_held_read_back_and_run_after_the_yes(call):
    call.asks_to_cancel()
    question = call.decides(Effect.CONFIRM)
    assert question.subject["consent"] is None
    assert not call.results()
    assert call.speaks().text == READ_BACK
    call.says("Yes, do it.")
    asked = call.reads("yes")
    assert (asked.read_back, asked.utterance) == (READ_BACK, "Yes, do it.")
    question = call.decides(Effect.ALLOW)
    consent = call.consent()
    assert question.subject["consent"]["consent_id"] == consent.consent_id
    assert question.subject["consent"]["arguments_digest"] == call.action().arguments_digest
    call.journals()
    assert call.runs().arguments_json == call.action().arguments_json
    assert call.results()["call_1"]["status"] == "ok"
    call.reply("It is done.")


def test_whoever_owns_the_call_next_knows_at_once_what_the_caller_was_asked(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.new(fx.PersistNow)
    call.speaks()
    assert len(call.new(fx.PersistNow)) == 1


def test_while_a_yes_is_waited_for_the_model_does_not_answer(call):
    call.is_read_back()
    call.says("Yes.")
    assert not call.new(fx.RequestReply)
    call.do(ev.ReplyWanted(request_key="req_1"))
    assert not call.new(fx.RequestReply)


def test_what_policy_wants_said_first_comes_before_the_read_back_once(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM, say="This cannot be undone.")
    assert call.speaks().text == f"This cannot be undone. {READ_BACK}"
    call.says("What?")
    call.reads("unclear")
    call.reply("It costs nothing.")
    assert call.speaks().text == READ_BACK


def test_an_unclear_answer_gets_one_reply_without_tools_and_then_the_read_back_again(call):
    call.is_read_back()
    call.says("Hold on, which card does it go to?")
    call.reads("unclear")
    wanted = call.one(fx.RequestReply)
    assert not wanted.tools
    assert "waits for a yes" in wanted.instructions
    call.reply("To the card you paid with.", wanted=wanted)
    assert call.speaks().text == READ_BACK
    assert [fact["round"] for fact in call.facts("consent_asked")] == [1, 2]
    call.says("Yes.")
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.GIVEN


def test_only_the_repeated_read_back_can_be_consented_to(call):
    call.is_read_back()
    call.says("Which card?")
    call.reads("unclear")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_c"))
    call.sends_audio("item_c", "To the card", kind="reply", in_model=True)
    call.says("Yes, yes.")
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.READING_BACK
    assert not call.new(fx.Journal)
    assert call.speaks().text == READ_BACK


def test_a_clients_request_does_not_turn_the_clarifying_reply_into_one_with_tools(call):
    call.is_read_back()
    call.says("Which card?")
    asked = call.one(fx.ReadConsent)
    call.starts_speaking()
    call.do(ev.ConsentRead(consent_id=asked.consent_id, reading="unclear", item_id=asked.item_id))
    call.do(ev.ReplyWanted(request_key="req_1"))
    call.do(ev.CallerStoppedSpeaking(audio_end_ms=0, discarded=True))
    wanted = call.one(fx.RequestReply)
    assert not wanted.tools
    call.reply("To your card.", wanted=wanted)
    assert call.speaks().text == READ_BACK


def test_a_clarifying_reply_that_the_model_fails_is_followed_by_the_read_back(call):
    call.is_read_back()
    call.says("Which card?")
    call.reads("unclear")
    call.reply("", status="failed")
    assert call.speaks().text == READ_BACK


def test_a_no_ends_it_and_nothing_runs(call):
    call.is_read_back()
    call.says("No.")
    call.reads("no")
    assert call.results()["call_1"]["error_code"] == "refused_by_caller"
    assert call.facts("consent_answered")[0]["reading"] == "no"
    assert not call.new(fx.Journal)
    call.reply("Fine.")
    assert not call.state.open_actions()


def test_a_correction_voids_it_and_the_corrected_call_is_read_back_anew(call):
    call.is_read_back()
    call.says("No, 290754.")
    call.reads("correction")
    assert call.results()["call_1"]["error_code"] == "corrected_by_caller"
    call.reply("", calls=[("call_2", "cancel_reservation", {"reservation": "290754"})])
    call.decides(Effect.CONFIRM)
    call.speaks()
    assert [consent.phase for consent in call.state.consents.values()] == [
        ConsentPhase.ENDED,
        ConsentPhase.WAITING,
    ]


def test_a_yes_that_does_not_come_expires(call):
    call.is_read_back()
    call.pass_ms(31_000)
    assert call.facts("consent_answered")[0]["reason"] == "expired"
    assert call.results()["call_1"]["error_code"] == "consent_expired"
    assert "not done anything" in call.speaks().text


def test_a_yes_read_after_the_expiry_does_not_count(call):
    call.is_read_back()
    call.pass_ms(29_000)
    call.says("Yes.", ms=500)
    asked = call.one(fx.ReadConsent)
    call.now_ms += 5_000
    call.do(ev.ConsentRead(consent_id=asked.consent_id, reading="yes", item_id=asked.item_id))
    assert not call.new(fx.Journal)
    assert call.results()["call_1"]["error_code"] == "consent_expired"


def test_a_caller_who_is_just_answering_is_not_cut_off_by_the_expiry(call):
    call.is_read_back()
    call.pass_ms(29_500)
    call.starts_speaking()
    call.pass_ms(1_500)
    assert call.consent().phase is ConsentPhase.WAITING


def test_too_many_unclear_answers_lead_to_a_person(call):
    call.is_read_back()
    for _ in range(2):
        call.says("Hm?")
        call.reads("unclear")
        call.reply("It is free.")
        call.speaks()
    call.says("Hm?")
    call.reads("unclear")
    assert call.one(fx.FetchPacket).reason == "consent_unclear"
    assert call.results()["call_1"]["error_code"] == "consent_void"


def test_an_answer_that_could_not_be_transcribed_is_unclear(call):
    call.is_read_back()
    call.says("", failed=True, gate=None)
    assert not call.new(fx.RequestReply)
    assert call.speaks().text == READ_BACK
    assert call.consent().unclear == 1


def test_what_low_confidence_means_is_policys_to_say(call):
    call.is_read_back()
    call.says("Yes.", confidence=0.2)
    asked = call.one(fx.ReadConsent)
    assert asked.confidence == pytest.approx(0.2)
    assert asked.bound_values == call.consent().must_contain
    assert asked.side_effect == "irreversible"


def test_a_typed_yes_is_certain():
    call = CoreCall(audio=False)
    call.types("Cancel 482915.")
    call.reply("", calls=[("call_1", "cancel_reservation", {"reservation": "482915"})])
    call.decides(Effect.CONFIRM)
    call.speaks()
    call.types("Yes.", key="req_2")
    assert call.reads("yes").confidence == pytest.approx(1.0)
    call.decides(Effect.ALLOW)
    assert call.new(fx.Journal)


def test_a_typed_yes_counts_while_a_request_of_the_client_waits_for_its_reply():
    call = CoreCall(audio=False)
    call.types("Cancel 482915.")
    call.reply("", calls=[("call_1", "cancel_reservation", {"reservation": "482915"})])
    call.decides(Effect.CONFIRM)
    call.speaks()
    call.do(ev.ReplyWanted(request_key="req_of_its_tool"))
    call.types("Yes.", key="req_2")
    assert call.one(fx.RefuseReply).request_key == "req_2"
    call.reads("yes")
    call.decides(Effect.ALLOW)
    assert call.new(fx.Journal)


def test_what_the_client_asked_for_while_a_yes_was_waited_for_is_answered_with_the_outcome(call):
    call.is_read_back()
    call.do(ev.ReplyWanted(request_key="req_1"))
    call.says("No.")
    call.reads("no")
    assert call.one(fx.RequestReply).request_key == "req_1"


def two_waiting(call):
    call.says("Cancel both.")
    call.reply(
        "",
        calls=[
            ("call_1", "cancel_reservation", {"reservation": "482915"}),
        ],
    )
    call.decides(Effect.CONFIRM)
    call.calls("call_2", "refund", {"reservation": "290754"})
    other = BoundValue(name="reservation", value="290754", kind="id")
    call.decides(Effect.CONFIRM, read_back=read_back(text="Refund 290754, yes?", must_contain=(other,)))


def test_of_two_actions_that_wait_one_is_read_back_at_a_time(call):
    two_waiting(call)
    assert call.speaks().text == READ_BACK
    assert not call.new(fx.RequestSpeech)
    phases = [consent.phase for consent in call.state.consents.values()]
    assert phases == [ConsentPhase.WAITING, ConsentPhase.QUEUED]


def test_a_yes_binds_only_what_was_asked_last(call):
    two_waiting(call)
    call.speaks()
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    assert call.one(fx.Journal).action_id == call.action().action_id
    assert call.speaks().text == "Refund 290754, yes?"
    call.says("No.")
    call.reads("no")
    assert call.results()["call_2"]["error_code"] == "refused_by_caller"


def test_after_a_no_to_one_the_next_is_asked_for(call):
    two_waiting(call)
    call.speaks()
    call.says("No.")
    call.reads("no")
    assert call.speaks().text == "Refund 290754, yes?"


def test_the_time_for_a_yes_begins_anew_with_each_read_back(call):
    call.is_read_back()
    call.pass_ms(28_000)
    call.says("", failed=True, gate=None)
    call.pass_ms(3_000)
    assert call.speaks().text == READ_BACK
    call.pass_ms(25_000)
    assert call.consent().phase is ConsentPhase.WAITING


def test_a_yes_is_single_use(call):
    agreed(call)
    consent = call.consent()
    call.do(ev.ConsentRead(consent_id=consent.consent_id, reading="yes"))
    assert len(call.facts("consent_answered")) == 1
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs()
    assert consent.phase is ConsentPhase.ENDED


def test_a_yes_to_what_the_caller_takes_back_at_once_does_not_count(call):
    call.is_read_back()
    call.says("Yes.")
    asked = call.one(fx.ReadConsent)
    call.says("No, wait.")
    later = call.one(fx.ReadConsent)
    call.do(ev.ConsentRead(consent_id=asked.consent_id, reading="yes", item_id=asked.item_id))
    assert call.consent().phase is ConsentPhase.READING_ANSWER
    call.do(ev.ConsentRead(consent_id=later.consent_id, reading="no", item_id=later.item_id))
    assert call.results()["call_1"]["error_code"] == "refused_by_caller"


def test_a_yes_does_not_count_while_the_caller_goes_on_speaking(call):
    call.is_read_back()
    call.says("Yes.")
    asked = call.one(fx.ReadConsent)
    call.starts_speaking()
    call.do(ev.ConsentRead(consent_id=asked.consent_id, reading="yes", item_id=asked.item_id))
    assert call.consent().phase is not ConsentPhase.GIVEN
    call.do(ev.UtteranceHeard(item_id=call.commits(), text="but not today", confidence=0.9))
    call.gate()
    call.reads("no")
    assert call.results()["call_1"]["error_code"] == "refused_by_caller"


def test_noise_behind_an_answer_has_it_asked_again(call):
    call.is_read_back()
    call.says("Yes.")
    asked = call.one(fx.ReadConsent)
    call.starts_speaking()
    call.do(ev.ConsentRead(consent_id=asked.consent_id, reading="yes", item_id=asked.item_id))
    call.do(ev.UtteranceHeard(item_id=call.commits(), text=""))
    assert call.speaks().text == READ_BACK


def test_with_policy_away_a_yes_is_not_read_and_a_task_is_left(call):
    call.is_read_back()
    call.says("Yes.")
    call.reads("unavailable")
    assert call.results()["call_1"]["error_code"] == "policy_unavailable"
    assert call.facts("task_opened")[0]["reason"] == "policy_away"
    assert call.facts("consent_answered")[0]["reading"] == "unclear"


def test_hanging_up_before_the_yes_voids_it(call):
    call.is_read_back()
    call.do(ev.ClientGone(reason="client_closed"))
    assert call.facts("consent_answered")[0]["reason"] == "hang_up"
    assert not call.facts("task_opened")
    assert not call.state.open_actions()


def test_hanging_up_after_the_yes_but_before_the_journal_does_nothing(call):
    agreed(call)
    call.decides(Effect.ALLOW)
    journal = call.one(fx.Journal)
    call.do(ev.ClientGone(reason="client_closed"))
    call.do(ev.Journalled(action_id=journal.action_id))
    assert not call.new(fx.Execute)
    assert call.facts("action_finished")[0]["status"] == "not_started"


def test_hanging_up_after_a_journalled_yes_lets_it_finish_and_leaves_a_task(call):
    agreed(call)
    call.decides(Effect.ALLOW)
    call.journals()
    call.do(ev.ClientGone(reason="client_closed"))
    assert call.facts("task_opened")[0]["reason"] == "hang_up"
    assert call.action().phase is ActionPhase.RUNNING
    call.new(fx.Persist)
    call.runs()
    assert call.facts("action_finished")[0]["status"] == "ok"
    assert call.new(fx.Persist), "the call can only now be closed"


def test_handing_over_voids_open_consents(call):
    call.is_read_back()
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked_for_a_person")
    assert call.facts("consent_answered")[0]["reason"] == "handoff"
    assert call.results()["call_1"]["error_code"] == "consent_void"


def test_a_read_back_that_lacks_a_value_is_never_heard_and_said_once_more(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    first = call.speaks("I will cancel reservation 482916 and refund 184 dollars.")
    assert not call.state.playback.items
    assert call.one(fx.CancelSpeech).speech_id == first.speech_id
    assert call.speaks().text == READ_BACK
    assert call.consent().phase is ConsentPhase.WAITING


def test_a_read_back_that_cannot_be_spoken_leads_to_a_person(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks("I will cancel something.")
    call.speaks("I will cancel something else.")
    call.port_speaks(status="failed")
    assert call.one(fx.FetchPacket).reason == "words_not_spoken"
    assert call.results()["call_1"]["error_code"] == "consent_void"


def test_audio_is_held_until_every_value_is_in_the_transcript(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    wanted = call.one(fx.RequestSpeech)
    assert wanted.hold
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript="I will cancel reservation 482915"))
    assert not call.new(fx.ReleaseSpeech)
    call.do(
        ev.SpeechText(
            speech_id=wanted.speech_id, transcript="I will cancel reservation 482915 and refund $184"
        )
    )
    assert call.one(fx.ReleaseSpeech).speech_id == wanted.speech_id
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=READ_BACK))
    assert not call.new(fx.ReleaseSpeech)


def test_a_yes_that_policy_does_not_take_is_spent_and_another_one_is_asked_for(call):
    agreed(call)
    call.decides(Effect.CONFIRM)
    phases = [consent.phase for consent in call.state.consents.values()]
    assert phases == [ConsentPhase.ENDED, ConsentPhase.READING_BACK]


def test_a_clarifying_reply_that_the_client_cancels_does_not_keep_the_consent_open_for_ever(call):
    call.is_read_back()
    call.says("Which card?")
    call.reads("unclear")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ClientCancelled(response_id="resp_c"))
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.pass_ms(31_000)
    assert call.results()["call_1"]["error_code"] == "consent_expired"


def test_the_time_for_a_yes_does_not_run_while_the_model_clarifies(call):
    call.is_read_back()
    call.pass_ms(28_000)
    call.says("Which card?")
    call.reads("unclear")
    call.pass_ms(6_000)
    call.reply("To your card.")
    assert call.speaks().text == READ_BACK


def test_an_answer_that_is_being_read_when_the_time_is_up_is_still_heard(call):
    call.is_read_back()
    call.pass_ms(29_000)
    call.says("No.", ms=500)
    call.pass_ms(1_000)
    call.reads("no")
    assert call.results()["call_1"]["error_code"] == "refused_by_caller"


def test_both_halves_of_a_question_are_one_unclear_answer(call):
    call.is_read_back()
    for _ in range(2):
        call.says("What about")
        first = call.one(fx.ReadConsent)
        call.starts_speaking()
        call.do(ev.ConsentRead(consent_id=first.consent_id, reading="unclear", item_id=first.item_id))
        call.do(ev.UtteranceHeard(item_id=call.commits(), text="the card?", confidence=0.9))
        call.gate()
        call.reads("unclear")
        call.reply("It goes to your card.")
        call.speaks()
    assert not call.new(fx.FetchPacket)


def test_a_read_back_that_was_not_begun_gives_way_to_what_the_caller_says_meanwhile(call):
    call.is_read_back()
    call.starts_speaking()
    first = call.commits()
    call.starts_speaking()
    call.do(ev.UtteranceHeard(item_id=first, text="", failed=True))
    call.do(ev.UtteranceHeard(item_id=call.commits(), text="Which card?", confidence=0.9))
    call.gate()
    call.reads("unclear")
    assert not call.new(fx.RequestSpeech)
    call.reply("To your card.")
    assert call.speaks().text == READ_BACK
