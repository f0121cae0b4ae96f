"""What the client asks for and is answered: configuration, items, errors; what the caller's speech looks like."""

import json

import pytest
from session_call_kit import append, check_chain, client_event

TOOL = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}


def update(**session):
    return client_event("session.update", session={"type": "realtime", **session})


def message(text="Hello.", **more):
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"item": item | more}


async def test_the_session_is_announced_first_and_shows_nothing_of_ours(world):
    _call, client = await world.start()
    first = client.frames[0]
    assert first["type"] == "session.created"
    assert first["session"]["id"] == "sess_1"
    assert (first["session"]["instructions"], first["session"]["tools"]) == ("", [])


async def test_the_model_never_replies_by_itself(world):
    await world.start()
    session = world.upstream.got("session.update")[0]["session"]
    turns = session["audio"]["input"]["turn_detection"]
    assert (turns["create_response"], turns["interrupt_response"]) == (False, False)
    assert session["audio"]["input"]["transcription"]
    assert session["include"] == ["item.input_audio_transcription.logprobs"]
    assert session["instructions"] == "You are an airline's agent."


async def test_an_update_is_merged_echoed_and_passed_on_with_ours(world):
    call, client = await world.start()
    call.client_frame(update(instructions="Be terse.", tools=[TOOL]))
    updated = client.of("session.updated")[0]["session"]
    assert (updated["instructions"], updated["tools"]) == ("Be terse.", [TOOL])
    assert updated["audio"]["input"]["turn_detection"]["create_response"] is True
    upstream = world.upstream.got("session.update")[-1]["session"]
    assert {tool["name"] for tool in upstream["tools"]} == {*call.state.tools, "dim"}
    assert upstream["instructions"].startswith("You are an airline's agent.")
    assert upstream["instructions"].endswith("Be terse.")
    call.client_frame(update(tools=[]))
    assert client.of("session.updated")[1]["session"]["instructions"] == "Be terse."
    assert {tool["name"] for tool in world.upstream.got("session.update")[-1]["session"]["tools"]} == set(
        call.state.tools
    )


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        (update(tools=[TOOL | {"name": "refund"}]), "invalid_value", "session.tools[0].name"),
        (update(colour="red"), "unknown_parameter", "session.colour"),
        (update(colour="red", type="transcription"), "invalid_value", "session.type"),
        (update(output_modalities=["text", "audio"]), "invalid_value", "session.output_modalities"),
        (
            update(audio={"output": {"format": {"type": "audio/opus"}}}),
            "invalid_value",
            "session.audio.output.format.type",
        ),
        (
            client_event("response.create", response={"tools": [TOOL | {"name": "refund"}]}),
            "invalid_value",
            "response.tools[0].name",
        ),
        (client_event("response.create", response={"colour": 1}), "unknown_parameter", "response.colour"),
        (client_event("response.cancel"), "response_cancel_not_active", None),
        (client_event("conversation.item.retrieve", item_id="x"), "item_retrieve_invalid_item_id", "item_id"),
        (client_event("conversation.item.delete", item_id="x"), "item_delete_invalid_item_id", "item_id"),
        (
            client_event("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=0),
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        (client_event("conversation.item.delete"), "missing_required_parameter", "item_id"),
        (
            client_event("conversation.item.create", **message(), previous_item_id="nowhere"),
            "invalid_value",
            "previous_item_id",
        ),
        (
            client_event(
                "conversation.item.create",
                item={"type": "function_call_output", "call_id": "call_x", "output": "1"},
            ),
            "invalid_tool_call_id",
            "item.call_id",
        ),
        (client_event("no.such.event"), "invalid_value", "type"),
    ],
)
async def test_each_wrong_event_gets_its_documented_error_and_changes_nothing(world, frame, code, param):
    call, client = await world.start()
    sent = len(world.upstream.sent)
    config = call.view.config
    call.client_frame(json.dumps(json.loads(frame) | {"event_id": "e1"}).encode())
    (error,) = [event["error"] for event in client.news() if event["type"] == "error"]
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "e1")
    assert len(world.upstream.sent) == sent
    assert call.view.config == config
    call.client_frame(client_event("response.create"))
    await world.settle()
    assert world.upstream.got("response.create")


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b"\xff", b'{"a":1}', b'{"type":5}', b"[" * 5000])
async def test_what_is_no_event_gets_an_error_and_the_session_stays(world, frame):
    call, client = await world.start()
    call.client_frame(frame)
    assert [event["error"]["code"] for event in client.news()] == ["invalid_event"]
    assert client.closed is None


