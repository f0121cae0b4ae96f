"""What the client sees of the model's responses: re-assembled, held, closed; audio verbatim."""

import base64
import json

import msgspec
from ringback_session.views.route import Route
from ringback_session.views.routes import ROUTES_KEPT, Routes
from session_call_kit import CHUNK, SPOKEN_ORDER, append, check_chain, client_event

CREATE = client_event("response.create")


async def asked(world, **more):
    """A call whose client asked for a reply that the model is about to give."""
    call, client = await world.start(**more)
    call.client_frame(CREATE)
    await world.settle()
    return call, client


async def test_a_spoken_reply_has_the_documented_order(world):
    _call, client = await asked(world)
    world.upstream.replies("Hello.")
    assert client.types() == SPOKEN_ORDER
    check_chain(client.frames)


async def test_a_text_reply_has_the_documented_order(world):
    call, client = await world.start()
    call.client_frame(
        client_event("session.update", session={"type": "realtime", "output_modalities": ["text"]})
    )
    call.client_frame(CREATE)
    await world.settle()
    client.news()
    world.upstream.replies("Hello.", kind="text")
    assert [name for name in client.types() if "text" in name] == [
        "response.output_text.delta",
        "response.output_text.done",
    ]


async def test_audio_goes_through_byte_for_byte(world):
    _call, client = await asked(world)
    frames = []
    emit = world.upstream.emit
    world.upstream.emit = lambda frame: (frames.append(frame), emit(frame))
    world.upstream.replies("Hello.", chunks=3)
    sent = [frame for frame in frames if b'"response.output_audio.delta"' in frame]
    got = [frame for frame in client.raw if b'"response.output_audio.delta"' in frame]
    assert got == sent
    assert len(got) == 3


async def test_calls_that_the_platform_runs_are_removed_and_the_rest_renumbered(world):
    _call, client = await asked(world)
    world.upstream.function_call(
        response := world.upstream.begins(), "get_reservation", {"reservation": "482915"}, 0
    )
    world.upstream.message(response, "One moment.", 1)
    world.upstream.ends(response)
    indices = {frame["output_index"] for frame in client.frames if "output_index" in frame}
    assert indices == {0}
    assert not any("function_call" in json.dumps(frame) for frame in client.frames)
    done = client.of("response.done")[0]["response"]
    assert [item["type"] for item in done["output"]] == ["message"]
    delta = client.of("response.output_audio.delta")[0]["delta"]
    assert len(delta) == len(CHUNK) * 4 / 3
    await world.settle()
    assert world.tools.executed


async def test_a_response_of_which_nothing_remains_never_appears(world):
    _call, client = await asked(world)
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "482915"})])
    assert client.types() == []


async def test_the_clients_own_call_passes_untouched(world):
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    call.client_frame(CREATE)
    await world.settle()
    client.news()
    world.upstream.replies("", calls=[("dim", {"level": 3})])
    assert client.types() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = client.of("response.output_item.done")[0]["item"]
    assert (done["status"], done["name"], json.loads(done["arguments"])) == ("completed", "dim", {"level": 3})
    assert not world.tools.executed


async def test_a_tool_that_came_with_the_request_is_the_clients_too(world):
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}
    call.client_frame(client_event("response.create", response={"tools": [tool]}))
    await world.settle()
    world.upstream.replies("", calls=[("dim", {})])
    assert client.of("response.function_call_arguments.done")


async def test_a_clients_call_and_its_output_outlive_the_models_connection(world):
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    call.client_frame(CREATE)
    await world.settle()
    world.upstream.replies("", calls=[("dim", {})])
    call_id = client.of("response.function_call_arguments.done")[0]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
    call.client_frame(client_event("conversation.item.create", item=output))
    world.upstream.sent.clear()
    world.upstream.lose()
    await world.settle()
    created = [event["item"]["type"] for event in world.upstream.got("conversation.item.create")]
    assert created == ["function_call", "function_call_output"]


async def test_metadata_comes_back_once_and_never_ours(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"client_event_id": "e1"}}))
    await world.settle()
    world.upstream.replies("Let me see.", calls=[("get_reservation", {"reservation": "482915"})])
    await world.settle()
    world.upstream.replies("It is confirmed.")
    seen = [frame["response"]["metadata"] for frame in client.of("response.created")]
    assert seen == [{"client_event_id": "e1"}, None]
    assert client.of("response.done")[0]["response"]["metadata"] == {"client_event_id": "e1"}


