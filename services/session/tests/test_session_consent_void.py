"""What waits for a yes and is void is not asked any more: no read-back of it is said, or goes on."""

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import BoundValue, ConsentPhase
from ringback_session.domain.upkeep import OperatorTransferred
from session_agents_kit import card, team_state
from session_core_kit import READ_BACK, CoreCall, read_back

OTHER = "Refund 290754, yes?"


def two_waiting(call):
    """One action is read back, and heard; another one waits for its turn."""
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.calls("call_2", "refund", {"reservation": "290754"})
    bound = BoundValue(name="reservation", value="290754", kind="id")
    call.decides(Effect.CONFIRM, read_back=read_back(text=OTHER, must_contain=(bound,)))
    assert call.speaks().text == READ_BACK


def texts(call):
    """What is about to be said."""
    return [speech.text for speech in call.state.speeches]


def test_a_caller_who_wants_a_person_is_asked_nothing_more(call):
    two_waiting(call)
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked_for_a_person")
    assert len(call.facts("consent_asked")) == 1
    assert [fact["reason"] for fact in call.facts("consent_answered")] == ["handoff", "handoff"]
    assert OTHER not in texts(call)
    assert len(texts(call)) == 1


def test_a_hang_up_has_nothing_read_back_to_nobody(call):
    two_waiting(call)
    call.do(ev.ClientGone(reason="client_closed"))
    assert len(call.facts("consent_asked")) == 1
    assert {result["error_code"] for result in call.results().values()} == {"consent_void"}


def test_another_agent_does_not_read_back_what_the_hand_over_has_voided():
    call = CoreCall(state=team_state())
    two_waiting(call)
    call.do(OperatorTransferred(actor="ops", agent="seats", reason="busy"))
    asked = call.one(fx.FetchAgent)
    call.do(ev.AgentReady(ask_id=asked.ask_id, card=card("seats")))
    assert call.state.agent == "seats"
    assert {consent.phase for consent in call.state.consents.values()} == {ConsentPhase.ENDED}
    assert not texts(call)
    assert len(call.facts("consent_asked")) == 1


def test_a_read_back_that_is_being_made_breaks_off_when_a_person_is_called(call):
    call.says("Note that.")
    call.reply("", calls=[("call_1", "add_note", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.calls("call_2", "cancel_reservation", {"reservation": "482915"})
    call.decides(Effect.CONFIRM)
    saying = call.one(fx.RequestSpeech)
    call.do(OperatorTransferred(actor="ops", agent="", reason="vip"))
    assert [effect.speech_id for effect in call.new(fx.CancelSpeech)] == [saying.speech_id]
    assert READ_BACK not in texts(call)


def test_what_expires_is_told_before_the_next_read_back(call):
    two_waiting(call)
    call.pass_ms(31_000)
    assert call.facts("consent_answered")[0]["reason"] == "expired"
    assert "not done anything" in call.speaks().text
    assert call.speaks().text == OTHER


def test_a_no_while_the_read_back_is_said_breaks_it_off():
    call = CoreCall(audio=False)
    call.types("Cancel 482915.")
    call.reply("", calls=[("call_1", "cancel_reservation", {"reservation": "482915"})])
    call.decides(Effect.CONFIRM)
    saying = call.one(fx.RequestSpeech)
    call.types("No.", key="req_2")
    call.reads("no")
    assert [effect.speech_id for effect in call.new(fx.CancelSpeech)] == [saying.speech_id]
    assert call.results()["call_1"]["error_code"] == "refused_by_caller"
