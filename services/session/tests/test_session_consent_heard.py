"""A yes counts only if every value had been heard before it was begun, however long it takes to be read."""

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.simulation import Move, Plan, simulate
from session_core_kit import READ_BACK, CoreCall


def asked(**more):
    """A read-back whose audio is out and of which the caller has heard nothing yet."""
    call = CoreCall(input_gate="off", **more)
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks(heard=False)
    return call


def read_later(call):
    """Policy reads the answer when all of the read-back has been heard."""
    reading = call.one(fx.ReadConsent)
    call.listens()
    call.do(ev.ConsentRead(consent_id=reading.consent_id, reading="yes", item_id=reading.item_id))


def test_a_typed_yes_that_was_early_does_not_become_one_while_it_is_read():
    call = asked()
    call.types("Yes.")
    read_later(call)
    assert call.consent().phase == "reading_back"
    assert call.one(fx.RequestSpeech).text == call.consent().read_back


def test_who_says_yes_too_early_each_time_gets_a_person_and_not_the_read_back_for_ever():
    call = asked()
    for _ in range(2):
        call.types("Yes.")
        read_later(call)
        call.speaks(heard=False)
    call.types("Yes.")
    read_later(call)
    assert call.one(fx.FetchPacket).reason == "consent_unclear"


def test_nor_does_a_spoken_one_where_the_caller_does_not_interrupt_the_agent():
    call = asked()
    call.do(ev.ClientConfigured(interrupt=False))
    call.starts_speaking()
    call.listens()
    item_id = call.commits()
    call.do(ev.UtteranceHeard(item_id=item_id, text="Yes.", confidence=0.95))
    read_later(call)
    assert call.consent().phase == "reading_back"


def test_a_typed_yes_before_the_repeated_read_back_is_said_does_not_answer_the_one_before():
    call = CoreCall(input_gate="off")
    call.is_read_back()
    call.says("", failed=True)
    call.types("Yes.")
    call.reads("yes")
    assert call.consent().phase == "reading_back"


def test_the_clients_own_word_on_how_far_it_played_counts_behind_a_yes_that_cut_in():
    call = asked()
    call.starts_speaking()
    (item,) = (played for played in call.state.playback.items if played.kind == "read_back")
    call.do(ev.ClientTruncated(item_id=item.item_id, audio_end_ms=item.samples // 24))
    call.do(ev.UtteranceHeard(item_id=call.commits(), text="Yes.", confidence=0.95))
    read_later(call)
    assert call.consent().phase == "given"


def test_a_yes_to_what_was_heard_counts_when_it_is_read_late():
    call = asked()
    call.listens()
    call.types("Yes.")
    read_later(call)
    assert call.consent().phase == "given"


def test_committed_audio_without_a_detected_beginning_counts_from_its_commit():
    call = asked()
    call.do(ev.UtteranceCommitted(item_id="item_early", wants_reply=False))
    call.do(ev.UtteranceHeard(item_id="item_early", text="Yes.", confidence=0.95))
    read_later(call)
    assert call.consent().phase == "reading_back"
    call.speaks()
    call.do(ev.UtteranceCommitted(item_id="item_late", wants_reply=False))
    call.do(ev.UtteranceHeard(item_id="item_late", text="Yes.", confidence=0.95))
    read_later(call)
    assert call.consent().phase == "given"


def test_a_simulated_policy_that_is_slow_makes_no_yes_of_one_that_came_too_early():
    moves = (
        Move(1_000, "caller", "says", "Cancel 1 and 2."),
        Move(2_816, "caller", "interrupts"),
        Move(6_848, "policy", "slow", for_ms=12_000),
    )
    outcome = simulate(
        Plan(seed=30_214, typed=True, moves=moves, answers=("question", "yes", "yes", "yes", "correction"))
    )
    assert not outcome.violations
    assert outcome.counts["consent_answered"]


def test_a_yes_that_is_read_while_the_read_back_comes_to_its_end_has_it_repeated():
    call = CoreCall(input_gate="off")
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.types("Yes.")
    reading = call.one(fx.ReadConsent)
    call.speaks()
    call.do(ev.ConsentRead(consent_id=reading.consent_id, reading="yes", item_id=reading.item_id))
    assert call.one(fx.RequestSpeech).text == call.consent().read_back


def test_a_typed_yes_does_not_count_when_more_was_typed_before_it_was_read():
    call = CoreCall(input_gate="blocking")
    call.is_read_back()
    call.types("Yes.")
    reading = call.one(fx.ReadConsent)
    call.types("No, wait.", gate=None)
    call.do(ev.ConsentRead(consent_id=reading.consent_id, reading="yes", item_id=reading.item_id))
    assert call.consent().phase != "given"


def test_what_is_said_again_while_the_model_is_away_is_no_unclear_answer():
    call = CoreCall()
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    assert call.one(fx.RequestSpeech).text == READ_BACK
    for _ in range(4):
        call.says("Four eight two nine one five.")
        call.reads("unclear")
        assert not call.new(fx.FetchPacket)
    assert call.consent().unclear == 0


def test_an_answer_into_a_read_back_that_is_being_heard_may_be_unclear():
    call = CoreCall()
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    asked = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=asked.speech_id, item_id="item_r", transcript=READ_BACK))
    call.says("Hm?")
    call.reads("unclear")
    assert call.consent().unclear == 1
