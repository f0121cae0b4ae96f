"""In text, as in voice, what the client got of a reply that was broken off is told, and the conversation holds it."""

import pytest
from ringback_session.domain.rules import TurnRules
from session_call_kit import check_chain, client_event

TEXT = client_event("session.update", session={"type": "realtime", "output_modalities": ["text"]})
SAID = "The flight leaves at"


async def written(world, words=SAID, kind="text", **rules):
    """A call in text whose model has written the beginning of a reply."""
    known = {"client_tools": "allow", "client_instructions": True, "input_gate": "off"}
    world.policy.rules = TurnRules(**known | rules)
    call, client = await world.start()
    call.client_frame(TEXT)
    call.client_frame(client_event("response.create"))
    await world.settle()
    up = world.upstream
    response = up.begins()
    where = {"item_id": up.opens_message(response, kind=kind), "output_index": 0}
    delta = up.events.text_delta if kind == "text" else up.events.transcript_delta
    if words:
        up.emit(delta(response, delta=words, **where))
    return call, client, response


async def told(world, call):
    """The facts of the agent's turns, as soon as what waits for the clock has been told."""
    call.client_frame(client_event("conversation.item.create", item=typed("And then?")))
    await world.settle()
    return [fact.agent_turn_ended for fact in world.facts("agent_turn_ended")]


def typed(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def cancels(world, call, response):
    call.client_frame(client_event("response.cancel"))
    world.upstream.ends(response, status="cancelled")


def cuts_in(world, call, response):
    world.upstream.emit(world.upstream.events.speech_started("item_u", audio_start_ms=0))
    world.upstream.ends(response, status="cancelled")


def fails(world, call, response):
    world.upstream.ends(response, status="failed")


def is_lost(world, call, response):
    world.upstream.lose()


@pytest.mark.parametrize("how", [cancels, cuts_in, fails, is_lost])
async def test_the_words_that_the_client_got_are_told_once(world, how):
    call, client, response = await written(world)
    item_id = client.of("response.output_item.added")[0]["item"]["id"]
    how(world, call, response)
    await world.settle()
    turns = [turn for turn in await told(world, call) if turn.item_id == item_id]
    assert [(turn.said, turn.heard, turn.response_id) for turn in turns] == [(SAID, SAID, response)]
    in_history = [entry.text for entry in call.state.history if entry.item_id == item_id]
    assert in_history == ([] if how is is_lost else [SAID]), (
        "a lost model is asked again, and not by half an answer"
    )
    check_chain(client.frames)


@pytest.mark.parametrize(("words", "kind"), [("", "text"), (SAID, "audio")])
async def test_what_nobody_got_is_not_told(world, words, kind):
    call, _client, response = await written(world, words, kind)
    cancels(world, call, response)
    await world.settle()
    assert not await told(world, call)


async def test_a_whole_reply_is_told_once_and_whole(world):
    call, _client, response = await written(world, "")
    world.upstream.message(response, "All of it.", 1, kind="text")
    cancels(world, call, response)
    await world.settle()
    assert [turn.said for turn in await told(world, call)] == ["All of it."]
