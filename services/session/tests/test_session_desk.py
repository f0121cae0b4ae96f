"""A person at the call: the agent is silent, their lines are spoken, and it goes on where they leave it."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.desk import SILENT_MS_MAX
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import SPEECHES_QUEUED_MAX, SpeechKind
from ringback_session.domain.upkeep import (
    OperatorHandedBack,
    OperatorNoted,
    OperatorSaid,
    OperatorTookOver,
    OperatorTransferred,
)
from session_core_kit import READ_BACK

ANNA = {"actor": "anna", "reason": "upset caller"}


def take_over(call):
    call.do(OperatorTookOver(**ANNA))


def test_a_take_over_stops_the_agent_and_leaves_the_model_silent(call):
    call.says("Hello?")
    call.one(fx.RequestReply)
    take_over(call)
    assert call.one(fx.CancelReply)
    call.says("Is somebody there?")
    assert not call.new(fx.RequestReply)
    assert not call.new(fx.AskPolicy), "what is said to a person is not judged for the agent"
    assert [turn["text"] for turn in call.facts("user_turn_ended")] == ["Hello?", "Is somebody there?"]


def test_a_persons_lines_are_spoken_and_told_to_the_model(call):
    take_over(call)
    call.do(OperatorSaid(actor="anna", text="Anna here, how can I help?"))
    assert call.speaks().kind is SpeechKind.OPERATOR
    assert call.facts("agent_turn_ended")[0]["kind"] == "operator"
    assert call.one(fx.Note).text == "Anna here, how can I help?"
    assert [act["action"] for act in call.facts("operator_acted")] == ["take_over", "say"]


def test_a_line_waits_for_the_caller_and_a_barge_in_does_not_lose_it(call):
    take_over(call)
    call.starts_speaking()
    call.do(OperatorSaid(actor="anna", text="One moment."))
    assert not call.new(fx.RequestSpeech)
    call.starts_speaking()
    call.commits()
    call.do(ev.UtteranceHeard(item_id="item_u1", text="Yes?"))
    assert call.speaks().text == "One moment."


def test_a_read_back_is_void_once_a_person_has_the_call(call):
    call.is_read_back()
    take_over(call)
    assert call.facts("consent_answered")[-1]["reading"] == "void"
    call.says("Yes.")
    assert not call.new(fx.ReadConsent)
    assert not call.new(fx.Execute)


def test_the_agent_goes_on_after_a_hand_back_and_knows_why(call):
    take_over(call)
    call.says("And my refund?")
    call.do(OperatorHandedBack(actor="anna", note="She wants a refund."))
    notes = call.new(fx.Note)
    assert "handed the call back" in notes[-1].text
    assert "She wants a refund." in notes[-1].text
    assert call.one(fx.RequestReply), "the caller is owed an answer"


def test_who_was_answered_by_the_person_is_not_answered_again(call):
    take_over(call)
    call.says("And my refund?")
    call.do(OperatorSaid(actor="anna", text="It is on its way."))
    call.speaks()
    call.do(OperatorHandedBack(actor="anna"))
    assert not call.new(fx.RequestReply)


def test_a_person_who_does_nothing_any_more_does_not_leave_the_line_silent(call):
    take_over(call)
    call.says("Hello?")
    call.pass_ms(SILENT_MS_MAX + 1)
    assert call.one(fx.RequestReply)
    assert call.facts("operator_acted")[-1]["reason"] == "operator_silent"


@pytest.mark.parametrize("others", [OperatorSaid, OperatorNoted])
def test_what_somebody_else_does_does_not_keep_the_line_for_a_person_who_is_gone(call, others):
    take_over(call)
    call.says("Hello?")
    call.pass_ms(SILENT_MS_MAX - 1)
    call.do(others(actor="boris", text="Hold on."))
    call.pass_ms(2)
    assert not call.state.desk.actor


@pytest.mark.parametrize("own", [OperatorSaid, OperatorNoted])
def test_who_speaks_or_notes_keeps_the_call(call, own):
    take_over(call)
    call.pass_ms(SILENT_MS_MAX - 1)
    call.do(own(actor="anna", text="Hold on."))
    call.pass_ms(2)
    assert call.state.desk.actor == "anna"


def test_a_person_who_passes_the_call_on_lets_it_go_and_the_next_one_is_told(call):
    take_over(call)
    call.do(OperatorTransferred(actor="anna", reason="billing"))
    assert not call.state.desk.actor
    assert call.state.handed_over, "the agent stays silent"
    assert call.one(fx.FetchPacket).reason == "billing"
    assert call.speaks().kind is SpeechKind.NOTICE


def test_a_person_who_was_escalated_to_can_hand_the_call_back(call):
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked", rule="safety.person")
    call.speaks()
    take_over(call)
    call.do(OperatorHandedBack(actor="anna"))
    assert not call.state.handed_over
    call.says("Thanks.")
    assert call.new(fx.RequestReply)


@pytest.mark.parametrize("reply", [False, True])
def test_a_note_is_for_the_model_alone(call, reply):
    call.do(OperatorNoted(actor="anna", text="The flight is late.", reply=reply))
    assert call.one(fx.Note).role == "system"
    assert not call.new(fx.RequestSpeech)
    assert bool(call.new(fx.RequestReply)) is reply


def test_a_transfer_to_a_person_takes_the_path_of_an_escalation(call):
    call.do(OperatorTransferred(actor="anna", reason="vip"))
    assert call.one(fx.FetchPacket).reason == "vip"
    assert call.state.handed_over


def test_a_transfer_to_an_agent_fetches_it_without_asking_policy(call):
    take_over(call)
    call.do(OperatorTransferred(actor="anna", agent="refunds", reason="knows refunds"))
    assert call.one(fx.FetchAgent).agent == "refunds"
    assert not [ask for ask in call.new(fx.AskPolicy) if ask.gate == "handoff"]
    assert not call.state.desk.actor


def test_a_resumed_call_is_still_with_the_person(call):
    take_over(call)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert call.state.desk.actor == "anna"
    call.says("Hello?")
    assert not call.new(fx.RequestReply)
    call.pass_ms(SILENT_MS_MAX + 1)
    assert call.one(fx.RequestReply)


def test_a_full_queue_of_lines_crowds_out_a_filler(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.pass_ms(3_000)
    filler = call.one(fx.RequestSpeech)
    for number in range(SPEECHES_QUEUED_MAX):
        call.do(OperatorSaid(actor="anna", text=f"Line {number}."))
    assert call.one(fx.CancelSpeech).speech_id == filler.speech_id
    assert len(call.state.speeches) == SPEECHES_QUEUED_MAX


def test_nothing_is_read_back_into_a_persons_talk_but_once_they_hand_back(call):
    call.asks_to_cancel()
    take_over(call)
    call.decides(Effect.CONFIRM)
    assert not call.new(fx.RequestSpeech)
    call.do(OperatorHandedBack(**ANNA))
    assert call.speaks().text == READ_BACK
