"""Barge-in: yield at once, keep what was heard, lose no result. Playback counts samples."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import floor_inputs as fl
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ConsentPhase
from session_core_kit import CoreCall

LONG = "Your flight to Lisbon leaves at nine in the morning from gate twelve."


def speaking(call, words=LONG):
    """A reply that is being generated and heard."""
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.sends_audio("item_m", words, kind="reply", in_model=True)
    return wanted


def test_barge_in_cancels_the_reply_and_truncates_to_what_was_heard(call):
    call.says("When?")
    wanted = speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert call.one(fx.CancelReply) == fx.CancelReply(reply_id=wanted.reply_id, reason="turn_detected")
    assert call.one(fx.TruncateItem) == fx.TruncateItem(item_id="item_m", audio_end_ms=1_000)


def test_barge_in_reports_what_was_said_and_what_was_heard(call):
    call.says("When?")
    speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert call.facts("interrupted") == [{"item_id": "item_m", "heard_ms": 1_000}]
    ended = call.facts("agent_turn_ended")[0]
    assert ended["said"] == LONG
    assert ended["heard"] == "Your flight to"
    assert (ended["heard_ms"], ended["audio_ms"]) == (1_000, len(LONG) * 50)


def test_barge_in_after_generation_ended_still_truncates(call):
    call.says("When?")
    call.reply(LONG, heard=False)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert not call.new(fx.CancelReply)
    assert call.one(fx.TruncateItem).audio_end_ms == 1_000


def test_what_was_not_heard_is_not_built_into_a_new_connection(call):
    call.says("When?")
    call.reply(LONG, heard=False)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert call.state.history[-1].text == "Your flight to"


def test_words_that_come_after_the_cut_do_not_bring_the_unheard_back(call):
    call.says("When?")
    wanted = speaking(call, "Your flight to Lisbon")
    call.pass_ms(400)
    call.starts_speaking()
    call.do(ev.ReplyText(reply_id=wanted.reply_id, item_id="item_m", text=LONG))
    assert [entry.text for entry in call.state.history if entry.item_id == "item_m"] == ["Your"]


def test_an_item_is_reported_once_whatever_comes_late(call):
    call.says("When?")
    wanted = speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=980))
    call.pass_ms(10_000)
    call.commits()
    assert len(call.facts("agent_turn_ended")) == 1


def test_a_client_that_played_more_than_our_clock_thought_puts_right_what_was_told(call):
    call.says("When?")
    speaking(call)
    call.pass_ms(500)
    call.starts_speaking()
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=1_500))
    first, second = call.facts("agent_turn_ended")
    assert (first["heard_ms"], second["heard_ms"]) == (500, 1_500)
    assert second["heard"].startswith(first["heard"])
    assert len(second["heard"]) > len(first["heard"])
    assert (second["item_id"], second["said"]) == (first["item_id"], first["said"])
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=1_500))
    assert len(call.facts("agent_turn_ended")) == 2


def test_silence_of_the_agent_is_no_interruption(call):
    call.says("When?")
    call.reply("At nine.")
    call.starts_speaking()
    assert not call.facts("interrupted")
    assert not call.new(fx.TruncateItem)


def test_the_clients_own_word_on_what_it_played_counts(call):
    call.says("When?")
    speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    call.new(fx.TruncateItem)
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=700))
    assert call.one(fx.TruncateItem).audio_end_ms == 700
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=900))
    assert not call.new(fx.TruncateItem)


def test_a_client_that_does_not_want_interruption_is_not_cut(call):
    call.do(ev.ClientConfigured(interrupt=False))
    call.says("When?")
    speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert not call.new(fx.CancelReply)
    assert not call.facts("interrupted")


def test_without_caller_audio_the_owners_clock_tells_what_was_heard():
    call = CoreCall(audio=False)
    call.types("When?")
    speaking(call)
    call.pass_ms(1_000)
    call.starts_speaking()
    assert call.one(fx.TruncateItem).audio_end_ms == 1_000


def test_items_play_one_after_the_other(call):
    call.says("When?")
    call.reply("One two.", heard=False)
    call.sends_audio("item_n", "Three.", kind="reply", in_model=True)
    call.pass_ms(450)
    call.starts_speaking()
    assert [fact["heard_ms"] for fact in call.facts("interrupted")] == [50]


def test_barge_in_keeps_what_is_under_way_and_its_result_is_told(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.says("Are you there?", gate=None)
    call.runs()
    assert call.results()["call_1"]["status"] == "ok"
    call.gate(Effect.ALLOW)
    assert len(call.new(fx.RequestReply)) == 1


def test_noise_does_not_swallow_the_answer_that_is_due(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.pass_ms(900)
    filler = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=filler.speech_id, transcript="One", item_id="item_f"))
    call.sends_audio("item_f", filler.text, kind="filler", in_model=False)
    call.runs()
    call.says("", gate=None)
    assert call.new(fx.RequestReply)


def test_a_cut_read_back_is_repeated_and_a_yes_to_it_does_not_count(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks(heard=False)
    call.pass_ms(500)
    call.says("Yes.")
    call.reads("yes")
    assert not call.new(fx.Journal)
    assert call.consent().phase is ConsentPhase.READING_BACK
    call.speaks()
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    assert call.new(fx.Journal)


def test_a_yes_after_the_last_bound_value_counts_though_the_rest_was_cut(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    wanted = call.speaks(heard=False)
    call.pass_ms((wanted.text.index("dollars") + len("dollars")) * 50)
    call.says("Yes.", ms=100)
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.GIVEN


def test_a_yes_into_a_read_back_that_is_still_generated_does_not_count(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    wanted = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=wanted.text, item_id="item_s"))
    call.sends_audio("item_s", wanted.text[:20], kind="read_back", in_model=False)
    call.pass_ms(500)
    call.says("Yes.")
    call.reads("yes")
    assert not call.results(), "nothing is refused: the read-back is said again"
    call.speaks()
    call.says("Yes.")
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.GIVEN


@pytest.mark.parametrize("noise", ["discarded", "wordless"])
def test_noise_that_cuts_a_read_back_has_it_repeated(call, noise):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    wanted = call.one(fx.RequestSpeech)
    call.starts_speaking()
    assert call.one(fx.CancelSpeech).speech_id == wanted.speech_id
    if noise == "discarded":
        call.do(ev.CallerStoppedSpeaking(audio_end_ms=0, discarded=True))
    else:
        call.do(ev.UtteranceHeard(item_id=call.commits(), text=""))
    assert call.speaks().text.endswith("Shall I do that?")
    assert call.consent().phase is ConsentPhase.WAITING


def test_a_client_that_cancels_the_read_back_is_not_waited_for_for_ever(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.one(fx.RequestSpeech)
    call.do(ev.ClientCancelled())
    call.pass_ms(31_000)
    assert call.consent().phase is ConsentPhase.ENDED
    assert call.results()["call_1"]["error_code"] == "consent_expired"
    assert not call.new(fx.Execute)


def test_a_clients_cancel_stops_what_is_said(call):
    call.says("When?")
    wanted = speaking(call)
    call.do(ev.ClientCancelled())
    assert call.one(fx.CancelReply) == fx.CancelReply(reply_id=wanted.reply_id, reason="client_cancelled")
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    assert not call.new(fx.RequestReply)


def test_first_audio_is_measured_from_the_end_of_speech(call):
    call.says("When?")
    call.pass_ms(300)
    call.reply("At nine.")
    assert call.facts("agent_turn_ended")[0]["first_audio_ms"] == 300


def test_text_replies_count_as_heard_when_they_are_complete():
    call = CoreCall(audio=False)
    call.types("When?")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyText(reply_id=wanted.reply_id, item_id="item_m", text="At nine."))
    call.pass_ms(10)
    assert call.facts("agent_turn_ended")[0]["heard"] == "At nine."


@pytest.mark.parametrize("generated", [True, False])
@pytest.mark.parametrize("source", ["truncate", "buffer", "samples", "clock"])
def test_the_position_is_known_from_each_source_also_after_generation_ended(source, generated):
    call = CoreCall(audio=source != "clock", input_gate="off")
    if source == "clock":
        call.types("When?", gate=None)
    else:
        call.says("When?", gate=None)
    if generated:
        item_id = call.reply(LONG, heard=False)
    else:
        speaking(call)
        item_id = "item_m"
    call.pass_ms(1_000)
    match source:
        case "truncate":
            # The client's word, 40 ms behind the samples that it sent.
            call.starts_speaking()
            call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=960))
        case "buffer":
            call.do(fl.PlaybackCleared())
        case _:
            call.starts_speaking()
    told = call.new(fx.TruncateItem)
    assert told[-1] == fx.TruncateItem(item_id=item_id, audio_end_ms=960 if source == "truncate" else 1_000)
    assert call.state.history[-1].text == "Your flight to"
    assert call.facts("agent_turn_ended")[-1]["heard"] == "Your flight to"


@pytest.mark.parametrize(("heard_ms", "left"), [(1_000, "Welcome to the"), (10, None)])
def test_of_our_own_words_too_the_model_keeps_only_what_was_heard(call, heard_ms, left):
    call.state.greeting = "Welcome to the airline, what can I do for you today?"
    call.do(ev.CallerArrived())
    call.speaks(heard=False)
    whole = call.one(fx.Note)
    call.pass_ms(heard_ms)
    call.starts_speaking()
    assert call.one(fx.Forget).item_ids == (whole.item_id,)
    assert [note.text for note in call.new(fx.Note)] == ([left] if left else [])
    assert [entry.text for entry in call.state.history] == ([left] if left else [])


@pytest.mark.parametrize("how", ["no words", "no item"])
def test_noise_before_anything_of_an_answer_is_heard_has_it_asked_for_again(call, how):
    call.says("What is 482915?")
    cut = call.one(fx.RequestReply)
    if how == "no words":
        call.says("", gate=None)
    else:
        call.starts_speaking()
        call.do(ev.CallerStoppedSpeaking(audio_end_ms=200, discarded=True))
    assert call.new(fx.CancelReply)
    call.do(ev.ReplyEnded(reply_id=cut.reply_id, status="cancelled"))
    call.reply("It leaves at nine.")
    assert not call.new(fx.RequestReply)


def test_what_the_caller_says_next_takes_the_place_of_an_answer_that_was_not_heard(call):
    call.says("What is 482915?")
    cut = call.one(fx.RequestReply)
    call.says("No, 482916.")
    call.do(ev.ReplyEnded(reply_id=cut.reply_id, status="cancelled"))
    call.reply("It leaves at ten.")
    call.starts_speaking()
    call.do(ev.CallerStoppedSpeaking(audio_end_ms=200, discarded=True))
    assert not call.new(fx.RequestReply)


def test_what_the_client_cut_before_all_was_generated_is_remembered_as_far_as_it_was_heard(call):
    call.says("When?")
    wanted = call.one(fx.RequestReply)
    words = "It leaves at nine from gate twelve."
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.sends_audio("item_m", words, kind="reply", in_model=True)
    call.do(ev.ClientTruncated(item_id="item_m", audio_end_ms=500))
    call.do(ev.ReplyText(reply_id=wanted.reply_id, item_id="item_m", text=words))
    assert call.state.history[-1].text == "It leaves"


def begun(call, words="Well then, what can I do"):
    """A reply of which more is still to come."""
    call.says("Hello.")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.sends_audio("item_1", words, kind="reply", in_model=True)
    return wanted


def test_what_a_client_cancels_is_told_when_it_was_heard_and_is_no_interruption(call):
    wanted = begun(call)
    call.pass_ms(300)
    call.do(ev.ClientCancelled(), ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    assert call.state.history[-1].text == "Well then, what can I do"
    assert not call.facts("agent_turn_ended")
    call.pass_ms(1_000)
    assert [told["heard"] for told in call.facts("agent_turn_ended")] == ["Well then, what can I do"]
    call.says("Nothing.")
    assert len(call.facts("agent_turn_ended")) == 1
    assert not call.facts("interrupted")
    assert not call.new(fx.TruncateItem)


def test_a_caller_who_cuts_into_what_was_cancelled_has_heard_it_so_far(call):
    begun(call)
    call.do(ev.ClientCancelled())
    call.pass_ms(600)
    call.starts_speaking()
    assert [told["heard"] for told in call.facts("agent_turn_ended")] == ["Well then,"]
    assert call.one(fx.TruncateItem).audio_end_ms == 600
    assert call.state.history[-1].text == "Well then,"
