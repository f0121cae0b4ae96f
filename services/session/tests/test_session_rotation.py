"""The model's connection is replaced before its provider ends it: at a boundary, unseen; else at the last moment."""

import asyncio
import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.model_problem import ModelProblem
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ConsentPhase
from ringback_session.ports import Remembered, Term
from ringback_session.usecases import model_link
from session_agents_kit import WORDS, team_state
from session_call_kit import World, append, check_chain, client_event
from session_core_kit import CoreCall

TERM = ev.ModelConnected(rotate_in_ms=60_000, last_in_ms=120_000)
READY = ev.ModelPrepared(ready=True)


@pytest.fixture
def timed(call):
    """A call whose connection is to be replaced after a minute, and at the latest after two."""
    call.do(TERM)
    return call


def rotations(call):
    return call.new(fx.RotateModel)


# The core, in virtual time.


def test_a_second_connection_is_made_in_time_and_takes_over_where_nothing_goes_on(timed):
    timed.pass_ms(59_000)
    assert not timed.new(fx.PrepareModel)
    timed.pass_ms(1_000)
    assert timed.one(fx.PrepareModel)
    assert not rotations(timed), "there is none yet"
    timed.do(READY)
    assert not timed.one(fx.RotateModel).cut
    assert timed.facts("model_rotated") == [{"reason": "planned", "generation": 2}]
    assert not timed.new(fx.RequestSpeech), "the caller hears nothing of it"
    assert timed.new(fx.Persist)


def speaking(call):
    call.starts_speaking()
    return lambda: call.do(ev.CallerStoppedSpeaking(audio_end_ms=1, discarded=True))


def unheard(call):
    call.starts_speaking()
    item_id = call.commits()

    def heard():
        call.do(ev.UtteranceHeard(item_id=item_id, text="", confidence=0.9))
        call.gate()

    return heard


def replying(call):
    call.says("Hello.")
    return lambda: call.reply("Hi.")


def audible(call):
    call.says("Hello.")
    call.reply("Hi, how can I help you today?", heard=False)
    return call.listens


def calling(call):
    call.says("What is 482915?")
    call.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.pass_ms(900)
    call.new(fx.RequestSpeech)
    call.do(ev.SpeechEnded(speech_id=call.state.speeches[0].speech_id, status="completed"))

    def runs():
        call.runs()
        call.reply("It is fine.")

    return runs


def asking(call):
    call.is_read_back()

    def refuses():
        call.says("No.")
        call.reads("no")
        call.reply("Fine.")

    return refuses


@pytest.mark.parametrize("begin", [speaking, unheard, replying, audible, calling, asking])
def test_it_is_never_done_inside_speech_a_call_or_a_consent(timed, begin):
    end = begin(timed)
    timed.do(ev.TimerFired(name="rotate"), READY)
    assert not rotations(timed)
    end()
    assert not timed.one(fx.RotateModel).cut
    assert timed.state.rules.say_bridge not in [wanted.text for wanted in timed.new(fx.RequestSpeech)]


def at_the_last_moment(call):
    call.do(ev.TimerFired(name="rotate"), READY)
    assert not rotations(call)
    return call.do(ev.TimerFired(name="rotate_at_last"))


def test_at_the_last_moment_a_reply_is_cut_bridged_and_asked_for_again(timed):
    timed.says("When?")
    wanted = timed.one(fx.RequestReply)
    made = at_the_last_moment(timed)
    kinds = [type(effect) for effect in made]
    assert timed.one(fx.RotateModel).cut
    assert kinds.index(fx.RotateModel) < kinds.index(fx.RequestSpeech), "asked of the new connection"
    assert timed.speaks().text == timed.state.rules.say_bridge
    assert timed.one(fx.RequestReply).reply_id != wanted.reply_id
    assert timed.facts("model_rotated")[0]["reason"] == "session_limit"


def test_a_bridge_before_a_reply_that_is_owed_is_not_the_answer_to_the_model(call):
    call.says("It is 482915.")
    call.one(fx.RequestReply)
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.speaks().text == call.state.rules.say_bridge
    assert not call.new(fx.Note)
    assert call.state.history[-1].text == "It is 482915."
    assert call.one(fx.RequestReply)