async def test_cancelling_nothing_says_what_clients_look_for(world):
    call, client = await world.start()
    call.client_frame(client_event("response.cancel"))
    assert client.of("error")[0]["error"]["message"].startswith("Cancellation failed")


async def test_a_stale_cancel_does_not_hit_the_current_response(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = world.upstream.begins()
    world.upstream.opens_message(response)
    call.client_frame(client_event("response.cancel", response_id="resp_old"))
    assert client.of("error")[0]["error"]["code"] == "response_cancel_not_active"
    assert not world.upstream.got("response.cancel")
    call.client_frame(client_event("response.cancel", response_id=response))
    assert client.of("response.done")[0]["response"]["status_details"]["reason"] == "client_cancelled"


@pytest.mark.parametrize("named", [True, False])
async def test_a_cancel_of_what_has_just_yielded_is_done_already(world, named):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    up = world.upstream
    response = up.begins()
    up.opens_message(response)
    up.emit(up.events.speech_started("item_u", audio_start_ms=0))
    await world.settle()
    client.news()
    cancel = client_event("response.cancel", **({"response_id": response} if named else {}))
    call.client_frame(cancel)
    assert not client.news()
    call.client_frame(cancel)
    assert [event["error"]["code"] for event in client.news()] == ["response_cancel_not_active"]


async def test_a_second_request_is_refused_and_the_first_unharmed(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = world.upstream.begins()
    call.client_frame(client_event("response.create", event_id="e2"))
    error = client.of("error")[0]["error"]
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "e2")
    assert response in error["message"]
    world.upstream.message(response, "Hello.")
    world.upstream.ends(response)
    assert client.of("response.done")[0]["response"]["status"] == "completed"


async def test_a_created_item_is_acknowledged_and_passed_on(world):
    call, client = await world.start()
    call.client_frame(client_event("conversation.item.create", **message(id="item_a")))
    call.client_frame(
        client_event("conversation.item.create", **message(id="item_b"), previous_item_id="root")
    )
    assert client.types() == ["conversation.item.added", "conversation.item.done"] * 2
    assert check_chain(client.frames) == ["item_b", "item_a"]
    sent = world.upstream.got("conversation.item.create")
    assert [event.get("previous_item_id") for event in sent] == [None, "root"]


async def test_the_same_id_twice_is_refused(world):
    call, client = await world.start()
    for _ in range(2):
        call.client_frame(client_event("conversation.item.create", **message(id="item_a")))
    assert client.of("error")[0]["error"]["param"] == "item.id"
    assert len(world.upstream.got("conversation.item.create")) == 1


async def test_an_item_behind_our_own_words_reaches_the_model_in_its_place(world):
    call, client = await world.start()
    world.upstream.hears("Cancel 482915.")
    await world.settle()
    world.upstream.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    world.upstream.speaks()
    read_back = client.of("conversation.item.added")[-1]["item"]["id"]
    spoken = client.of("conversation.item.added")[0]["item"]["id"]
    call.client_frame(
        client_event("conversation.item.create", **message("Yes.", id="item_y"), previous_item_id=read_back)
    )
    call.client_frame(
        client_event("conversation.item.create", **message("Hm.", id="item_h"), previous_item_id=read_back)
    )
    sent = [event for event in world.upstream.got("conversation.item.create") if "role" in event["item"]]
    by_id = {event["item"]["id"]: event.get("previous_item_id") for event in sent}
    assert (by_id["item_y"], by_id["item_h"]) == (None, spoken)
    assert check_chain(client.frames)[-2:] == ["item_h", "item_y"]


async def test_of_what_the_client_deletes_the_model_forgets_what_it_holds_by_the_id_that_it_knows(world):
    call, client = await world.start()
    world.upstream.hears("Cancel 482915.")
    await world.settle()
    world.upstream.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    world.upstream.speaks()
    ids = [frame["item"]["id"] for frame in client.of("conversation.item.added")]
    for item_id in ids:
        call.client_frame(client_event("conversation.item.delete", item_id=item_id))
    assert len(client.of("conversation.item.deleted")) == 2
    notes = [frame["item"] for frame in world.upstream.got("conversation.item.create")]
    told = next(note["id"] for note in notes if note["type"] == "message")
    gone = [event["item_id"] for event in world.upstream.got("conversation.item.delete")]
    assert gone == [ids[0], told]
    call.client_frame(client_event("conversation.item.delete", item_id=ids[0]))
    assert client.of("error")[0]["error"]["code"] == "item_delete_invalid_item_id"


async def test_a_retrieved_item_has_its_transcript(world):
    call, client = await world.start()
    item_id = world.upstream.hears("Hello there.")
    call.client_frame(client_event("conversation.item.retrieve", item_id=item_id))
    item = client.of("conversation.item.retrieved")[0]["item"]
    assert item["content"][0]["transcript"] == "Hello there."


async def test_truncation_is_checked_against_what_was_generated(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = world.upstream.begins()
    item_id = world.upstream.message(response, "Hello.")
    client.news()

    def truncate(ms, **more):
        fields = {"item_id": item_id, "content_index": 0, "audio_end_ms": ms} | more
        call.client_frame(client_event("conversation.item.truncate", **fields))
        return [
            event.get("error", event)["audio_end_ms" if "error" not in event else "code"]
            for event in client.news()
        ]

    assert truncate(161) == ["invalid_value"]
    assert truncate(50) == [50]
    assert truncate(0, content_index=3) == ["invalid_value"]
    assert world.upstream.got("conversation.item.truncate")[0]["audio_end_ms"] == 50
    call.client_frame(client_event("conversation.item.create", **message(id="item_a")))
    client.news()
    assert truncate(0, item_id="item_a") == ["unsupported_content_type"]


async def test_speech_is_told_in_the_documented_order_under_one_id(world):
    call, client = await world.start()
    call.client_frame(update(audio={"input": {"transcription": {"model": "whisper-1"}}}))
    client.news()
    item_id = world.upstream.hears("Hello there.")
    frames = client.news()
    assert [frame["type"] for frame in frames] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert {frame.get("item_id") or frame["item"]["id"] for frame in frames} == {item_id}
    assert frames[-1]["usage"] == {"type": "duration", "seconds": 0.8}
    assert "logprobs" not in frames[-1]
    check_chain(client.frames)


async def test_words_that_come_while_the_caller_speaks_neither_end_the_turn_nor_come_before_their_item(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(update(audio={"input": {"transcription": {"model": "whisper-1"}}}))
    up = world.upstream
    client.news()
    up.emit(up.events.speech_started("item_u", audio_start_ms=0))
    for words in ("Hello,", " how can"):
        up.emit(up.events.transcription_delta("item_u", delta=words, logprobs=None))
    await world.settle()
    assert [frame["type"] for frame in client.news()] == ["input_audio_buffer.speech_started"]
    assert not up.got("response.create")
    up.emit(up.events.speech_stopped("item_u", audio_end_ms=800))
    up.commits("item_u")
    up.transcribes("item_u", " you help?")
    frames = client.news()
    told = [frame for frame in frames if "transcription" in frame["type"]]
    assert [frame["type"] for frame in frames[:4]] == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert [frame["delta"] for frame in told[:-1]] == ["Hello, how can", " you help?"]
    check_chain(client.frames)


async def test_a_client_that_wants_no_transcription_sees_none_though_we_have_it(world):
    _call, client = await world.start()
    world.upstream.hears("Hello there.")
    await world.settle()
    assert not [name for name in client.types() if "transcription" in name]
    assert world.facts("user_turn_ended")[0].user_turn_ended.text == "Hello there."


async def test_log_probabilities_come_only_to_those_who_asked(world):
    call, client = await world.start()
    call.client_frame(
        update(
            include=["item.input_audio_transcription.logprobs"],
            audio={"input": {"transcription": {"model": "whisper-1"}}},
        )
    )
    world.upstream.hears("Hello there.")
    done = client.of("conversation.item.input_audio_transcription.completed")[0]
    assert done["logprobs"][0]["logprob"] == pytest.approx(-0.05)


async def test_a_failed_transcription_is_told_and_the_call_goes_on(world):
    call, client = await world.start()
    call.client_frame(update(audio={"input": {"transcription": {"model": "whisper-1"}}}))
    up = world.upstream
    up.commits("item_u")
    up.emit(up.events.transcription_failed("item_u", code="audio_unintelligible", message="?"))
    await world.settle()
    failed = client.of("conversation.item.input_audio_transcription.failed")[0]
    assert failed["error"]["code"] == "audio_unintelligible"
    assert "again" in up.got("response.create")[-1]["response"]["instructions"]


async def test_a_client_without_turn_detection_sees_no_speech_and_commits_itself(world):
    call, client = await world.start()
    call.client_frame(update(audio={"input": {"turn_detection": None}}))
    call.client_frame(append(3))
    call.client_frame(client_event("input_audio_buffer.commit"))
    assert world.upstream.got("input_audio_buffer.commit")
    client.news()
    world.upstream.commits("item_u")
    assert client.types()[0] == "input_audio_buffer.committed"
    world.upstream.transcribes("item_u", "Hello.")
    await world.settle()
    assert not world.upstream.got("response.create"), "committing makes no response"
    call.client_frame(client_event("response.create"))
    await world.settle()
    assert world.upstream.got("response.create")


async def test_append_is_passed_verbatim_and_not_answered(world):
    call, client = await world.start()
    call.client_frame(append())
    assert client.types() == []
    assert world.upstream.appended == [json.loads(append())]


async def test_what_the_model_refuses_of_the_clients_own_is_told_to_the_client(world):
    call, client = await world.start()
    call.client_frame(client_event("input_audio_buffer.commit", event_id="e7"))
    error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": "empty"}
    world.upstream.say("error", error=error | {"param": None, "event_id": "e7"})
    told = client.of("error")[0]["error"]
    assert (told["code"], told["event_id"]) == ("input_audio_buffer_commit_empty", "e7")


async def test_what_the_model_refuses_of_the_clients_out_of_band_request_is_told_to_it(world):
    call, client = await world.start()
    frame = client_event("response.create", event_id="e8", response={"conversation": "none"})
    call.client_frame(frame)
    sent = world.upstream.got("response.create")[0]["event_id"]
    error = {"type": "invalid_request_error", "code": "x", "message": "m", "param": None, "event_id": sent}
    world.upstream.say("error", error=error)
    assert client.of("error")[0]["error"]["event_id"] == "e8"


async def test_what_the_model_refuses_of_ours_is_not_told(world):
    _call, client = await world.start()
    sent = world.upstream.got("session.update")[0]["event_id"]
    error = {"type": "invalid_request_error", "code": "x", "message": "m", "param": None, "event_id": sent}
    world.upstream.say("error", error=error)
    assert client.types() == []


async def test_the_voice_is_fixed_once_it_was_heard(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies("Hello.")
    call.client_frame(update(audio={"output": {"voice": "ash"}}))
    assert client.of("error")[0]["error"]["code"] == "cannot_update_voice"
