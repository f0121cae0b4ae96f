"""What the client asks of the model: within what there is and what the bundle allows, and answered whatever happens."""

import json

import msgspec
import pytest
from session_call_kit import append, client_event
from test_session_views_client import TOOL, update

CREATE = client_event("response.create")


def forced(name):
    return {"type": "function", "name": name}


def configured(world):
    return world.upstream.got("session.update")[-1]["session"]


def asked(world):
    return world.upstream.got("response.create")[-1]["response"]


def refuses(world, code="rate_limit_exceeded"):
    """The model does not take what it was asked for last."""
    event_id = world.upstream.got("response.create")[-1]["event_id"]
    error = {"type": "invalid_request_error", "code": code, "message": "Not now.", "event_id": event_id}
    frame = {"type": "error", "event_id": "event_m", "error": error | {"param": None}}
    world.upstream.emit(json.dumps(frame).encode())


async def test_a_forced_tool_that_is_not_there_is_not_forced_and_the_call_goes_on(world):
    call, client = await world.start()
    call.client_frame(update(tools=[TOOL], tool_choice=forced("dim")))
    assert configured(world)["tool_choice"] == forced("dim")
    call.client_frame(update(tools=[]))
    assert configured(world)["tool_choice"] == "auto"
    assert client.of("session.updated")[-1]["session"]["tool_choice"] == forced("dim")
    call.client_frame(append())
    world.upstream.hears("Hello.")
    await world.settle()
    assert "tool_choice" not in asked(world)
    world.upstream.replies("Hello.")
    assert client.of("response.done")[-1]["response"]["status"] == "completed"
    assert not client.of("error")


async def test_a_forced_tool_of_the_client_is_not_forced_where_the_bundle_denies_them(world):
    world.policy.rules = msgspec.structs.replace(world.policy.rules, client_tools="deny")
    call, _client = await world.start(pack="passthrough")
    call.client_frame(update(tools=[TOOL], tool_choice="required"))
    assert (configured(world)["tools"], configured(world)["tool_choice"]) == ([], "auto")
    call.client_frame(client_event("response.create", response={"tool_choice": forced("dim")}))
    await world.settle()
    assert asked(world)["tool_choice"] == "auto"


@pytest.mark.parametrize("choice", ["required", forced("dim")])
async def test_behind_the_result_of_a_tool_of_ours_the_model_is_free_to_speak(world, choice):
    call, client = await world.start()
    call.client_frame(update(tools=[TOOL], tool_choice=choice))
    call.client_frame(CREATE)
    await world.settle()
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "1"})])
    await world.settle()
    assert asked(world)["tool_choice"] == "auto"
    world.upstream.replies("It is fine.")
    assert client.of("response.done")[-1]["response"]["output"][0]["type"] == "message"


async def test_no_tools_at_all_stays_so_behind_a_result(world):
    call, _client = await world.start()
    call.client_frame(update(tool_choice="none"))
    call.client_frame(CREATE)
    await world.settle()
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "1"})])
    await world.settle()
    assert asked(world).get("tool_choice", configured(world)["tool_choice"]) == "none"


async def test_tools_of_null_are_those_of_the_session(world):
    call, _client = await world.start()
    call.client_frame(update(tools=[TOOL]))
    call.client_frame(client_event("response.create", response={"tools": None, "tool_choice": None}))
    await world.settle()
    assert not asked(world).keys() & {"tools", "tool_choice"}


@pytest.mark.parametrize(
    ("limit", "wanted", "granted"),
    [
        (400, "inf", 400),
        (400, 4_096, 400),
        (400, 50, 50),
        (0, "inf", "inf"),
        (0, 4_096, 4_096),
        (9_000, "inf", "inf"),
    ],
)
async def test_no_reply_may_be_longer_than_the_bundle_allows(world, limit, wanted, granted):
    world.policy.rules = msgspec.structs.replace(world.policy.rules, output_tokens_max=limit)
    call, client = await world.start()
    call.client_frame(update(max_output_tokens=wanted))
    assert configured(world)["max_output_tokens"] == granted
    assert client.of("session.updated")[-1]["session"]["max_output_tokens"] == wanted
    call.client_frame(client_event("response.create", response={"max_output_tokens": wanted}))
    await world.settle()
    assert asked(world)["max_output_tokens"] == granted


