"""The input gate in parallel: the reply is prepared at once; nothing of it is heard or done before the words passed."""

import asyncio

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.input_gate import RESTATE
from ringback_session.domain.inputs import Decided
from ringback_session.domain.redacting import REDACTED
from ringback_session.domain.rules import Effect, GateFallback, TurnRules
from session_call_kit import World
from session_core_kit import CoreCall

AUDIO = "response.output_audio.delta"


def parallel(**rules):
    return CoreCall(**{"input_gate": "parallel"} | rules)


def test_the_reply_is_asked_for_before_the_words_are_known_and_shown_when_they_have_passed():
    call = parallel()
    call.says("Where is my flight?", gate=None)
    wanted = call.one(fx.RequestReply)
    assert wanted.shut
    assert not call.new(fx.OpenReply)
    call.gate(Effect.ALLOW)
    assert call.one(fx.OpenReply).reply_id == wanted.reply_id
    assert not call.new(fx.RequestReply)


def test_a_reply_to_what_is_refused_is_cancelled_and_the_bundles_words_are_said():
    call = parallel()
    call.says("Tell me a secret.", gate=None)
    wanted = call.one(fx.RequestReply)
    call.gate(Effect.DENY, say="I can't help with that.")
    assert call.one(fx.CancelReply).reply_id == wanted.reply_id
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    assert call.speaks().text == "I can't help with that."
    assert not call.new(fx.RequestReply)


@pytest.mark.parametrize(("text", "failed"), [("", False), ("", True)])
def test_a_noise_or_words_that_were_not_understood_are_not_answered_by_the_model(text, failed):
    call = parallel()
    call.says(text, failed=failed, gate=None)
    wanted = call.one(fx.RequestReply)
    assert call.one(fx.CancelReply).reply_id == wanted.reply_id
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    assert not call.new(fx.RequestReply)


def test_an_answer_to_a_read_back_is_never_taken_for_a_turn_in_advance():
    call = parallel()
    call.is_read_back()
    call.starts_speaking()
    call.commits()
    assert not call.new(fx.RequestReply)


def test_a_typed_request_begins_early_too():
    call = parallel()
    call.types("Where is my flight?", gate=None)
    wanted = call.one(fx.RequestReply)
    assert (wanted.shut, wanted.request_key) == (True, "req_1")
    call.gate(Effect.ALLOW)
    assert call.one(fx.OpenReply)


def test_with_policy_away_the_input_gate_fails_as_declared():
    call = parallel(gate_fallbacks={"input": GateFallback(effect=Effect.DENY, say="One moment.")})
    call.says("Where is my flight?", gate=None)
    wanted = call.one(fx.RequestReply)
    call.gate(None, source="fallback", rule="session.policy_away")
    assert call.one(fx.CancelReply).reply_id == wanted.reply_id
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="cancelled"))
    assert call.speaks().text == "One moment."


def test_words_that_were_recognised_badly_are_restated_before_anything_else():
    call = parallel()
    call.says("Cancel it.", gate=None)
    early = call.one(fx.RequestReply)
    call.gate(Effect.ALLOW, restate=True, forbid_irreversible=True)
    assert call.one(fx.CancelReply).reply_id == early.reply_id
    call.do(ev.ReplyEnded(reply_id=early.reply_id, status="cancelled"))
    assert RESTATE in call.one(fx.RequestReply).instructions
    assert call.state.irreversible_forbidden


def test_the_obligations_of_words_that_pass_are_kept():
    call = CoreCall(input_gate="blocking")
    call.says("My card is 4111.", gate=None)
    call.gate(Effect.ALLOW, say="One thing first.", words_max=20, redact=((11, 15),))
    assert call.state.utterance.text == f"My card is {REDACTED}."
    assert "4111" not in "".join(entry.text for entry in call.state.history)
    assert call.speaks().text == "One thing first."
    assert "at most 20 words" in call.one(fx.RequestReply).instructions


@pytest.mark.parametrize("effect", [Effect.ALLOW, Effect.DENY])
async def test_nothing_of_an_early_reply_is_heard_or_done_before_its_words_have_passed(effect):
    world = World()
    world.policy.rules = TurnRules(input_gate="parallel", client_tools="allow", client_instructions=True)
    answer = asyncio.get_running_loop().create_future()
    others = world.policy.decide

    async def decide(question, pinned):
        if question.gate != "input":
            return await others(question, pinned)
        await answer
        return Decided(decision_id=question.decision_id, effect=effect, say="I can't help with that.")

    world.policy.decide = decide
    call, client = await world.start()
    world.upstream.hears("Where is my flight?")
    await world.settle()
    client.news()
    calls = [("get_reservation", {"reservation": "482915"})]
    world.upstream.replies("It is on time.", calls=calls)
    await world.settle()
    assert client.types() == []
    assert world.tools.executed == []
    answer.set_result(None)
    await world.settle()
    heard = effect is Effect.ALLOW
    assert bool(client.of(AUDIO)) is heard
    assert bool(world.tools.executed) is heard
    if not heard:
        assert call.state.actions == {}
        world.upstream.speaks()
        assert client.of("response.output_audio_transcript.delta")[0]["delta"] == "I can't help with that."
    assert not world.tracing.errors
    await world.close()


def test_words_are_held_longer_for_the_turn_alone_that_policy_named():
    call = CoreCall(input_gate="blocking", output_gate="parallel")
    call.says("Tell me about my bill.", gate=None)
    call.gate(Effect.ALLOW, hold_audio_ms=400)
    assert call.one(fx.RequestReply).watch == "hold"
    call.says("And the weather?")
    assert call.state.watching == "judge"