async def test_metadata_comes_with_the_first_response_that_is_seen(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create", response={"metadata": {"client_event_id": "e1"}}))
    await world.settle()
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "482915"})])
    await world.settle()
    world.upstream.replies("It is confirmed.")
    assert [frame["response"]["metadata"] for frame in client.of("response.created")] == [
        {"client_event_id": "e1"}
    ]


async def read_back_asked(world):
    """A read-back that the model is about to speak."""
    call, client = await world.start()
    world.upstream.hears("Cancel 482915.")
    await world.settle()
    world.upstream.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    client.news()
    return call, client


async def test_held_speech_is_heard_in_order_once_its_values_are_said(world):
    _call, client = await read_back_asked(world)
    up = world.upstream
    assert up.got("response.create")[-1]["response"]["conversation"] == "none"
    response = up.begins()
    item = up.opens_message(response)
    where = {"item_id": item, "output_index": 0}
    up.emit(up.events.transcript_delta(response, delta="I will cancel reservation 482915", **where))
    up.emit(up.events.audio_delta(response, audio=CHUNK, **where))
    assert client.types() == []
    up.emit(up.events.transcript_delta(response, delta=" and refund 184 dollars.", **where))
    assert client.types() == [*SPOKEN_ORDER[:6], "response.output_audio_transcript.delta"]
    up.emit(up.events.audio_delta(response, audio=CHUNK, **where))
    assert client.types() == ["response.output_audio.delta"]
    check_chain(client.frames)


async def test_speech_that_never_said_its_values_is_never_seen(world):
    _call, client = await read_back_asked(world)
    world.upstream.replies("I will cancel something.")
    assert client.types() == []
    assert "482915" in world.upstream.got("response.create")[-1]["response"]["instructions"]


async def test_held_speech_that_the_model_fails_is_never_seen(world):
    _call, client = await read_back_asked(world)
    response = world.upstream.begins()
    world.upstream.ends(response, status="failed")
    assert client.types() == []


async def test_a_read_back_is_an_ordinary_item_to_the_client(world):
    _call, client = await read_back_asked(world)
    world.upstream.speaks()
    assert client.types() == SPOKEN_ORDER
    check_chain(client.frames)


async def test_barge_in_closes_what_is_open_before_response_done(world):
    call, client = await asked(world)
    up = world.upstream
    response = up.begins()
    item = up.opens_message(response)
    where = {"item_id": item, "output_index": 0}
    up.emit(up.events.transcript_delta(response, delta="Your flight", **where))
    up.emit(up.events.audio_delta(response, audio=CHUNK, **where))
    client.news()
    call.client_frame(append())
    up.emit(up.events.speech_started("item_u", audio_start_ms=0))
    assert client.types() == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = client.of("response.done")[0]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert up.got("response.cancel")[0]["response_id"] == response
    assert up.got("conversation.item.truncate")[0]["item_id"] == item
    up.emit(up.events.audio_delta(response, audio=CHUNK, **where))
    up.ends(response, status="cancelled")
    assert client.types() == []


async def test_a_reply_to_a_turn_that_is_cancelled_before_it_began_is_never_seen(world):
    call, client = await world.start()
    world.upstream.hears("Hello.")
    await world.settle()
    own_id = world.upstream.own_id()
    call.client_frame(append())
    world.upstream.emit(world.upstream.events.speech_started("item_u", audio_start_ms=0))
    client.news()
    response = world.upstream.begins(own_id)
    assert world.upstream.got("response.cancel")[-1]["response_id"] == response
    world.upstream.ends(response, status="cancelled")
    assert client.types() == []


async def test_a_response_that_nobody_asked_for_is_cancelled_and_not_seen(world):
    _call, client = await world.start()
    up = world.upstream
    up.emit(up.events.response_created(up.response("resp_stray")))
    assert up.got("response.cancel")[0]["response_id"] == "resp_stray"
    assert client.types() == []


async def test_a_model_that_does_not_echo_metadata_is_understood(world):
    _call, client = await asked(world)
    up = world.upstream
    up.emit(up.events.response_created(up.response("resp_1")))
    up.message("resp_1", "Hello.")
    up.ends("resp_1")
    assert client.types() == SPOKEN_ORDER


async def test_a_failed_response_is_told_once(world):
    _call, client = await asked(world)
    response = world.upstream.begins()
    error = {"type": "server_error", "code": "rate_limited", "message": "slow down"}
    world.upstream.ends(response, status="failed", status_details={"type": "failed", "error": error})
    assert client.types() == ["response.created", "response.done"]
    done = client.of("response.done")[0]["response"]
    assert done["status_details"]["error"]["code"] == "rate_limited"