async def test_a_response_beside_the_conversation_is_cancelled_by_its_id_and_the_other_goes_on(world):
    call, client = await world.start()
    call.client_frame(CREATE)
    await world.settle()
    reply = world.upstream.begins()
    call.client_frame(
        client_event("response.create", response={"conversation": "none", "metadata": {"a": "b"}})
    )
    aside = world.upstream.begins()
    world.upstream.opens_message(aside)
    call.client_frame(client_event("response.cancel", response_id=aside))
    done = client.of("response.done")[-1]["response"]
    assert (done["id"], done["status"]) == (aside, "cancelled")
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["metadata"] == {"a": "b"}
    assert [sent["response_id"] for sent in world.upstream.got("response.cancel")] == [aside]
    call.client_frame(client_event("response.cancel", response_id=aside, event_id="e2"))
    assert client.of("error")[-1]["error"]["code"] == "response_cancel_not_active"
    assert reply not in [sent["response_id"] for sent in world.upstream.got("response.cancel")]
    assert call.state.reply is not None


async def test_a_request_that_the_model_refuses_is_answered_with_its_error(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create", event_id="e9", response={"metadata": {"a": "b"}}))
    await world.settle()
    refuses(world)
    (event,) = client.news()
    assert (event["error"]["code"], event["error"]["event_id"]) == ("rate_limit_exceeded", "e9")
    call.client_frame(CREATE)
    await world.settle()
    world.upstream.replies("Now.")
    assert client.of("response.done")[-1]["response"]["status"] == "completed"


async def test_a_reply_to_a_turn_that_the_model_refuses_is_seen_to_fail(world):
    call, client = await world.start()
    call.client_frame(append())
    world.upstream.hears("Hello.")
    await world.settle()
    client.news()
    refuses(world)
    created, done = client.news()
    assert (created["type"], done["type"]) == ("response.created", "response.done")
    assert done["response"]["id"] == created["response"]["id"]
    assert done["response"]["status"] == "failed"
    assert done["response"]["status_details"]["error"]["code"] == "rate_limit_exceeded"


async def test_what_the_model_tells_of_its_usage_is_kept_where_it_leaves_some_out(world):
    _call, client = await world.start()
    _call.client_frame(CREATE)
    await world.settle()
    response_id = world.upstream.begins()
    metadata = {"ringback": world.upstream.own_id()}
    done = {"id": response_id, "status": "completed", "output": [], "metadata": metadata}
    done["usage"] = {"input_tokens": 30, "output_tokens": 12}
    world.upstream.emit(json.dumps({"type": "response.done", "event_id": "e", "response": done}).encode())
    usage = client.of("response.done")[-1]["response"]["usage"]
    assert (usage["total_tokens"], usage["input_tokens"], usage["output_tokens"]) == (42, 30, 12)
    assert usage["output_token_details"] == {"text_tokens": 0, "audio_tokens": 0}
    assert usage["input_token_details"]["cached_tokens"] == 0


async def test_numbers_beyond_64_bits_are_refused_by_name_and_change_nothing(world):
    call, client = await world.start()
    config = call.view.config
    call.client_frame(update(tools=[TOOL | {"parameters": {"type": "object", "maximum": 2**70}}]))
    call.client_frame(client_event("conversation.item.create", item={"type": "mcp_call", "n": -(2**64)}))
    params = [event["error"]["param"] for event in client.of("error")]
    assert params == ["session.tools[0].parameters.maximum", "item.n"]
    assert call.view.config is config


async def test_an_empty_reply_that_the_client_asked_for_is_shown_to_it(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"a": "b"}}))
    await world.settle()
    world.upstream.ends(world.upstream.begins())
    assert [event["type"] for event in client.news()] == ["response.created", "response.done"]
    assert client.of("response.done")[0]["response"]["metadata"] == {"a": "b"}


@pytest.mark.parametrize("begun", [False, True])
async def test_a_reply_that_the_client_asked_for_and_the_caller_cut_off_at_once_is_seen_cancelled(
    world, begun
):
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"a": "b"}}))
    await world.settle()
    if begun:
        world.upstream.begins()
    call.client_frame(append())
    world.upstream.hears("Wait.")
    await world.settle()
    if not begun:
        own_id = world.upstream.got("response.create")[0]["response"]["metadata"]["ringback"]
        world.upstream.begins(own_id)
    (done,) = [event["response"] for event in client.of("response.done")]
    assert (done["status"], done["metadata"]) == ("cancelled", {"a": "b"})
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


async def test_a_reply_that_goes_on_behind_a_call_of_ours_is_one_reply_to_the_client(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"a": "b"}}))
    await world.settle()
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "1"})])
    await world.settle()
    assert not client.of("response.created")
    world.upstream.replies("It is fine.")
    (done,) = client.of("response.done")
    assert done["response"]["metadata"] == {"a": "b"}
