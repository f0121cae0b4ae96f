"""The turn rules that are counted: each by its name, in virtual time."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from session_core_kit import CoreCall

LONG = "I can tell you when it leaves, where it leaves from, what it costs, and how to change it."


def applied(call, rule):
    return [fact for fact in call.facts("turn_rule_applied") if fact["rule"] == rule]


def acting(**rules):
    call = CoreCall(**rules)
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    return call


def test_filler_and_progress_are_counted():
    call = acting(filler_after_ms=700, silence_ms_max=3_000)
    call.pass_ms(700)
    call.speaks()
    assert [fact["count"] for fact in applied(call, "filler")] == [1]
    call.pass_ms(3_000)
    assert applied(call, "progress")


@pytest.mark.parametrize("silence_ms_max", [2_000, 4_000])
def test_the_silence_ceiling_holds_for_as_long_as_an_action_runs(silence_ms_max):
    call = acting(filler_after_ms=700, silence_ms_max=silence_ms_max)
    silent_from, longest = call.now_ms, 0
    for _ in range(200):
        call.pass_ms(100)
        if any(isinstance(effect, fx.RequestSpeech) for effect in call._fresh):
            longest = max(longest, call.now_ms - silent_from)
            call.speaks()
            silent_from = call.now_ms
    assert 0 < longest <= silence_ms_max + 100


def test_fillers_that_a_bundle_switches_off_are_not_said():
    call = acting(filler_after_ms=0)
    call.pass_ms(20_000)
    assert not call.new(fx.RequestSpeech)


def test_a_bundle_without_a_ceiling_says_one_filler():
    call = acting(filler_after_ms=700, silence_ms_max=0)
    call.pass_ms(700)
    call.speaks()
    call.pass_ms(60_000)
    assert not call.new(fx.RequestSpeech)


def test_brevity_counts_the_words_of_what_was_said_and_tells_the_next_reply_once():
    call = CoreCall(words_max=10)
    call.says("Tell me about it.")
    call.reply(LONG)
    fact = applied(call, "brevity")[0]
    assert (fact["count"], fact["limit"]) == (len(LONG.split()), 10)
    call.says("And?")
    asked = call.one(fx.RequestReply)
    assert "at most 10 words" in asked.instructions
    call.reply("At nine.", wanted=asked)
    call.says("Thanks.")
    assert not call.one(fx.RequestReply).instructions


def test_a_reply_within_its_words_is_not_counted():
    call = CoreCall(words_max=60)
    call.says("When?")
    call.reply(LONG)
    assert not applied(call, "brevity")


def test_a_reply_that_was_cut_is_measured_by_what_was_said():
    call = CoreCall(words_max=5)
    call.says("When?")
    call.reply(LONG, heard=False)
    call.pass_ms(500)
    call.says("Stop.")
    assert applied(call, "brevity")[0]["count"] == len(LONG.split())


def test_our_own_words_are_not_held_against_the_model():
    call = CoreCall(words_max=2)
    call.state.greeting = "Welcome to the airline, what can I do for you?"
    call.do(ev.CallerArrived())
    call.speaks()
    assert not applied(call, "brevity")


@pytest.mark.parametrize(("over", "told"), [("count", False), ("ask_again", True)])
def test_several_questions_are_counted_and_where_the_bundle_says_so_asked_again_one_at_a_time(over, told):
    call = CoreCall(questions_max=1, questions_over=over)
    call.says("I want to fly.")
    call.reply("Where to? And when? How many are you?")
    assert applied(call, "one_question")[0]["count"] == 3
    call.says("Lisbon.")
    assert ("only the one" in call.one(fx.RequestReply).instructions) is told


@pytest.mark.parametrize("text", ["Where to?", "Where to??", "To Lisbon."])
def test_one_question_is_one_however_it_is_marked(text):
    call = CoreCall(questions_max=1)
    call.says("I want to fly.")
    call.reply(text)
    assert not applied(call, "one_question")


@pytest.fixture
def quiet():
    """A call in which the agent has answered, and everybody is silent."""
    call = CoreCall(
        idle_ms=8_000, idle_prompts_max=2, idle_prompts=("Hello?", "Still there?"), say_goodbye="Goodbye."
    )
    call.says("When?")
    call.reply("At nine.")
    return call


def test_a_silent_caller_is_asked_so_often_and_then_let_go(quiet):
    for words in ("Hello?", "Still there?", "Goodbye."):
        quiet.pass_ms(7_900)
        assert not quiet.new(fx.RequestSpeech)
        quiet.pass_ms(200)
        assert quiet.speaks(words).text == words
    quiet.pass_ms(100)
    assert quiet.one(fx.EndCall).reason == "idle"
    assert [(fact["outcome"], fact["count"]) for fact in applied(quiet, "idle_prompt")] == [
        ("asked", 1),
        ("asked", 2),
        ("goodbye", 2),
    ]


def test_the_goodbye_is_heard_before_the_call_ends(quiet):
    for _ in range(2):
        quiet.pass_ms(8_100)
        quiet.speaks()
    quiet.pass_ms(8_100)
    quiet.speaks(heard=False)
    quiet.pass_ms(200)
    assert not quiet.new(fx.EndCall)
    quiet.pass_ms(500)
    assert quiet.new(fx.EndCall)


def test_whoever_answers_is_asked_from_the_beginning(quiet):
    quiet.pass_ms(8_100)
    quiet.speaks()
    quiet.says("Yes, I am here.")
    quiet.reply("Good.")
    quiet.pass_ms(8_100)
    assert quiet.speaks().text == "Hello?"


def test_whoever_speaks_into_the_goodbye_stays(quiet):
    for _ in range(2):
        quiet.pass_ms(8_100)
        quiet.speaks()
    quiet.pass_ms(8_100)
    quiet.speaks(heard=False)
    quiet.says("Wait!")
    quiet.reply("I am here.")
    quiet.pass_ms(1_000)
    assert not quiet.new(fx.EndCall)


def test_without_a_goodbye_the_call_stays_open_and_nobody_is_asked_again():
    call = CoreCall(idle_ms=5_000, idle_prompts_max=1)
    call.says("When?")
    call.reply("At nine.")
    call.pass_ms(5_100)
    call.speaks()
    call.pass_ms(120_000)
    assert not call.new(fx.RequestSpeech)
    assert not call.new(fx.EndCall)
    call.says("Hello?")
    call.reply("Hello.")
    call.pass_ms(5_100)
    assert call.new(fx.RequestSpeech)


def test_nobody_is_asked_while_an_action_runs():
    call = acting(idle_ms=3_000, filler_after_ms=0)
    call.pass_ms(20_000)
    assert not call.new(fx.RequestSpeech)
    assert not applied(call, "idle_prompt")


def test_who_only_types_is_not_asked():
    call = CoreCall(audio=False, idle_ms=3_000)
    call.types("When?")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyText(reply_id=wanted.reply_id, item_id="item_m", text="At nine."))
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="completed"))
    call.pass_ms(60_000)
    assert not call.new(fx.RequestSpeech)
