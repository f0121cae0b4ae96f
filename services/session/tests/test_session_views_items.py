"""The client's items keep their place, and stay away once deleted, on whatever connection the model has them."""

import json

import pytest
from ringback_session.domain import inputs as ev
from session_call_kit import append, check_chain, client_event
from session_core_kit import CoreCall


def create(item_id, text, *, role="user", **more):
    part = "output_text" if role == "assistant" else "input_text"
    item = {"id": item_id, "type": "message", "role": role, "content": [{"type": part, "text": text}]}
    return client_event("conversation.item.create", item=item, **more)


async def rebuilt(world):
    """Lose the model's connection; returns what the next one is told, as texts in order."""
    before = world.upstream.connections
    world.upstream.lose()
    await world.until(lambda: world.upstream.connections > before)
    await world.settle()
    frames = [sent for sent in world.upstream.sockets[-1].sent if sent["type"] == "conversation.item.create"]
    return [frame["item"]["content"][0]["text"] for frame in frames]


async def resumed(world, call):
    await call.keeper.write_or_retry()
    call.fence()
    return await world.resume()


async def test_an_item_that_the_client_deleted_stays_deleted_on_the_next_connection(world):
    call, _client = await world.start()
    call.client_frame(create("x1", "My number is 12."))
    call.client_frame(create("x2", "Never mind.", role="assistant"))
    call.client_frame(client_event("conversation.item.delete", item_id="x1"))
    assert await rebuilt(world) == ["Never mind."]


async def test_our_own_words_that_the_client_deleted_are_taken_back_from_the_model(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    call.feed(ev.TimerFired(name="model"))
    await world.settle()
    world.upstream.speaks()
    shown = client.of("conversation.item.done")[-1]["item"]["id"]
    told = next(entry for entry in call.state.history if entry.said_as == shown)
    call.client_frame(client_event("conversation.item.delete", item_id=shown))
    assert [sent["item_id"] for sent in world.upstream.got("conversation.item.delete")] == [told.item_id]
    assert told not in call.state.history


async def test_an_item_put_before_others_stands_before_them_on_the_next_connection(world):
    call, client = await world.start()
    call.client_frame(create("x3", "three"))
    call.client_frame(create("x1", "one", role="system", previous_item_id="root"))
    call.client_frame(create("x2", "two", role="assistant", previous_item_id="x1"))
    call.client_frame(create("x4", "four", role="assistant", previous_item_id="x3"))
    call.client_frame(create("x0", "zero", previous_item_id="root"))
    assert check_chain(client.frames) == ["x0", "x1", "x2", "x3", "x4"]
    assert await rebuilt(world) == ["zero", "one", "two", "three", "four"]


async def test_an_item_behind_one_that_the_new_connection_does_not_hold_is_put_behind_the_one_before(world):
    call, _client = await world.start()
    call.client_frame(create("x1", "one"))
    call.client_frame(append())
    world.upstream.hears("")
    await world.settle()
    call.client_frame(create("x2", "two", role="assistant"))
    noise = call.view.items.previous_id("x2")
    await rebuilt(world)
    call.client_frame(create("x3", "three", role="assistant", previous_item_id=noise))
    assert world.upstream.got("conversation.item.create")[-1]["previous_item_id"] == "x1"


async def test_what_was_deleted_after_a_resume_can_be_created_again(world):
    call, _client = await world.start()
    call.client_frame(create("x1", "one"))
    await world.settle()
    call, client = await resumed(world, call)
    call.client_frame(client_event("conversation.item.delete", item_id="x1"))
    call.client_frame(create("x1", "one again"))
    assert client.types()[-3:] == [
        "conversation.item.deleted",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert [entry.text for entry in call.state.history] == ["one again"]


def test_words_that_come_behind_the_reply_to_them_keep_their_place():
    call = CoreCall(input_gate="off")
    call.starts_speaking()
    item_id = call.commits()
    call.reply("Sure.")
    call.do(ev.UtteranceHeard(item_id=item_id, text="Book it.", confidence=0.9))
    assert [(entry.role, entry.text) for entry in call.state.history] == [
        ("user", "Book it."),
        ("assistant", "Sure."),
    ]
    call.new(object)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert call.state.next_reply is None
    assert call.state.reply is None, "the caller was answered already"


def test_a_noise_behind_an_answer_is_no_question_that_a_new_owner_answers():
    call = CoreCall(input_gate="off")
    call.says("Hello.", gate=None)
    call.reply("Hello.")
    call.says("", gate=None)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert call.state.reply is None


async def test_each_item_that_was_deleted_is_gone_from_the_record(world):
    call, _client = await world.start()
    call.client_frame(create("x1", "My number is 12."))
    call.client_frame(client_event("conversation.item.delete", item_id="x1"))
    await world.settle()
    call, _client = await resumed(world, call)
    sent = [json.dumps(frame) for frame in world.upstream.sockets[-1].sent]
    assert not any("My number" in frame for frame in sent)


@pytest.mark.parametrize("beside", [True, False])
async def test_a_reference_to_words_of_ours_reaches_the_model_as_those_words(world, beside):
    call, client = await world.start()
    call.client_frame(create("x1", "Hello."))
    call.client_frame(client_event("response.create"))
    await world.settle()
    call.feed(ev.TimerFired(name="model"))
    await world.settle()
    world.upstream.speaks()
    shown = client.of("conversation.item.done")[-1]["item"]
    ids = ("x1", shown["id"], "x9")
    response = {"input": [{"type": "item_reference", "id": item_id} for item_id in ids]}
    call.client_frame(
        client_event("response.create", response=response | ({"conversation": "none"} if beside else {}))
    )
    await world.settle()
    first, ours, unknown = world.upstream.got("response.create")[-1]["response"]["input"]
    assert (first["id"], unknown["id"]) == ("x1", "x9")
    text = shown["content"][0]["transcript"]
    assert ours == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }
