"""Words that the model would not say as they are: text to speech says them, else a person does."""

import msgspec
import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.replies import SILENT_MODEL_MS
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ConsentPhase, SpeechKind, restore, snapshot
from ringback_session.domain.upkeep import OperatorTookOver
from session_core_kit import BOUND, READ_BACK, CoreCall, read_back

WRONG = "I will cancel something."


def garbled(call):
    """A read-back that the model has failed to say twice: the port is asked for it."""
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks(WRONG)
    call.speaks(WRONG)


def test_a_read_back_that_the_model_does_not_say_is_said_by_the_port(call):
    garbled(call)
    wanted = call.port_speaks()
    assert (wanted.kind, wanted.text) == (SpeechKind.READ_BACK, READ_BACK)
    assert not call.new(fx.FetchPacket)
    assert call.consent().phase is ConsentPhase.WAITING
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    call.journals()
    call.runs()
    assert call.results()["call_1"]["status"] == "ok"


def test_the_model_is_told_what_the_port_said_as_its_own_words(call):
    garbled(call)
    call.new(fx.Note)
    call.port_speaks()
    note = call.one(fx.Note)
    assert (note.role, note.text) == ("assistant", READ_BACK)
    assert call.state.history[-1].text == READ_BACK


def test_a_yes_before_the_last_value_was_played_does_not_count(call):
    garbled(call)
    call.port_speaks(heard=False)
    call.pass_ms(500)
    call.says("Yes.")
    call.reads("yes")
    assert not call.new(fx.Journal)
    assert call.consent().phase is ConsentPhase.READING_BACK


def test_a_yes_behind_the_last_value_counts_though_the_rest_was_cut(call):
    garbled(call)
    wanted = call.port_speaks(heard=False)
    call.pass_ms((wanted.text.index("dollars") + len("dollars")) * 50)
    call.says("Yes.", ms=100)
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.GIVEN


def test_what_was_cut_off_is_taken_back_from_the_model(call):
    garbled(call)
    call.port_speaks(heard=False)
    call.pass_ms(500)
    call.new(fx.Note)
    call.starts_speaking()
    assert call.one(fx.Note).text == "I will"
    assert call.facts("interrupted")[-1]["heard_ms"] == 500


def test_a_read_back_that_the_port_has_said_is_repeated_by_the_port_at_once(call):
    garbled(call)
    call.port_speaks()
    call.says("What?")
    call.reads("unclear")
    call.reply("It costs nothing.")
    assert not call.new(fx.RequestSpeech)
    assert call.port_speaks().text == READ_BACK
    call.says("Yes.")
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.GIVEN


def test_the_next_read_back_is_asked_of_the_model_again(call):
    garbled(call)
    call.port_speaks()
    call.says("No.")
    call.reads("no")
    call.reply("Fine.")
    call.asks_to_cancel("7", call_id="call_2", tool="refund")
    call.decides(Effect.CONFIRM)
    assert call.new(fx.RequestSpeech)


@pytest.mark.parametrize("unreported", [False, True])
def test_where_the_port_fails_too_a_person_takes_over(call, unreported):
    garbled(call)
    wanted = call.one(fx.SpeakByPort)
    call.do(ev.SpeechEnded(speech_id=wanted.speech_id, status="failed", unreported=unreported))
    assert call.one(fx.FetchPacket).reason == "words_not_spoken"
    assert call.results()["call_1"]["error_code"] == "consent_void"
    assert call.state.account.usage.unreported == unreported
    assert call.one(fx.RequestSpeech).text == call.state.rules.say_person


def test_a_port_that_never_answers_leads_to_a_person(call):
    garbled(call)
    wanted = call.one(fx.SpeakByPort)
    call.pass_ms(SILENT_MODEL_MS)
    assert fx.CancelSpeech(speech_id=wanted.speech_id, reason="unverified") in call.effects
    assert call.one(fx.FetchPacket).reason == "words_not_spoken"


def test_words_that_lack_a_value_themselves_are_not_asked_of_the_port(call):
    call.asks_to_cancel()
    lacking = read_back(text="I will do as you say. Shall I?", must_contain=BOUND)
    call.decides(Effect.CONFIRM, read_back=lacking)
    call.speaks()
    call.speaks()
    assert not call.new(fx.SpeakByPort)
    assert call.one(fx.FetchPacket).reason == "words_not_spoken"


def test_a_caller_who_cuts_in_while_the_port_is_at_it_hears_nothing_of_it_and_is_asked_again(call):
    garbled(call)
    wanted = call.one(fx.SpeakByPort)
    call.starts_speaking()
    assert fx.CancelSpeech(speech_id=wanted.speech_id, reason="turn_detected") in call.effects
    assert call.state.account.usage.unreported == 1
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=READ_BACK, item_id="item_late"))
    call.do(ev.SpeechEnded(speech_id=wanted.speech_id, status="completed"))
    assert call.consent().phase is ConsentPhase.READING_BACK
    call.do(ev.UtteranceHeard(item_id=call.commits(), text=""))
    assert not call.new(fx.RequestSpeech), "the model has shown that it does not say them"
    call.port_speaks()
    assert call.consent().phase is ConsentPhase.WAITING


def test_a_model_that_is_lost_meanwhile_does_not_disturb_the_port(call):
    garbled(call)
    wanted = call.one(fx.SpeakByPort)
    unreported = call.state.account.usage.unreported
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.state.account.usage.unreported == unreported
    assert not call.new(fx.SpeakByPort), "it is being said"
    call.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=READ_BACK, item_id="item_r"))
    call.do(ev.SpeechEnded(speech_id=wanted.speech_id, status="completed"))
    assert call.consent().phase is ConsentPhase.WAITING


def test_whoever_owns_the_call_next_reads_back_anew_by_the_port(call):
    garbled(call)
    call.one(fx.SpeakByPort)
    after = CoreCall(state=restore(snapshot(call.state)), started=False)
    after.do(ev.Resumed(epoch=2, owner="session-1"))
    assert after.port_speaks().text == READ_BACK
    after.says("Yes.")
    after.reads("yes")
    assert after.consent().phase is ConsentPhase.GIVEN


@pytest.mark.parametrize(
    "ends", [ev.ClientGone(reason="client_closed"), OperatorTookOver(actor="ann", reason="busy")]
)
def test_what_ends_the_read_back_stops_the_port(call, ends):
    garbled(call)
    wanted = call.one(fx.SpeakByPort)
    call.do(ends)
    assert wanted.speech_id in [effect.speech_id for effect in call.new(fx.CancelSpeech)]
    assert not call.new(fx.SpeakByPort)
    assert call.consent().phase is ConsentPhase.ENDED


def test_what_policy_wants_said_is_said_by_the_port_too(call):
    call.says("Something forbidden.", gate=None)
    call.gate(Effect.DENY, say="I may not speak of that.")
    call.speaks(status="failed")
    call.speaks(status="failed")
    wanted = call.port_speaks()
    assert (wanted.kind, wanted.text) == (SpeechKind.NOTICE, "I may not speak of that.")
    assert not call.new(fx.FetchPacket)


def test_a_filler_is_not_worth_the_port(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.pass_ms(900)
    call.speaks(status="failed")
    assert not call.new(fx.SpeakByPort)
    assert not call.new(fx.FetchPacket)


def test_a_record_of_a_release_without_the_port_is_read(call):
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    record = msgspec.msgpack.decode(snapshot(call.state))
    del record["speeches"][0]["by_port"]
    del next(iter(record["consents"].values()))["by_port"]
    former = restore(msgspec.msgpack.encode(record))
    assert not former.speeches[0].by_port
    assert former == call.state