def test_what_was_heard_of_a_reply_that_broke_off_is_told_once_and_interrupts_nothing_later(call):
    call.says("When?")
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    call.do(ev.AudioSent(item_id="item_1", samples=24_000, text="It leaves", response_id="resp_1"))
    call.do(ev.ModelLost(reason="closed_1006"))
    call.speaks()
    call.reply("It leaves at nine.")
    told = [(turn["item_id"], turn["heard"]) for turn in call.facts("agent_turn_ended")]
    assert told[0] == ("item_1", "It leaves")
    assert [heard for _, heard in told[1:]] == [call.state.rules.say_bridge, "It leaves at nine."]
    call.starts_speaking()
    assert not call.facts("interrupted")
    assert not call.new(fx.TruncateItem)


def test_a_caller_who_was_cut_in_the_middle_of_a_word_is_told(timed):
    timed.starts_speaking()
    at_the_last_moment(timed)
    assert timed.speaks().text == timed.state.rules.say_bridge


def test_a_reply_that_is_due_of_an_agent_who_handed_over_keeps_nobody_from_rotating(timed):
    timed.says("Let me talk to a person.", gate=Effect.ESCALATE)
    timed.speaks()
    timed.says("Hello? Is anybody there?")
    timed.do(ev.ReplyWanted(request_key="req_1"))
    assert timed.state.next_reply is not None
    timed.do(ev.TimerFired(name="rotate"), READY)
    assert not timed.one(fx.RotateModel).cut


def test_what_policy_wants_confirmed_after_a_hand_over_ends_and_keeps_nobody_from_rotating(timed):
    timed.says("What is 482915?")
    timed.reply("", calls=[("call_1", "cancel_reservation", {"reservation": "482915"})])
    timed.says("Let me talk to a person.", gate=Effect.ESCALATE)
    timed.speaks()
    timed.decides(Effect.CONFIRM)
    assert not timed.state.open_actions()
    assert timed.facts("consent_answered")[-1]["reading"] == "void"
    timed.do(ev.TimerFired(name="rotate"), READY)
    assert not timed.one(fx.RotateModel).cut


def test_it_is_not_done_while_the_call_is_being_handed_over():
    call = CoreCall(state=team_state())
    call.do(TERM)
    call.says("My bag did not arrive.")
    call.reply("", calls=[("h1", "hand_over_to_seats", WORDS)])
    call.do(ev.TimerFired(name="rotate"), READY)
    assert call.state.team.handoff is not None
    assert not rotations(call)


def test_an_open_call_outlives_a_rotation_at_the_last_moment(timed):
    timed.says("What is 482915?")
    timed.reply("", calls=[("call_1", "get_reservation", {"reservation": "482915"})])
    timed.decides(Effect.ALLOW)
    at_the_last_moment(timed)
    assert timed.one(fx.RotateModel).cut
    assert not timed.new(fx.RequestSpeech), "nobody spoke: there is nothing to bridge"
    timed.runs()
    assert timed.results()["call_1"]["status"] == "ok"
    assert timed.reply("It is fine.")


def test_a_question_that_was_heard_outlives_it_and_is_not_asked_again(timed):
    timed.is_read_back()
    at_the_last_moment(timed)
    assert timed.one(fx.RotateModel).cut
    assert not timed.new(fx.RequestSpeech)
    assert timed.consent().phase is ConsentPhase.WAITING
    timed.says("Yes.")
    timed.reads("yes")
    timed.decides(Effect.ALLOW)
    assert timed.new(fx.Journal)


def test_a_connection_that_comes_after_the_last_moment_takes_over_at_once(timed):
    timed.says("When?")
    timed.do(ev.TimerFired(name="rotate"), ev.TimerFired(name="rotate_at_last"))
    assert not rotations(timed)
    timed.do(READY)
    assert timed.one(fx.RotateModel).cut


