"""The rule `resume`: an interruption that proves to be none has the agent go on from where it was cut."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import SpeechKind
from session_core_kit import CoreCall

LONG = "Your flight to Lisbon leaves at nine in the morning from gate twelve, and boarding begins at eight."


def cut(*, done=True, text=LONG, truncates=True, **rules):
    """The agent is cut after a second; the client says where it stopped."""
    rules = {"resume_within_ms": 3_000, "backchannel_words": ("mm", "yeah")} | rules
    call = CoreCall(**rules)
    call.says("When?")
    if done:
        item_id = call.reply(text, heard=False)
    else:
        item_id = "item_m"
        wanted = call.one(fx.RequestReply)
        call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
        call.sends_audio(item_id, text, kind="reply", in_model=True)
    call.pass_ms(1_000)
    call.starts_speaking()
    if truncates:
        call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=960))
    if not done:
        call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.pass_ms(300)
    return call, item_id


def ends(call, how):
    if how == "discarded":
        call.do(ev.CallerStoppedSpeaking(audio_end_ms=0, discarded=True))
    else:
        call.do(ev.UtteranceHeard(item_id=call.commits(), text=how, confidence=0.9))


@pytest.mark.parametrize("how", ["discarded", "", "Mm.", "Yeah, yeah."])
def test_the_agent_goes_on_from_the_cut_when_nothing_was_said(how):
    call, item_id = cut()
    ends(call, how)
    again = call.one(fx.PlayAgain)
    assert (again.item_id, again.from_ms) == (item_id, 960)
    assert again.text == LONG.removeprefix("Your flight to").strip()
    assert not call.new(fx.RequestReply)
    assert not call.new(fx.AskPolicy)
    assert call.facts("turn_rule_applied")[-1]["rule"] == "resume"


def test_a_turn_is_answered_and_nothing_is_resumed():
    call, _ = cut()
    ends(call, "Which gate?")
    call.gate(Effect.ALLOW)
    assert call.new(fx.RequestReply)
    assert not call.new(fx.PlayAgain)


def test_only_a_client_that_stopped_is_played_the_rest():
    call, _ = cut(truncates=False)
    ends(call, "")
    assert not call.new(fx.PlayAgain)


def test_too_late_is_too_late():
    call, _ = cut(resume_within_ms=500)
    call.pass_ms(300)
    ends(call, "")
    assert not call.new(fx.PlayAgain)


def test_a_bundle_that_does_not_want_it_stays_cut():
    call, _ = cut(resume_within_ms=0)
    ends(call, "")
    assert not call.new(fx.PlayAgain)


def test_the_answer_to_a_question_is_a_turn_whatever_its_word():
    call, _ = cut(text="Is it so? " + LONG)
    ends(call, "Yeah.")
    call.gate(Effect.ALLOW)
    assert call.new(fx.RequestReply)


def test_a_reply_that_was_still_being_made_is_gone_on_with_by_the_model():
    call, _ = cut(done=False)
    ends(call, "")
    again = call.one(fx.PlayAgain)
    call.do(ev.AudioSent(item_id="item_r", samples=24_000, text=again.text, kind="resumed", in_model=False))
    call.do(ev.SpeechText(speech_id=again.speech_id, transcript=again.text, item_id="item_r"))
    call.do(ev.SpeechEnded(speech_id=again.speech_id, status="completed"))
    assert "where it stopped" in call.one(fx.RequestReply).instructions
    assert call.one(fx.Note).text == again.text


def test_where_the_audio_is_not_kept_the_model_goes_on_in_its_own_words():
    call, _ = cut()
    ends(call, "")
    again = call.one(fx.PlayAgain)
    call.do(ev.SpeechEnded(speech_id=again.speech_id, status="failed"))
    assert "where it stopped" in call.one(fx.RequestReply).instructions
    assert not call.state.person_reason


def test_without_an_input_gate_a_cut_waits_for_the_words():
    call, _ = cut(input_gate="off")
    item_id = call.commits()
    assert not call.new(fx.RequestReply)
    call.do(ev.UtteranceHeard(item_id=item_id, text="Mm.", confidence=0.9))
    assert call.new(fx.PlayAgain)
    assert not call.new(fx.RequestReply)


def test_a_second_interruption_that_is_none_goes_on_from_the_second_cut():
    call, _ = cut()
    ends(call, "")
    again = call.one(fx.PlayAgain)
    call.do(ev.SpeechText(speech_id=again.speech_id, transcript=again.text, item_id="item_r"))
    call.do(ev.AudioSent(item_id="item_r", samples=72_000, text=again.text, kind="resumed", in_model=False))
    call.do(ev.SpeechEnded(speech_id=again.speech_id, status="completed"))
    call.pass_ms(500)
    call.starts_speaking()
    call.do(ev.ClientTruncated(item_id="item_r", audio_end_ms=500))
    ends(call, "")
    assert call.one(fx.PlayAgain).item_id == "item_r"


def test_what_is_resumed_is_ours_to_say_once_and_is_reported_as_such():
    call, _ = cut()
    ends(call, "")
    speech = call.state.speeches[0]
    assert speech.kind is SpeechKind.RESUMED
    assert speech.requested


def test_a_noise_behind_a_turn_does_not_resume_what_the_turn_had_cut():
    call, _ = cut(resume_within_ms=10_000)
    ends(call, "Which gate?")
    call.gate(Effect.ALLOW)
    wanted = call.one(fx.RequestReply)
    call.starts_speaking()
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.do(ev.CallerStoppedSpeaking(audio_end_ms=0, discarded=True))
    assert not call.new(fx.PlayAgain)
