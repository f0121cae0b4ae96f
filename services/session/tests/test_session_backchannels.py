"""The rule `backchannel`: a listener's sound neither stops the agent nor delays a true interruption past its window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_session.domain import effects as fx
from ringback_session.domain import floor_inputs as fl
from ringback_session.domain import inputs as ev
from ringback_session.domain.backchannels import only_backchannels
from ringback_session.domain.rules import Effect
from session_core_kit import CoreCall

LONG = "Your flight to Lisbon leaves at nine in the morning from gate twelve, and boarding begins at eight."
WORDS = ("mm-hmm", "mm", "yeah", "okay", "right", "i see", "uh-huh")
RULES = {
    "backchannel_window_ms": 300,
    "backchannel_ms_max": 650,
    "backchannel_words": WORDS,
    "interruption_words": ("stop", "hold on"),
}


def talking(text=LONG, **rules):
    """A call in which the agent has been heard for a second."""
    call = CoreCall(**RULES | rules)
    call.says("When?")
    call.reply(text, heard=False)
    call.pass_ms(1_000)
    return call


def overlaps(call, item_id="item_o"):
    call.do(fl.CallerOverlaps(item_id=item_id))


def sounds(call, ms, *, level_db=-20.0):
    """Voice for so long from now on, as frames of 40 ms tell it; the onset was 80 ms before."""
    for passed in range(40, ms + 1, 40):
        call.pass_ms(40)
        call.do(fl.CallerSound(voice_ms=80 + passed, quiet_ms=0, level_db=level_db))


def falls_silent(call, ms, *, voice_ms, level_db=-20.0):
    for passed in range(40, ms + 1, 40):
        call.pass_ms(40)
        call.do(fl.CallerSound(voice_ms=voice_ms, quiet_ms=passed, level_db=level_db))


def is_understood(call, text, *, confidence=0.9, item_id="item_o"):
    call.do(fl.OverlapStopped(item_id=item_id))
    call.do(fl.OverlapWords(item_id=item_id, text=text, final=True, confidence=confidence))


def verdict(call):
    found = call.facts("turn_rule_applied")
    return [(fact["outcome"], fact["reason"]) for fact in found if fact["rule"] == "backchannel"]


def test_a_backchannel_does_not_stop_the_agent_and_nobody_hears_of_it():
    call = talking()
    overlaps(call)
    sounds(call, 240)
    falls_silent(call, 500, voice_ms=320)
    is_understood(call, "Mm-hmm.")
    assert call.one(fx.DropSpeech).item_id == "item_o"
    assert not call.new(fx.PassSpeech)
    assert not call.facts("interrupted")
    assert verdict(call) == [("ignored", "backchannel")]
    assert len(call.facts("user_turn_ended")) == 1


def test_without_the_filter_every_sound_is_told_at_once():
    call = talking(backchannel_window_ms=0)
    overlaps(call)
    assert call.one(fx.PassSpeech).item_id == "item_o"


def test_into_the_agents_silence_every_sound_is_told_at_once():
    call = CoreCall(**RULES)
    call.says("When?")
    call.reply(LONG)
    overlaps(call)
    assert call.one(fx.PassSpeech)


def test_a_client_that_is_not_interrupted_is_told_at_once():
    call = talking()
    call.do(ev.ClientConfigured(interrupt=False))
    overlaps(call)
    assert call.one(fx.PassSpeech)


def test_while_a_yes_is_waited_for_every_sound_may_be_it():
    call = CoreCall(**RULES)
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks(heard=False)
    overlaps(call)
    assert call.one(fx.PassSpeech)


@pytest.mark.parametrize("heard_ms", [500, 2_500])
def test_the_answer_to_a_question_is_no_backchannel(heard_ms):
    call = CoreCall(**RULES)
    call.says("Hello.")
    call.reply(
        "Shall I look it up? It takes me no more than a moment or two to find your flight.", heard=False
    )
    call.pass_ms(heard_ms)
    overlaps(call)
    assert call.one(fx.PassSpeech)


def test_voice_that_lasts_interrupts_as_soon_as_it_is_too_long_for_a_backchannel():
    call = talking()
    overlaps(call)
    began_ms = call.now_ms
    while not call.new(fx.PassSpeech):
        voice_ms = 80 + call.now_ms - began_ms
        assert voice_ms <= 650 + 40
        call.pass_ms(40)
        call.do(fl.CallerSound(voice_ms=voice_ms + 40, quiet_ms=0, level_db=-20.0))
    assert verdict(call) == [("interrupted", "long")]


def test_a_bundle_that_rather_yields_never_waits_beyond_the_window():
    call = talking(backchannel_unsure="yield")
    overlaps(call)
    sounds(call, 280)
    assert not call.new(fx.PassSpeech)
    sounds(call, 40)
    assert call.new(fx.PassSpeech)
    assert verdict(call) == [("interrupted", "unsure")]


@pytest.mark.parametrize("why", ["words", "short", "quiet"])
def test_even_then_what_is_known_for_a_backchannel_is_ignored(why):
    call = talking(backchannel_unsure="yield")
    overlaps(call)
    if why == "words":
        call.do(fl.OverlapWords(item_id="item_o", text="Yeah,"))
    sounds(call, 200, level_db=-60.0 if why == "quiet" else -20.0)
    if why == "short":
        falls_silent(call, 120, voice_ms=280)
    else:
        sounds(call, 120, level_db=-60.0 if why == "quiet" else -20.0)
    assert not call.new(fx.PassSpeech)
    is_understood(call, "Yeah.")
    assert call.new(fx.DropSpeech)


def test_the_window_ends_by_the_clock_where_the_caller_sends_no_more_audio():
    call = talking(backchannel_unsure="yield")
    overlaps(call)
    call.pass_ms(300)
    assert call.one(fx.PassSpeech)


def test_a_word_that_interrupts_does_so_before_the_window_is_over():
    call = talking()
    overlaps(call)
    sounds(call, 120)
    call.do(fl.OverlapWords(item_id="item_o", text="Hold on"))
    assert call.new(fx.PassSpeech)
    assert verdict(call) == [("interrupted", "word")]


def test_a_short_word_that_says_something_interrupts_when_it_is_understood():
    call = talking()
    overlaps(call)
    sounds(call, 200)
    falls_silent(call, 500, voice_ms=280)
    is_understood(call, "Tuesday.")
    assert call.new(fx.PassSpeech)
    assert verdict(call) == [("interrupted", "words")]


def test_words_that_nobody_is_sure_of_do_not_interrupt_unless_they_say_stop():
    for text, dropped in (("Mama.", True), ("Stop.", False)):
        call = talking(backchannel_confidence_min=0.5)
        overlaps(call)
        is_understood(call, text, confidence=0.3)
        assert bool(call.new(fx.DropSpeech)) is dropped
        assert bool(call.new(fx.PassSpeech)) is not dropped


def test_a_backchannel_that_outlasts_the_agent_is_a_turn():
    call = talking("Your flight leaves at nine.")
    overlaps(call)
    call.pass_ms(700)
    is_understood(call, "Okay.")
    assert call.new(fx.PassSpeech)
    assert verdict(call) == [("turn", "after_the_agent")]


def test_whose_words_are_late_is_heard_within_the_time_to_yield():
    call = talking(LONG * 2)
    overlaps(call)
    began_ms = call.now_ms
    sounds(call, 280)
    # The model's voice detection takes half a second of silence for the end.
    call.pass_ms(500)
    call.do(fl.OverlapStopped(item_id="item_o"))
    while not call.new(fx.PassSpeech):
        call.pass_ms(20)
    assert 80 + call.now_ms - began_ms <= 2_000
    assert verdict(call) == [("interrupted", "words_late")]


@pytest.mark.parametrize("end", ["discarded", "wordless", "lost"])
def test_a_sound_without_words_is_forgotten(end):
    call = talking()
    overlaps(call)
    sounds(call, 200)
    match end:
        case "discarded":
            call.do(fl.OverlapStopped(item_id="item_o", discarded=True))
        case "wordless":
            is_understood(call, "♪")
        case "lost":
            call.do(ev.ModelLost(reason="closed_1006"))
    assert call.one(fx.DropSpeech)
    assert call.state.floor.overlap is None


def test_a_second_sound_before_the_first_was_understood_wants_to_be_heard():
    call = talking()
    overlaps(call, "item_1")
    call.do(fl.OverlapStopped(item_id="item_1"))
    overlaps(call, "item_2")
    assert next(effect.item_id for effect in call.new(fx.PassSpeech)) == "item_1"


def test_a_sound_that_nobody_can_measure_interrupts_when_it_goes_on():
    call = talking()
    overlaps(call)
    call.pass_ms(940)
    assert not call.new(fx.PassSpeech)
    call.pass_ms(20)
    assert call.new(fx.PassSpeech)


def test_what_is_late_about_another_sound_changes_nothing():
    call = talking()
    overlaps(call)
    call.do(fl.OverlapWords(item_id="item_x", text="Stop", final=True), fl.OverlapStopped(item_id="item_x"))
    assert call.state.floor.overlap is not None
    call.do(fl.OverlapStopped(item_id="item_o", discarded=True))
    call.do(fl.CallerSound(voice_ms=900, quiet_ms=0, level_db=-10.0))
    assert not call.new(fx.PassSpeech)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("Mm-Hmm.", True),
        ("Yeah, yeah!", True),
        ("I see, right.", True),
        ("Right, but no", False),
        ("I", False),
        ("", False),
        ("...", False),
    ],
)
def test_words_are_compared_without_their_marks(text, only):
    assert only_backchannels(text, WORDS) is only


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.sampled_from([" ", ", ", "... ", "! "]))
def test_any_row_of_backchannels_is_one(said, between):
    assert only_backchannels(between.join(said).upper(), WORDS)


@given(
    st.lists(
        st.one_of(
            st.builds(fl.CallerOverlaps, item_id=st.sampled_from("ab")),
            st.builds(
                fl.CallerSound,
                voice_ms=st.integers(0, 1_000),
                quiet_ms=st.integers(0, 400),
                level_db=st.floats(-90, 0),
            ),
            st.builds(
                fl.OverlapWords,
                item_id=st.sampled_from("ab"),
                text=st.sampled_from(["", "yeah", "stop", "two"]),
                final=st.booleans(),
            ),
            st.builds(fl.OverlapStopped, item_id=st.sampled_from("ab"), discarded=st.booleans()),
            st.integers(1, 800),
        ),
        max_size=20,
    ),
    st.sampled_from(["wait", "yield"]),
)
def test_whatever_happens_each_sound_gets_one_verdict(happenings, unsure):
    call = talking(backchannel_unsure=unsure)
    begun = 0
    for what in happenings:
        if isinstance(what, int):
            call.pass_ms(what)
        else:
            begun += isinstance(what, fl.CallerOverlaps)
            call.do(what)
    call.pass_ms(20_000)
    told = len(call.new(fx.PassSpeech)) + len(call.new(fx.DropSpeech))
    open_one = call.state.floor.overlap is not None
    assert told + open_one == begun