async def test_an_out_of_band_response_touches_no_conversation(world):
    call, client = await world.start()
    asked = {"conversation": "none", "metadata": {"topic": "x"}, "instructions": "Classify."}
    call.client_frame(client_event("response.create", response=asked))
    world.upstream.replies("A complaint.")
    assert not [name for name in client.types() if name.startswith("conversation.")]
    done = client.of("response.done")[0]["response"]
    assert (done["conversation_id"], done["metadata"]) == (None, {"topic": "x"})


async def test_usage_is_kept(world):
    _call, client = await asked(world)
    world.upstream.replies("Hello.")
    assert client.of("response.done")[0]["response"]["usage"]["output_tokens"] == 7


async def test_a_lost_model_closes_what_the_client_saw_open(world):
    _call, client = await asked(world)
    up = world.upstream
    response = up.begins()
    up.opens_message(response)
    up.lose()
    await world.settle()
    done = client.of("response.done")
    assert [frame["response"]["status"] for frame in done] == ["completed"], "the call goes on"
    assert up.connections == 2
    assert up.got("session.update")
    check_chain(client.frames)


async def test_a_reply_that_the_model_refuses_does_not_silence_the_call(world):
    call, client = await asked(world)
    refused = world.upstream.got("response.create")[-1]["event_id"]
    world.upstream.say(
        "error",
        error={
            "type": "invalid_request_error",
            "code": "x",
            "message": "m",
            "param": None,
            "event_id": refused,
        },
    )
    await world.settle()
    assert call.state.reply is None
    assert len(client.of("error")) == 1, "the client asked for it, and would wait for ever"
    world.upstream.hears("Hello?")
    await world.settle()
    world.upstream.replies("Hello.")
    assert client.of("response.done")


async def test_a_clients_call_that_passed_policy_late_comes_as_a_response_of_its_own(world):
    world.policy.rules = msgspec.structs.replace(world.policy.rules, client_tools="confirm")
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    call.client_frame(CREATE)
    await world.settle()
    client.news()
    world.upstream.replies("I will dim.", calls=[("dim", {"level": 3})])
    assert not client.of("response.function_call_arguments.done")
    client.news()
    await world.settle()
    assert client.types() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    check_chain(client.frames)
    call_id = client.of("response.function_call_arguments.done")[0]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "dimmed"}
    call.client_frame(client_event("conversation.item.create", item=output))
    assert world.upstream.got("conversation.item.create")[-1]["item"]["call_id"] == call_id
    assert not call.state.open_actions()


async def test_a_clients_call_waits_for_the_end_of_the_response_that_the_client_sees(world):
    world.policy.rules = msgspec.structs.replace(world.policy.rules, client_tools="confirm")
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [tool]}))
    call.client_frame(CREATE)
    await world.settle()
    response = world.upstream.begins()
    world.upstream.message(response, "I will dim.", 0)
    for number, level in enumerate((3, 4), 1):
        world.upstream.function_call(response, "dim", {"level": level}, number)
    await world.settle()
    assert len(client.of("response.created")) == 1
    world.upstream.ends(response)
    ends = ("response.created", "response.done")
    assert [frame["type"] for frame in client.frames if frame["type"] in ends] == [*ends] * 3
    check_chain(client.frames)


async def test_parts_of_a_kind_that_is_not_in_the_protocol_do_not_reach_the_client(world):
    _call, client = await asked(world)
    response = world.upstream.begins()
    item = world.upstream.opens_message(response)
    client.news()
    world.upstream.say(
        "response.new_part.delta", response_id=response, item_id=item, output_index=0, delta="x"
    )
    assert client.types() == []


async def test_what_a_frame_lacks_that_clients_need_is_put_in(world):
    _call, client = await asked(world)
    response = world.upstream.begins()
    item = world.upstream.opens_message(response)
    audio = base64.b64encode(CHUNK).decode()
    frame = {"type": "response.output_audio.delta", "response_id": response, "item_id": item, "delta": audio}
    world.upstream.emit(json.dumps(frame).encode())
    sent = client.of("response.output_audio.delta")[0]
    assert (sent["output_index"], sent["content_index"], sent["delta"]) == (0, 0, audio)
    assert sent["event_id"]


def test_of_a_model_that_never_ends_its_responses_the_oldest_counts_as_over():
    routes = Routes()
    made = [Route(owner="reply", own_id=f"own_{n}", response_id=f"resp_{n}") for n in range(ROUTES_KEPT + 1)]
    for route in made:
        routes.keep(route)
    assert len(routes) == ROUTES_KEPT
    assert [route.own_id for route in made if route.closed] == ["own_0"]