def test_a_connection_that_cannot_be_had_is_tried_for_again(timed):
    timed.pass_ms(60_000)
    timed.one(fx.PrepareModel)
    timed.do(ev.ModelPrepared(ready=False))
    timed.pass_ms(14_000)
    assert not timed.new(fx.PrepareModel)
    timed.pass_ms(1_000)
    assert timed.one(fx.PrepareModel)


def test_a_loss_in_between_is_a_loss_and_the_next_connection_has_its_own_limit(timed):
    timed.do(ev.TimerFired(name="rotate"), ev.ModelLost(reason="closed_1006"), READY)
    assert not rotations(timed), "that connection is used to go on"
    timed.pass_ms(200_000)
    assert not timed.new(fx.RotateModel)
    timed.new(fx.PrepareModel)
    timed.do(TERM)
    timed.pass_ms(60_000)
    assert timed.one(fx.PrepareModel)


def test_a_connection_without_a_known_limit_is_never_replaced(call):
    call.do(ev.ModelConnected())
    call.pass_ms(10_000_000)
    assert not call.new(fx.PrepareModel)


def test_an_owner_that_takes_over_begins_with_its_own_connection(timed):
    timed.do(ev.TimerFired(name="rotate"), ev.Resumed(epoch=2, owner="session-1"), READY)
    assert not rotations(timed)


# Whole calls.


@pytest.fixture
async def world():
    world = World()
    world.upstream.term = Term(rotate_in_ms=20_000, last_in_ms=40_000)
    yield world
    assert not world.tracing.errors
    await world.close()


async def prepared(world):
    world.clock.advance(20_000)
    await world.settle()


async def test_the_client_sees_nothing_of_a_rotation_and_the_model_knows_what_was_said(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("conversation.item.create", item=_typed("Hello.", "item_mine")))
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies("Hi.", kind="text")
    client.news()
    await prepared(world)
    old, new = world.upstream.sockets
    assert (old.open, new.open) == (False, True)
    assert client.news() == []
    assert [purpose for _, purpose in world.upstream.asked] == ["start", "rotation"]
    assert new.sent[0]["type"] == "session.update"
    items = [event["item"] for event in new.sent if event["type"] == "conversation.item.create"]
    assert [(item["role"], item["content"][0]["text"]) for item in items] == [
        ("user", "Hello."),
        ("assistant", "Hi."),
    ]
    assert items[0]["id"] == "item_mine"
    assert [fact.model_rotated.reason for fact in world.facts("model_rotated")] == ["planned"]
    call.client_frame(client_event("response.create"))
    world.upstream.replies("Still here.", kind="text")
    assert client.of("response.done")[-1]["response"]["status"] == "completed"


async def test_one_rotation_follows_another(world):
    await world.start()
    for number in range(2, 6):
        await prepared(world)
        assert world.upstream.connections == number
        assert sum(socket.open for socket in world.upstream.sockets) == 1


@pytest.mark.parametrize("heard", [True, False])
async def test_words_that_were_cut_off_after_a_loss_are_taken_from_the_new_connection(world, heard):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("conversation.item.create", item=_typed("Hello.", "item_mine")))
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies("One two three four five six seven eight.", chunks=10)
    reply_id = client.of("conversation.item.done")[-1]["item"]["id"]
    world.upstream.lose()
    await world.settle()
    world.clock.advance(800 if heard else 0)
    news = len(world.upstream.sockets[1].sent)
    world.upstream.hears("Stop.")
    said = world.upstream.sockets[1].sent[news:]
    assert [event["type"] for event in said[:2]][: 1 + heard] == [
        "conversation.item.delete",
        "conversation.item.create",
    ][: 1 + heard]
    assert said[0]["item_id"] == reply_id
    assert not [event for event in said if event["type"] == "conversation.item.truncate"]
    again = [event for event in said if event["type"] == "conversation.item.create"]
    if heard:
        assert again[0]["item"]["content"] == [{"type": "output_text", "text": "One two three four"}]
        assert again[0]["previous_item_id"] == "item_mine"
    else:
        assert not again


