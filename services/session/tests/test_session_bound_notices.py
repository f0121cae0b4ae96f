"""What says what was done, was not done or is refused is heard as it stands, or not at all."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.guarded import SentenceMade
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import SpeechKind
from ringback_session.domain.upkeep import OperatorSaid
from session_core_kit import CoreCall, new_state

REFUSED = "I can't tell you what is in account 482915."
RECORDED = "This call is recorded."
FALSE = "All right, that is done for you."


def refused():
    call = CoreCall()
    call.says("What is in account 482915?", gate=None)
    call.gate(Effect.DENY, say=REFUSED)
    return call, REFUSED


def disclosed():
    call = CoreCall()
    call.says("Hello.", gate=None)
    call.gate(Effect.ALLOW, say=RECORDED)
    return call, RECORDED


def reply_refused():
    call = CoreCall(output_gate="blocking")
    call.says("What is in account 482915?")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    words = "It holds a hundred dollars."
    call.do(SentenceMade(reply_id=wanted.reply_id, item_id="item_1", text=words, ends_at=len(words)))
    question = call.question("output")
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.DENY, say=REFUSED))
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    return call, REFUSED


def not_done():
    call = CoreCall()
    call.is_read_back()
    call.pass_ms(31_000)
    return call, call.state.rules.say_consent_expired


def done_after_all():
    call = CoreCall()
    call.says("Please add a note.")
    call.reply("", calls=[("call_1", "add_note", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs("unknown", error_code="unknown_outcome", message="Nobody knows yet.")
    call.reply("I can't tell yet.")
    message = "The note on 482915 is there."
    call.do(ev.ActionReconciled(action_id=call.action().action_id, status="ok", message=message))
    return call, message


BOUND = pytest.mark.parametrize("told", [refused, disclosed, reply_refused, not_done, done_after_all])


@BOUND
def test_it_is_heard_once_the_model_has_said_it_as_it_stands(told):
    call, words = told()
    wanted = call.one(fx.RequestSpeech)
    assert (wanted.kind, wanted.text, wanted.hold) == (SpeechKind.NOTICE, words, True)
    named = {"item_id": "item_n", "response_id": "resp_n"}
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=words[:-6], **named))
    assert not call.new(fx.ReleaseSpeech)
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=words, **named))
    assert call.one(fx.ReleaseSpeech).speech_id == wanted.speech_id


@BOUND
def test_other_words_are_not_heard_and_the_port_says_it_where_the_model_does_not(told):
    call, words = told()
    for _ in range(2):
        assert call.speaks(FALSE).text == words
    assert not call.new(fx.ReleaseSpeech)
    assert call.port_speaks().text == words
    assert not call.state.person_reason


@BOUND
def test_what_nobody_can_say_as_it_stands_leads_to_a_person(told):
    call, _ = told()
    call.speaks(FALSE)
    call.speaks(FALSE)
    call.port_speaks(status="failed")
    assert call.state.person_reason == "words_not_spoken"
    assert call.one(fx.RequestSpeech).text == call.state.rules.say_person


def test_values_in_it_may_be_said_the_way_they_sound():
    call, _ = refused()
    spoken = "I can't tell you what is in account four eight two, nine one five."
    assert call.speaks(spoken).text == REFUSED
    assert not call.state.speeches


def test_what_binds_nothing_is_heard_while_it_is_made():
    call = CoreCall(state=new_state(greeting="Hello, this is the airline."))
    call.do(ev.CallerArrived())
    assert not call.speaks().hold
    call.do(OperatorSaid(actor="anna", text="Anna here, one moment."))
    assert not call.speaks().hold
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked", rule="safety.person")
    assert not call.speaks().hold


def test_words_without_a_word_bind_nothing():
    call = CoreCall()
    call.says("Hm?", gate=None)
    call.gate(Effect.DENY, say="…")
    assert not call.speaks().hold
