"""The rule `slow_model`: a model that is slow to begin its reply has a filler said before it."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.guarded import WordsHeld
from ringback_session.domain.rules import TurnRules
from session_call_kit import World, check_chain, client_event
from session_core_kit import CoreCall

AFTER = {"model_slow_after_ms": 1_500, "silence_ms_max": 4_000}


def asked(**rules):
    call = CoreCall(**AFTER | rules)
    call.says("When does it leave?")
    return call, call.one(fx.RequestReply)


def test_a_model_that_is_slow_to_begin_has_a_filler_said_beside_its_reply():
    call, wanted = asked()
    call.pass_ms(1_499)
    assert not call.new(fx.RequestSpeech)
    call.pass_ms(1)
    speech = call.speaks()
    assert (speech.kind, speech.beside) == ("filler", wanted.reply_id)
    assert call.one(fx.OpenReply).reply_id == wanted.reply_id
    applied = [fact for fact in call.facts("turn_rule_applied") if fact["rule"] == "slow_model"]
    assert [fact["outcome"] for fact in applied] == ["said"]
    call.reply("At nine.", wanted=wanted)


def test_the_model_is_not_told_of_a_filler():
    call, wanted = asked()
    call.pass_ms(1_500)
    call.speaks()
    call.reply("At nine.", wanted=wanted)
    assert not [note for note in call.new(fx.Note) if note.role == "assistant"]


def test_a_reply_that_begins_before_the_filler_is_heard_takes_its_turn():
    call, wanted = asked()
    call.pass_ms(1_500)
    speech = call.one(fx.RequestSpeech)
    call.do(WordsHeld(reply_id=wanted.reply_id))
    assert call.one(fx.CancelSpeech).speech_id == speech.speech_id
    assert call.one(fx.OpenReply).reply_id == wanted.reply_id
    call.pass_ms(10_000)
    assert not call.new(fx.RequestSpeech)


def test_a_reply_that_begins_while_the_filler_is_heard_waits_for_its_end():
    call, wanted = asked()
    call.pass_ms(1_500)
    speech = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=speech.speech_id, transcript="One", item_id="item_f"))
    call.do(WordsHeld(reply_id=wanted.reply_id))
    assert not call.new(fx.OpenReply) + call.new(fx.CancelSpeech)
    call.do(ev.SpeechEnded(speech_id=speech.speech_id, status="completed"))
    assert call.one(fx.OpenReply)


def test_a_model_that_stays_slow_has_words_of_progress_said():
    call, wanted = asked()
    call.pass_ms(1_500)
    first = call.speaks()
    call.pass_ms(8_000)
    again = call.speaks()
    assert first.text != again.text
    assert again.beside == wanted.reply_id


@pytest.mark.parametrize("rules", [{"model_slow_after_ms": 0}, {"fillers": (), "progress_texts": ()}])
def test_without_the_rule_or_without_words_nothing_is_said(rules):
    call, _ = asked(**rules)
    call.pass_ms(20_000)
    assert not call.new(fx.RequestSpeech)


def test_a_reply_that_is_heard_is_not_slow():
    call, wanted = asked()
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.do(ev.AudioSent(item_id="item_1", samples=24_000, text="It leaves", response_id="resp_1"))
    call.pass_ms(20_000)
    assert not call.new(fx.RequestSpeech)


def test_nothing_is_said_for_a_reply_before_what_it_answers_has_passed():
    call = CoreCall(**AFTER, input_gate="parallel")
    call.says("When does it leave?", gate=None)
    assert call.one(fx.RequestReply).shut
    call.pass_ms(3_000)
    assert not call.new(fx.RequestSpeech)
    call.gate()
    call.pass_ms(1_500)
    assert call.one(fx.RequestSpeech).beside


def test_a_barge_in_takes_back_both():
    call, wanted = asked()
    call.pass_ms(1_500)
    speech = call.one(fx.RequestSpeech)
    call.starts_speaking()
    assert call.one(fx.CancelSpeech).speech_id == speech.speech_id
    assert call.one(fx.CancelReply).reply_id == wanted.reply_id
    assert not call.new(fx.OpenReply)


def test_a_filler_of_a_reply_that_failed_is_taken_back():
    call, wanted = asked()
    call.pass_ms(1_500)
    speech = call.one(fx.RequestSpeech)
    call.do(ev.ReplyEnded(reply_id=wanted.reply_id, status="failed"))
    assert call.one(fx.CancelSpeech).speech_id == speech.speech_id
    assert not call.state.speeches


def test_a_model_that_is_silent_for_both_is_given_up_once():
    call, wanted = asked(silence_ms_max=0)
    call.pass_ms(1_500)
    call.one(fx.RequestSpeech)
    call.pass_ms(30_000)
    assert call.one(fx.CancelReply).reply_id == wanted.reply_id
    assert call.one(fx.CancelSpeech)
    assert call.one(fx.RequestSpeech).text == call.state.rules.say_bridge


def test_a_filler_that_the_model_never_ends_is_given_up_for_the_reply_behind_it():
    call, wanted = asked(silence_ms_max=0)
    call.pass_ms(1_500)
    speech = call.one(fx.RequestSpeech)
    call.do(ev.SpeechText(speech_id=speech.speech_id, transcript="One", item_id="item_f"))
    call.do(WordsHeld(reply_id=wanted.reply_id))
    call.pass_ms(30_000)
    assert call.one(fx.CancelSpeech).speech_id == speech.speech_id
    assert call.one(fx.OpenReply).reply_id == wanted.reply_id
    assert not call.new(fx.CancelReply)


def test_a_connection_that_is_lost_takes_the_filler_with_it():
    call, _ = asked()
    call.pass_ms(1_500)
    call.one(fx.RequestSpeech)
    call.do(ev.ModelLost(reason="closed"))
    assert call.one(fx.RequestSpeech).text == call.state.rules.say_bridge
    assert [speech.kind for speech in call.state.speeches] == ["notice"]


# Through the views.


@pytest.fixture
async def world():
    world = World()
    world.policy.rules = TurnRules(input_gate="off", **AFTER)
    yield world
    assert not world.tracing.errors
    await world.close()


async def slow(world):
    """A call whose model was asked for a reply and has been silent for so long that a filler is asked for."""
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    reply = world.upstream.own_id()
    world.clock.advance(1_500)
    await world.settle()
    filler = world.upstream.got("response.create")[-1]["response"]
    assert filler["conversation"] == "none"
    client.news()
    return call, client, reply, filler["metadata"]["ringback"]


async def test_the_client_sees_the_filler_whole_before_the_reply(world):
    _call, client, reply, filler = await slow(world)
    upstream = world.upstream
    said = upstream.begins(filler)
    begun = upstream.begins(reply)
    half = upstream.message
    half(said, "One moment.", 0)
    half(begun, "At nine.", 0)
    upstream.ends(begun)
    await world.settle()
    assert [done["response"]["id"] for done in client.of("response.done")] == []
    upstream.ends(said)
    await world.settle()
    assert [done["response"]["id"] for done in client.of("response.done")] == [said, begun]
    words = [f["transcript"] for f in client.of("response.output_audio_transcript.done")]
    assert words == ["One moment.", "At nine."]
    check_chain(client.frames)
    assert upstream.got("response.cancel") == []


async def test_of_a_filler_that_came_too_late_the_client_sees_nothing(world):
    _call, client, reply, filler = await slow(world)
    upstream = world.upstream
    upstream.replies("At nine.", own_id=reply)
    late = upstream.begins(filler)
    await world.settle()
    assert len(client.of("response.done")) == 1
    assert upstream.got("response.cancel")[-1]["response_id"] == late


async def test_words_beside_a_reply_that_the_client_sees_already_are_not_asked_for(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = world.upstream.begins()
    world.upstream.opens_message(response)
    world.clock.advance(1_500)
    await world.settle()
    assert len(world.upstream.got("response.create")) == 1
    assert client.of("response.created")


async def test_nobody_judges_a_reply_that_only_waits_for_its_turn(world):
    _call, _client, reply, _filler = await slow(world)
    world.upstream.replies("At nine. Or ten.", own_id=reply)
    await world.settle()
    assert [question.gate for question in world.policy.questions] == []


async def test_without_metadata_the_filler_is_told_from_the_reply_by_its_place(world):
    _call, client, _reply, _filler = await slow(world)
    upstream = world.upstream
    upstream.emit(upstream.events.response_created(upstream.response("resp_f", conversation_id=None)))
    upstream.message("resp_f", "One moment.", 0)
    upstream.ends("resp_f")
    upstream.emit(upstream.events.response_created(upstream.response("resp_r")))
    upstream.message("resp_r", "At nine.", 0)
    upstream.ends("resp_r")
    await world.settle()
    words = [f["transcript"] for f in client.of("response.output_audio_transcript.done")]
    assert words == ["One moment.", "At nine."]
    assert upstream.got("response.cancel") == []


async def test_beside_a_model_that_hands_back_no_metadata_no_filler_is_said_and_the_log_says_why(
    world, caplog
):
    call, _client = await world.start()
    upstream = world.upstream
    for turn in range(3):
        call.client_frame(client_event("response.create"))
        await world.settle()
        if turn:
            world.clock.advance(8_000)
            await world.settle()
        upstream.emit(upstream.events.response_created(upstream.response(f"resp_{turn}")))
        upstream.message(f"resp_{turn}", "At nine.", 0)
        upstream.ends(f"resp_{turn}")
        await world.settle()
    asked = [event["response"].get("conversation") for event in upstream.got("response.create")]
    assert asked.count("none") == 0
    assert caplog.text.count("hand back the metadata") == 1