async def test_memory_s_newest_context_goes_along(world):
    asked = []

    async def context(pinned, *, min_epoch, min_seq):
        asked.append(min_seq)
        return Remembered(text="The caller is Ada.", slots=(), as_of_epoch=1, as_of_seq=1)

    world.memory.context = context
    call, _client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    world.upstream.replies("Hi.", kind="text")
    await world.settle()
    times = len(asked)
    await prepared(world)
    first = world.upstream.sockets[1].sent[1]["item"]
    assert (first["role"], first["content"][0]["text"]) == ("system", "The caller is Ada.")
    assert len(asked) == times, "at a boundary nobody is waited for"


async def test_an_open_call_is_made_again_under_its_own_call_id(world):
    call, _client = await world.start()
    world.tools.hold = asyncio.Event()
    world.upstream.hears("What is 482915?")
    await world.settle()
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "482915"})])
    await world.settle()
    await prepared(world)
    world.clock.advance(20_000)
    new = world.upstream.sockets[-1]
    opened = [event["item"] for event in new.sent if event["type"] == "conversation.item.create"]
    (again,) = [item for item in opened if item["type"] == "function_call"]
    world.tools.hold.set()
    await world.settle()
    (output,) = [event["item"] for event in new.sent if "output" in event.get("item", {})]
    assert output["call_id"] == again["call_id"]
    assert json.loads(output["output"])["status"] == "ok"
    assert len(world.tools.executed) == 1
    assert not call.over


async def test_a_waiting_connection_that_died_is_made_good_like_a_loss(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    response_id = world.upstream.begins()
    await prepared(world)
    world.upstream.lose(1)
    world.upstream.ends(response_id)
    await world.settle()
    assert [purpose for _, purpose in world.upstream.asked] == ["start", "rotation", "reconnect"]
    assert [socket.open for socket in world.upstream.sockets] == [False, False, True]
    assert client.closed is None


async def test_after_a_loss_the_waiting_connection_is_taken(world):
    call, _client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    world.upstream.begins()
    await prepared(world)
    world.upstream.lose(0)
    await world.settle()
    assert [socket.open for socket in world.upstream.sockets] == [False, True]
    assert world.upstream.sockets[1].sent[0]["type"] == "session.update"


async def test_what_a_waiting_connection_says_reaches_nobody(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    world.upstream.begins()
    await prepared(world)
    client.news()
    waiting = world.upstream.sockets[1]
    waiting.on_frame(b'{"type":"error","event_id":"e","error":{"type":"server_error","message":"x"}}')
    assert client.news() == []


async def test_what_a_connection_says_after_it_was_replaced_reaches_nobody(world):
    _call, client = await world.start()
    await prepared(world)
    client.news()
    world.upstream.sockets[0].on_frame(world.upstream.events.speech_started("item_late", audio_start_ms=0))
    assert not client.news()


async def test_a_second_connection_made_for_a_call_that_is_over_is_closed(world):
    call, client = await world.start()
    await prepared(world)
    call.client_closed(client, hung_up=True)
    await world.settle()
    assert not world.upstream.open


async def test_a_rotation_at_the_last_moment_in_the_middle_of_a_reply_is_a_short_bridge(world):
    world.upstream.term = Term(rotate_in_ms=20_000, last_in_ms=25_000)
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"mark": "mine"}}))
    await world.settle()
    response = world.upstream.begins()
    item = world.upstream.opens_message(response)
    audio = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    world.upstream.say("response.output_audio_transcript.delta", **audio, delta="Your flight")
    await prepared(world)
    assert not client.of("response.done"), "no boundary yet"
    world.clock.advance(5_000)
    await world.settle()
    cut = client.of("response.done")[-1]["response"]
    assert (cut["status"], cut["status_details"]) == ("completed", None)
    world.upstream.speaks()
    await world.settle()
    world.upstream.replies("Your flight leaves at nine.")
    words = [frame["transcript"] for frame in client.of("response.output_audio_transcript.done")]
    assert words[1] == call.state.rules.say_bridge
    assert words[2] == "Your flight leaves at nine."
    assert [fact.model_rotated.reason for fact in world.facts("model_rotated")] == ["session_limit"]
    assert not client.of("error")
    check_chain(client.frames)


