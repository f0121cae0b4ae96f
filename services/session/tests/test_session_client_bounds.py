"""What a client may put into a call, and what of its own it keeps: long lists, configurations, asides, its clock."""

import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.floor_inputs import AsideBegan, AsideEnded
from ringback_session.usecases.trimming import SNAPSHOT_BYTES_MAX
from ringback_session.views.sizes import ITEM_BYTES_MAX, REST_BYTES_MAX, SECTION_BYTES_MAX
from session_call_kit import check_chain, client_event
from session_core_kit import CoreCall

LONG = "Your flight to Lisbon leaves at nine from gate four and arrives at noon local time."


def types_line(call, text="Hello.", item_id=None):
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content} | ({"id": item_id} if item_id else {})
    call.client_frame(client_event("conversation.item.create", item=item))


def configures(call, **session):
    call.client_frame(client_event("session.update", session={"type": "realtime", **session}))


# A long call.


async def test_a_client_may_go_on_after_two_thousand_items(world):
    call, client = await world.start(pack="passthrough")
    for number in range(2_003):
        types_line(call, item_id=f"own_{number}")
    assert not client.of("error")
    assert len(call.view.items) == 2_000
    types_line(call, "One more.")
    assert client.of("conversation.item.added")[-1]["previous_item_id"] == "own_2002"
    call.client_frame(client_event("conversation.item.retrieve", item_id="own_0"))
    assert client.of("error")[-1]["error"]["param"] == "item_id"
    check_chain([f for f in client.frames if f["type"] == "conversation.item.added"])


# A large item.


def creates(call, *content, item_id="own"):
    item = {"id": item_id, "type": "message", "role": "user", "content": list(content)}
    call.client_frame(client_event("conversation.item.create", item=item))


async def test_an_item_that_would_not_fit_into_one_frame_is_refused_and_nobody_hears_of_it(world):
    call, client = await world.start(pack="passthrough")
    before = len(world.upstream.got("conversation.item.create"))
    types_line(call, "ü" * (ITEM_BYTES_MAX // 2), item_id="own")
    (error,) = client.of("error")
    assert error["error"]["param"] == "item"
    assert str(ITEM_BYTES_MAX) in error["error"]["message"]
    assert not client.of("conversation.item.added")
    assert len(world.upstream.got("conversation.item.create")) == before
    types_line(call, "x" * (ITEM_BYTES_MAX - 1_000), item_id="own")
    assert [frame["item"]["id"] for frame in client.of("conversation.item.added")] == ["own"]
    assert all(len(raw) < 1024 * 1024 for raw in client.raw)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "audio": "AAAA" * (ITEM_BYTES_MAX // 4)},
        {"type": "input_image", "image_url": "data:image/png;base64," + "AAAA" * (ITEM_BYTES_MAX // 4)},
    ],
)
async def test_large_sound_or_images_reach_the_model_and_are_not_sent_back(world, part):
    call, client = await world.start(pack="passthrough")
    creates(call, part, {"type": "input_text", "text": "Look."})
    (added,) = client.of("conversation.item.added")
    assert [each["type"] for each in added["item"]["content"]] == [part["type"], "input_text"]
    (sent,) = world.upstream.got("conversation.item.create")
    assert part.items() <= sent["item"]["content"][0].items()
    call.client_frame(client_event("conversation.item.retrieve", item_id="own"))
    assert client.of("error")[-1]["error"]["param"] == "item_id"
    assert all(len(raw) < 1024 * 1024 for raw in client.raw)


async def test_a_small_image_is_sent_back_as_it_came(world):
    call, client = await world.start(pack="passthrough")
    creates(call, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"})
    for kind in ("conversation.item.added", "conversation.item.done"):
        assert client.of(kind)[0]["item"]["content"][0]["image_url"].endswith("AAAA")


# A large configuration.


@pytest.mark.parametrize(
    ("session", "param", "most"),
    [
        ({"instructions": "x" * (SECTION_BYTES_MAX + 1)}, "session.instructions", SECTION_BYTES_MAX),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "name": "dim",
                        "description": "x" * SECTION_BYTES_MAX,
                        "parameters": {"type": "object"},
                    }
                ]
            },
            "session.tools",
            SECTION_BYTES_MAX,
        ),
        (
            {"audio": {"input": {"transcription": {"model": "m", "prompt": "x" * REST_BYTES_MAX}}}},
            "session.audio",
            REST_BYTES_MAX,
        ),
    ],
)
async def test_a_configuration_that_no_record_could_hold_is_refused_by_its_field(world, session, param, most):
    call, client = await world.start(pack="passthrough")
    before = call.view.config
    configures(call, **session)
    error = client.of("error")[-1]["error"]
    assert (error["code"], error["param"]) == ("invalid_value", param)
    assert str(most) in error["message"]
    assert call.view.config == before
    assert not client.of("session.updated")


async def test_the_largest_configuration_fits_into_the_record(world):
    call, client = await world.start(pack="passthrough")
    tool = {"type": "function", "name": "dim", "description": "x" * 130_000, "parameters": {"type": "object"}}
    configures(call, instructions="x" * 131_000, tools=[tool])
    assert client.of("session.updated")
    assert len(call.snapshot()) < SNAPSHOT_BYTES_MAX


