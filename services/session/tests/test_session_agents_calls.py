"""Hand-overs in whole calls: what the model is told, which agent later questions name, what survives a new owner."""

import json

import msgspec
import pytest
from ringback_errors import Unavailable
from ringback_packs import agent_graph
from ringback_session.domain import functions
from ringback_session.usecases.keeping import load_saved
from session_agents_kit import GRAPH, WORDS
from session_call_kit import World, append, client_event


@pytest.fixture
async def world():
    world = World()
    world.packs.graph = GRAPH
    world.policy.instructions = _instructions
    yield world
    assert not world.tracing.errors
    await world.close()


async def _instructions(pinned):
    return f"You are {pinned.agent}."


async def hands_over(world, to="baggage", **arguments):
    world.upstream.hears("My bag did not arrive.")
    await world.settle()
    world.upstream.replies("", calls=[(f"hand_over_to_{to}", WORDS | arguments)])
    await world.settle()


def names(update):
    return {tool["name"] for tool in update["session"]["tools"]}


async def test_the_model_gets_the_next_agents_instructions_and_tools(world):
    call, client = await world.start()
    first = world.upstream.got("session.update")[-1]
    assert first["session"]["instructions"] == "You are front."
    assert {"hand_over_to_baggage", "hand_over_to_seats", "note"} <= names(first)
    await hands_over(world, bag_tag="417229")
    update = world.upstream.got("session.update")[-1]
    assert update["session"]["instructions"] == "You are baggage."
    assert "hand_over_to_front" in names(update)
    assert "note" not in names(update)
    assert update["session"]["audio"]["output"]["voice"] == first["session"]["audio"]["output"]["voice"]
    created = world.upstream.got("conversation.item.create")
    brief = next(event for event in created if event["item"].get("role") == "system")
    assert brief["previous_item_id"] == "root"
    order = [event["type"] for event in world.upstream.sent]
    assert order.index("response.create", order.index("conversation.item.create")) > order.index(
        "session.update", 1
    )
    assert call.pinned.agent == "baggage"
    assert not [item for item in client.of("conversation.item.added") if "call" in item["item"]["type"]]


async def test_what_is_asked_after_a_hand_over_names_the_agent_that_holds_the_call(world):
    _call, _client = await world.start()
    await hands_over(world, bag_tag="417229")
    world.upstream.replies("Baggage here.")
    await world.settle()
    world.upstream.hears("Where is it?")
    await world.settle()
    world.upstream.replies("", calls=[("add_note", {"reservation": "482915"})])
    await world.until(lambda: world.tools.executed)
    assert world.policy.questions[-1].view["agent"] == "baggage"
    assert world.tools.executed[-1][1].agent == "baggage"


async def test_a_call_is_resumed_with_the_agent_that_held_it(world):
    call, _client = await world.start()
    await hands_over(world, bag_tag="417229")
    await call.keeper.write()
    assert load_saved((await world.record()).snapshot).core.agent == "baggage"
    other = world.replica("session-1")
    call, _client = await world.resume(calls=other)
    assert call.pinned.agent == "baggage"
    update = world.upstream.got("session.update")[-1]
    assert update["session"]["instructions"] == "You are baggage."
    texts = [
        event["item"].get("content", [{}])[0].get("text", "")
        for event in world.upstream.sent[-20:]
        if "item" in event
    ]
    assert any("handed this call over to you" in text for text in texts)
    call.fence()


async def test_an_agent_whose_instructions_cannot_be_had_does_not_get_the_call(world):
    call, _client = await world.start()

    async def away(pinned):
        raise Unavailable("policy is not reachable")

    world.policy.instructions = away
    await hands_over(world, bag_tag="417229")
    assert call.state.agent == "front"
    outputs = [e["item"] for e in world.upstream.got("conversation.item.create") if "output" in e["item"]]
    assert json.loads(outputs[-1]["output"])["error_code"] == "unavailable"


async def test_a_name_that_the_next_agent_brings_along_is_the_agents(world):
    call, _client = await world.start()
    tool = {"type": "function", "name": "hand_over_to_front", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    await world.settle()
    await hands_over(world, bag_tag="417229")
    update = world.upstream.got("session.update")[-1]
    assert [t["name"] for t in update["session"]["tools"]].count("hand_over_to_front") == 1
    assert not call.view.is_client_tool("hand_over_to_front")


async def test_a_client_cannot_bring_a_function_of_the_platform_along(world):
    call, client = await world.start()
    tool = {"type": "function", "name": "note", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    assert client.of("error")[-1]["error"]["param"] == "session.tools[0].name"


async def test_an_agents_voice_is_the_calls_from_its_start(world):
    front = msgspec.structs.replace(GRAPH.outlines["front"], voice="cedar")
    world.packs.graph = msgspec.structs.replace(GRAPH, outlines={**GRAPH.outlines, "front": front})
    call, client = await world.start()
    assert client.of("session.created")[0]["session"]["audio"]["output"]["voice"] == "cedar"
    call.client_frame(append())


def test_packs_and_calls_mean_the_same_functions():
    for name in ("HAND_OVER", "CONSULT", "NOTE"):
        assert getattr(agent_graph, name) == getattr(functions, name)