# What is under way when the model is lost.


async def test_a_clients_own_response_beside_the_conversation_has_an_end(world):
    call, client = await world.start(pack="passthrough")
    for mark in ("begun", "not begun"):
        call.client_frame(_beside(mark))
    world.upstream.begins(world.upstream.got("response.create")[0]["response"]["metadata"]["ringback"])
    client.news()
    world.upstream.lose()
    done = client.of("response.done")
    assert [(end["response"]["metadata"]["mark"], end["response"]["status"]) for end in done] == [
        ("begun", "failed"),
    ]
    assert all(end["response"]["conversation_id"] is None for end in done)
    assert done[0]["response"]["status_details"]["error"]["code"] == "model_connection_lost"
    created = [event["response"]["id"] for event in client.of("response.created")]
    assert created == [end["response"]["id"] for end in done]


async def test_what_is_asked_for_while_the_model_is_away_is_asked_of_the_next_connection(world):
    call, client = await world.start(pack="passthrough")
    world.upstream.lose()
    call.client_frame(_beside("later"))
    await world.settle()
    world.upstream.replies("Summary.", kind="text")
    assert client.of("response.done")[-1]["response"]["metadata"] == {"mark": "later"}


async def test_the_callers_voice_of_the_gap_is_heard_by_the_next_connection(world):
    call, _client = await world.start(pack="passthrough")
    call.client_frame(append())
    world.upstream.lose()
    for _ in range(3):
        call.client_frame(append())
    call.client_frame(client_event("input_audio_buffer.commit"))
    await world.settle()
    kinds = [event["type"] for event in world.upstream.sockets[1].sent]
    assert kinds == ["session.update", *["input_audio_buffer.append"] * 3, "input_audio_buffer.commit"]


async def test_the_gap_keeps_the_newest_of_a_bounded_time(world):
    call, _client = await world.start(pack="passthrough")
    world.upstream.lose()
    call.client_frame(client_event("input_audio_buffer.clear"))
    for _ in range(30):
        call.client_frame(append(frames=50))
    await world.settle()
    sent = world.upstream.sockets[1].sent
    kept = [event for event in sent if event["type"] == "input_audio_buffer.append"]
    assert 10 < len(kept) < 20
    assert sum(len(event["audio"]) for event in kept) < 2 * 1024 * 1024
    assert [event["type"] for event in sent[:2]] == ["session.update", "input_audio_buffer.clear"]


async def test_a_model_that_stays_away_is_given_up_on_with_its_problem(world, monkeypatch):
    monkeypatch.setattr(model_link, "PAUSE_MAX_S", 0)
    monkeypatch.setattr(model_link, "_JITTER", lambda state: 0)
    _call, client = await world.start()
    world.upstream.refusals = 100
    world.upstream.problem = ModelProblem(
        "upstream 'main' refused the credentials that it was shown (HTTP 401)",
        problem="upstream_auth_refused",
    )
    world.upstream.lose()
    await world.settle(200)
    error = client.of("error")[-1]["error"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_auth_refused")
    assert "'main' refused the credentials" in error["message"]
    assert client.closed[0] == 1013
    assert [purpose for _, purpose in world.upstream.asked].count("reconnect") < 10


async def test_the_end_of_the_models_session_is_no_end_of_the_clients(world):
    _call, client = await world.start(pack="passthrough")
    error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes"}
    client.news()
    world.upstream.say("error", error=error)
    assert client.news() == []


def _typed(text, item_id):
    return {
        "id": item_id,
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }


def _beside(mark):
    return client_event("response.create", response={"conversation": "none", "metadata": {"mark": mark}})


def test_the_state_of_an_older_release_is_read(call):
    """A record that knows of no rotation."""
    import msgspec
    from ringback_session.domain.state import restore, snapshot

    old = msgspec.msgpack.decode(snapshot(call.state))
    del old["rotation"], old["rotation_overdue"]
    assert restore(msgspec.msgpack.encode(old)) == CoreCall(state=call.state, started=False).state