# Responses beside the conversation.


def aside(call, mark):
    response = {"conversation": "none", "metadata": {"mark": mark}}
    call.client_frame(client_event("response.create", response=response))


def test_a_rotation_waits_for_what_the_client_has_under_way_beside_the_conversation():
    call = CoreCall()
    call.do(AsideBegan(own_id="req_1"), ev.ModelConnected(rotate_in_ms=1_000, last_in_ms=60_000))
    call.pass_ms(1_000)
    call.one(fx.PrepareModel)
    call.do(ev.ModelPrepared(ready=True))
    assert not call.new(fx.RotateModel)
    call.do(AsideEnded(own_id="req_1"))
    assert call.one(fx.RotateModel) == fx.RotateModel(cut=False)


def test_at_the_last_moment_nothing_is_waited_for():
    call = CoreCall()
    call.do(AsideBegan(own_id="req_1"), ev.ModelConnected(rotate_in_ms=1_000, last_in_ms=2_000))
    call.pass_ms(1_000)
    call.do(ev.ModelPrepared(ready=True))
    call.pass_ms(1_000)
    assert call.one(fx.RotateModel) == fx.RotateModel(cut=True)


async def test_an_aside_that_was_not_begun_is_asked_for_again_after_the_connection_is_lost(world):
    call, client = await world.start(pack="passthrough")
    aside(call, "one")
    await world.settle()
    world.upstream.lose()
    await world.settle()
    assert not client.of("response.done")
    again = [e for e in world.upstream.got("response.create") if e["response"]["conversation"] == "none"]
    assert len(again) == 2
    assert again[0] == again[1]
    world.upstream.replies("Aside.", own_id=again[1]["response"]["metadata"]["ringback"])
    (done,) = client.of("response.done")
    assert (done["response"]["status"], done["response"]["metadata"]) == ("completed", {"mark": "one"})
    assert not call.state.floor.asides


async def test_an_aside_that_the_client_sees_ends_with_its_connection(world):
    call, client = await world.start(pack="passthrough")
    aside(call, "one")
    await world.settle()
    world.upstream.opens_message(world.upstream.begins())
    world.upstream.lose()
    await world.settle()
    assert client.of("response.done")[0]["response"]["status"] == "failed"
    assert len(world.upstream.got("response.create")) == 1
    assert not call.state.floor.asides


# The client's own clock.


def interrupted(ms=1_000):
    call = CoreCall(input_gate="off")
    call.says("When?", gate=None)
    item_id = call.reply(LONG, heard=False)
    call.pass_ms(ms)
    call.starts_speaking()
    call.new(fx.TruncateItem)
    return call, item_id


def said(call):
    return call.state.history[-1].text


@pytest.mark.parametrize("in_time", [True, False])
def test_a_client_whose_clock_is_behind_ours_has_the_last_word(in_time):
    call, item_id = interrupted()
    call.pass_ms(0 if in_time else 700)
    call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=400))
    assert call.one(fx.TruncateItem) == fx.TruncateItem(item_id=item_id, audio_end_ms=400)
    assert said(call) == "Your"
    assert [fact["heard_ms"] for fact in call.facts("interrupted")] == [1_000, 400]


def test_a_client_that_played_more_than_our_clock_knows_has_the_last_word_too():
    call, item_id = interrupted()
    before = said(call)
    call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=2_500))
    assert LONG.startswith(said(call))
    assert len(said(call)) > len(before)
    # What the model lost by our own word it gets back, as words in the same place of its list.
    assert not call.new(fx.TruncateItem)
    assert call.one(fx.Forget).item_ids == (item_id,)
    assert call.new(fx.Note)[-1] == fx.Note(item_id=item_id, role="assistant", text=said(call))


def test_a_second_word_of_the_client_can_only_be_shorter():
    call, item_id = interrupted()
    for ms, left in ((2_500, 2_500), (3_000, 2_500), (500, 500)):
        call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=ms))
        assert call.state.playback.items[-1].truncated_ms == left


def test_a_client_that_stops_playing_by_itself_leaves_only_what_was_heard():
    call = CoreCall(input_gate="off")
    call.says("When?", gate=None)
    item_id = call.reply(LONG, heard=False)
    call.do(ev.ClientTruncated(item_id=item_id, audio_end_ms=1_000))
    assert said(call) == "Your flight to"
    assert call.one(fx.TruncateItem).audio_end_ms == 1_000


async def test_the_client_is_told_when_its_second_word_is_longer(world):
    call, client = await world.start()
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies(LONG, chunks=20)
    item_id = client.of("response.output_item.done")[0]["item"]["id"]
    for ms in (300, 500):
        call.client_frame(
            client_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
        )
    assert [f["audio_end_ms"] for f in client.of("conversation.item.truncated")] == [300]
    assert client.of("error")[-1]["error"]["message"].startswith("Audio content of 300ms")
    assert json.dumps(client.of("error")[-1])
