"""The rule `idle_prompt` asks the question that is still open again, and reads a read-back again; bounded."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ConsentPhase, restore, snapshot
from session_core_kit import READ_BACK, CoreCall


def applied(call, rule):
    return [fact["outcome"] for fact in call.facts("turn_rule_applied") if fact["rule"] == rule]


def idle(reply, **rules):
    rules = {"idle_ms": 5_000, "idle_prompts": ("Are you there?",), "idle_prompts_max": 2} | rules
    call = CoreCall(input_gate="off", **rules)
    call.says("Cancel my flight.", gate=None)
    call.reply(reply)
    return call


def test_a_question_that_nobody_answered_is_asked_again_with_the_prompt_and_no_oftener():
    call = idle("I can do that. Which reservation is it?")
    for _ in range(2):
        call.pass_ms(5_100)
        assert call.speaks().text == "Are you there? Which reservation is it?"
    call.pass_ms(60_000)
    assert not call.new(fx.RequestSpeech)


@pytest.mark.parametrize("reply", ["It is on time.", f"{'So ' * 200}what?"])
def test_without_an_open_question_or_with_an_endless_one_the_prompt_is_said_alone(reply):
    call = idle(reply)
    for _ in range(2):
        call.pass_ms(5_100)
        assert call.speaks().text == "Are you there?"


def test_a_read_back_that_nobody_answers_is_read_back_again_before_it_expires():
    call = CoreCall(idle_ms=5_000, idle_prompts=("Are you there?",), idle_prompts_max=2, say_goodbye="Bye.")
    call.is_read_back()
    for _ in range(2):
        call.pass_ms(5_100)
        assert call.speaks().text == f"Are you there? {READ_BACK}"
        assert call.consent().phase is ConsentPhase.WAITING
    assert applied(call, "idle_prompt") == ["asked_again", "asked_again"]
    call.pass_ms(31_000)
    assert call.facts("consent_answered")[-1]["reason"] == "expired"


def test_a_yes_to_a_read_back_that_was_repeated_counts():
    call = CoreCall(idle_ms=5_000, idle_prompts_max=2)
    call.is_read_back()
    call.pass_ms(5_100)
    call.speaks()
    call.says("Yes.")
    call.reads("yes")
    call.decides(Effect.ALLOW)
    assert call.new(fx.Journal)


def test_nobody_is_prompted_into_what_they_still_hear():
    call = CoreCall(input_gate="off", idle_ms=5_000, idle_prompts=("Are you there?",))
    call.says("Hello?", gate=None)
    call.reply("A long answer that is still being played.", heard=False)
    call.do(ev.TimerFired(name="idle"))
    assert not call.new(fx.RequestSpeech)
    assert "idle" in call.timers


def test_a_caller_who_is_silent_since_before_a_new_owner_came_is_prompted_all_the_same():
    call = idle("It is on time.")
    other = CoreCall(state=restore(snapshot(call.state)), started=False)
    other.now_ms = call.now_ms
    other.do(ev.Resumed(epoch=2, owner="session-1"))
    other.pass_ms(5_100)
    assert other.speaks().text == "Are you there?"


def test_a_client_that_silenced_the_agent_while_a_yes_is_waited_for_is_not_prompted():
    call = CoreCall(idle_ms=5_000, idle_prompts=("Are you there?",))
    call.is_read_back()
    call.says("Which card?")
    call.reads("unclear")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ClientCancelled(response_id="resp_c"))
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    call.pass_ms(20_000)
    assert not call.new(fx.RequestSpeech)
