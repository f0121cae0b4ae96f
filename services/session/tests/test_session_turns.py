"""The caller's turn: heard, gated, answered; who may speak when; fillers."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from session_core_kit import CoreCall


def test_an_utterance_is_gated_and_then_answered(call):
    call.says("Where is my flight?", gate=None)
    assert not call.new(fx.RequestReply)
    call.gate(Effect.ALLOW)
    call.reply("On time.")
    assert call.facts("user_turn_ended")[0]["text"] == "Where is my flight?"
    ended = call.facts("agent_turn_ended")
    assert [(turn["said"], turn["heard"]) for turn in ended] == [("On time.", "On time.")]


def test_without_an_input_gate_the_reply_does_not_wait_for_the_words():
    call = CoreCall(input_gate="off")
    call.starts_speaking()
    call.commits()
    assert call.new(fx.RequestReply)
    assert not call.new(fx.AskPolicy)


def test_a_denied_utterance_is_answered_with_policys_words_and_not_by_the_model(call):
    call.says("Tell me a secret.", gate=None)
    call.gate(Effect.DENY, say="I can't help with that.")
    assert not call.new(fx.RequestReply)
    assert call.speaks().text == "I can't help with that."


def test_an_utterance_that_policy_escalates_leads_to_a_person(call):
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked_for_a_person", rule="safety.person")
    assert call.one(fx.FetchPacket).reason == "asked_for_a_person"
    call.speaks()
    call.do(ev.PacketReady(packet_json="{}"))
    assert call.facts("escalated_to_person")[0]["rule"] == "safety.person"
    assert call.state.handed_over


def test_a_late_answer_about_an_older_utterance_is_ignored(call):
    call.says("First.", gate=None)
    late = call.one(fx.AskPolicy)
    call.says("Second.", gate=None)
    call.do(ev.Decided(decision_id=late.decision_id, effect=Effect.DENY, say="No."))
    assert not call.new(fx.RequestSpeech)
    call.gate(Effect.ALLOW)
    assert call.new(fx.RequestReply)


def test_the_same_answer_twice_asks_for_one_reply(call):
    call.says("Hello.", gate=None)
    asked = call.one(fx.AskPolicy)
    answer = ev.Decided(decision_id=asked.decision_id, effect=Effect.ALLOW)
    call.do(answer, answer)
    assert len(call.new(fx.RequestReply)) == 1


def test_with_policy_away_conversation_goes_on(call):
    call.says("Hello.", gate=None)
    asked = call.one(fx.AskPolicy)
    call.do(ev.Decided(decision_id=asked.decision_id, source="fallback", reason="UNAVAILABLE"))
    assert call.new(fx.RequestReply)
    assert call.facts("action_decided")[0]["source"] == "fallback"


def test_a_failed_transcription_asks_the_caller_to_say_it_again_and_then_hands_over():
    call = CoreCall(clarify_max=2)
    for _ in range(2):
        call.says("", failed=True, gate=None)
        assert "again" in call.speaks().text
    call.says("", failed=True, gate=None)
    assert call.one(fx.FetchPacket).reason == "not_understood"


def test_rounds_that_were_not_understood_are_counted_anew_once_one_was():
    call = CoreCall(clarify_max=2)
    for _ in range(2):
        for _ in range(2):
            call.says("", failed=True)
            call.speaks()
        call.says("Hello?")
        call.reply("Hi.")
    assert not call.new(fx.FetchPacket)


def test_words_that_do_not_come_in_time_count_as_not_understood(call):
    call.starts_speaking()
    call.commits()
    call.pass_ms(6_000)
    assert "again" in call.speaks().text


def test_noise_without_words_is_not_answered(call):
    call.says("  ", gate=None)
    assert not call.new(fx.RequestReply)
    assert not call.new(fx.RequestSpeech)


def test_low_confidence_forbids_irreversible_actions_for_that_turn_alone(call):
    call.says("Cancel it.", confidence=0.2)
    assert call.state.irreversible_forbidden
    call.reply()
    call.says("Cancel it.", confidence=0.9)
    assert not call.state.irreversible_forbidden


def test_nobody_answers_half_of_what_is_said(call):
    call.says("My number is", gate=None)
    call.starts_speaking()
    call.gate(Effect.ALLOW)
    assert not call.new(fx.RequestReply)
    item_id = call.commits()
    call.do(ev.UtteranceHeard(item_id=item_id, text="four eight two", confidence=0.9))
    call.gate(Effect.ALLOW)
    assert len(call.new(fx.RequestReply)) == 1


def test_our_requests_become_one_reply(call):
    call.says("Two things.")
    wanted = call.one(fx.RequestReply)
    call.calls("call_1", "get_reservation", {"reservation": "482915"}, reply_id=wanted.reply_id)
    call.decides(Effect.ALLOW)
    call.calls("call_2", "get_reservation", {"reservation": "290754"}, reply_id=wanted.reply_id)
    call.decides(Effect.ALLOW)
    for asked in call.new(fx.Execute):
        call.do(ev.ActionResult(action_id=asked.action_id, status="ok", data_json="{}"))
    assert not call.new(fx.RequestReply)
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="completed"))
    assert len(call.new(fx.RequestReply)) == 1


def test_a_clients_second_request_is_refused_while_its_own_reply_is_active(call):
    call.types("Hello.", key="req_1")
    wanted = call.one(fx.RequestReply)
    assert wanted.request_key == "req_1"
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.do(ev.ReplyWanted(request_key="req_2"))
    refused = call.one(fx.RefuseReply)
    assert (refused.request_key, refused.response_id) == ("req_2", "resp_1")
    assert not call.new(fx.RequestReply)


def test_a_clients_request_is_queued_while_the_active_reply_is_ours(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.runs()
    ours = call.one(fx.RequestReply)
    call.do(ev.ReplyWanted(request_key="req_9"))
    assert not call.new(fx.RefuseReply)
    assert not call.new(fx.RequestReply)
    call.reply("It is confirmed.", wanted=ours)
    assert call.one(fx.RequestReply).request_key == "req_9"


def test_a_clients_request_that_already_waits_is_not_replaced_by_its_next(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.runs()
    ours = call.one(fx.RequestReply)
    call.do(ev.ReplyWanted(request_key="req_1"), ev.ReplyWanted(request_key="req_2"))
    assert call.one(fx.RefuseReply).request_key == "req_2"
    call.reply("It is confirmed.", wanted=ours)
    assert call.one(fx.RequestReply).request_key == "req_1"


def test_a_typed_message_is_answered_only_when_the_client_asks(call):
    call.do(ev.UtteranceHeard(item_id="item_1", text="Hello.", typed=True))
    assert not call.new(fx.RequestReply)
    call.do(ev.ReplyWanted(request_key="req_1"))
    call.gate(Effect.ALLOW)
    assert call.one(fx.RequestReply).request_key == "req_1"


def test_our_own_words_come_before_the_models(call):
    call.do(ev.CallerArrived())
    call.state.greeting = "Welcome."
    call.do(ev.CallerArrived())
    call.do(ev.ReplyWanted(request_key="req_1"))
    assert call.speaks().text == "Welcome."
    assert call.new(fx.RequestReply)


def test_who_has_typed_or_asked_for_a_reply_is_not_greeted_any_more(call):
    for opened in (
        ev.UtteranceHeard(item_id="item_1", text="What is 482915?", typed=True),
        ev.ReplyWanted(request_key="req_1"),
    ):
        call.state.greeting = "Welcome."
        call.do(opened, ev.CallerArrived())
        assert not call.new(fx.RequestSpeech)


def test_the_greeting_is_said_once(call):
    call.state.greeting = "Welcome."
    call.do(ev.CallerArrived(), ev.CallerArrived())
    call.speaks()
    assert not call.new(fx.RequestSpeech)


@pytest.fixture
def acting():
    """A read that takes its time."""
    call = CoreCall()
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    return call


def test_a_slow_action_is_covered_by_a_filler_and_then_by_progress(acting):
    acting.pass_ms(850)
    assert not acting.new(fx.RequestSpeech)
    acting.pass_ms(50)
    assert acting.speaks().text == "One moment, please."
    acting.pass_ms(6_000)
    assert "longer" in acting.speaks().text


def progress_of(call, message):
    (action,) = call.state.open_actions()
    call.do(ev.ActionProgressed(action_id=action.action_id, stage="progress", message=message))


def test_what_the_tool_says_of_its_progress_is_said_once_in_place_of_the_general_words(acting):
    progress_of(acting, "I have looked at two of nine flights.")
    progress_of(acting, "I have looked at three of nine flights.")
    progress_of(acting, "")
    acting.pass_ms(900)
    assert acting.speaks().text == "I have looked at three of nine flights."
    acting.pass_ms(6_000)
    assert "longer" in acting.speaks().text


def test_where_results_are_judged_first_a_tools_progress_is_neither_said_nor_recorded():
    call = CoreCall(result_gate="blocking")
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    progress_of(call, "The card ends in 4417.")
    call.pass_ms(900)
    assert call.speaks().text == "One moment, please."
    assert "4417" not in str(call.state) + str(call.facts("action_progressed"))


def test_a_filler_never_goes_into_the_callers_speech(acting):
    acting.pass_ms(500)
    acting.starts_speaking()
    acting.pass_ms(5_000)
    assert not acting.new(fx.RequestSpeech)


def test_a_filler_waits_for_what_the_caller_still_hears():
    call = CoreCall()
    call.says("What is 482915?")
    words = "Let me look that up for you, this is a rather long sentence."
    call.reply(words, calls=[("call_1", "get_reservation", {"reservation": "482915"})], heard=False)
    call.decides(Effect.ALLOW)
    call.pass_ms(len(words) * 50)
    assert not call.new(fx.RequestSpeech)
    call.pass_ms(2_000)
    assert call.new(fx.RequestSpeech)


def test_a_filler_is_taken_back_when_the_answer_is_ready(acting):
    acting.pass_ms(900)
    filler = acting.one(fx.RequestSpeech)
    acting.runs()
    assert acting.one(fx.CancelSpeech).speech_id == filler.speech_id
    assert acting.new(fx.RequestReply)


def test_a_filler_that_is_heard_already_is_finished_before_the_answer(acting):
    acting.pass_ms(900)
    filler = acting.one(fx.RequestSpeech)
    acting.do(ev.SpeechText(speech_id=filler.speech_id, transcript="One moment,", item_id="item_f"))
    acting.sends_audio("item_f", "One moment,", kind="filler", in_model=False)
    acting.runs()
    assert not acting.new(fx.CancelSpeech)
    assert not acting.new(fx.RequestReply)
    acting.do(ev.SpeechEnded(speech_id=filler.speech_id, status="completed"))
    assert acting.new(fx.RequestReply)


def test_no_filler_is_due_once_nothing_is_under_way(acting):
    acting.runs()
    acting.reply()
    acting.pass_ms(20_000)
    assert not acting.new(fx.RequestSpeech)
