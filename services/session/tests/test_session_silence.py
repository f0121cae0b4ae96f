"""A model that begins nothing, or ends nothing, does not hold the call."""

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.replies import SILENT_MODEL_MS
from ringback_session.domain.state import SpeechKind
from session_core_kit import CoreCall


def test_a_reply_that_never_comes_is_given_up_and_the_caller_hears_of_it():
    call = CoreCall(input_gate="off")
    call.says("Where is my flight?", gate=None)
    owed = call.one(fx.RequestReply)
    call.pass_ms(SILENT_MODEL_MS + 1)
    assert call.one(fx.CancelReply).reply_id == owed.reply_id
    assert call.one(fx.RequestSpeech).kind is SpeechKind.NOTICE
    assert call.state.reply is None


def test_a_reply_that_ends_late_but_shows_that_it_is_there_is_waited_for():
    call = CoreCall(input_gate="off")
    call.says("Where is my flight?", gate=None)
    owed = call.one(fx.RequestReply)
    call.pass_ms(SILENT_MODEL_MS - 1_000)
    call.do(ev.ReplyStarted(reply_id=owed.reply_id, response_id="resp_1"))
    call.pass_ms(SILENT_MODEL_MS - 1_000)
    assert call.state.reply is not None
    assert not call.new(fx.CancelReply)


def test_words_of_ours_that_never_come_are_asked_for_once_more(call):
    call.state.greeting = "Welcome."
    call.do(ev.CallerArrived())
    first = call.one(fx.RequestSpeech)
    call.pass_ms(SILENT_MODEL_MS + 1)
    again = call.one(fx.RequestSpeech)
    assert again.text == first.text
    assert again.speech_id != first.speech_id
