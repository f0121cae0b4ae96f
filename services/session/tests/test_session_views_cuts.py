"""What the client cut is gone from its conversation too; what it asks for by itself is answered."""

import base64

from session_call_kit import client_event


def truncate(item_id, end_ms):
    return client_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)


def transcript(call, client, item_id):
    call.client_frame(client_event("conversation.item.retrieve", item_id=item_id))
    return client.of("conversation.item.retrieved")[-1]["item"]["content"][0].get("transcript")


async def test_the_words_that_were_not_heard_are_no_longer_in_the_item(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    world.upstream.replies("The first half is heard and the rest is not.", chunks=10)
    item_id = client.of("response.output_item.done")[0]["item"]["id"]
    call.client_frame(truncate(item_id, 800))
    assert transcript(call, client, item_id) == "The first half is"
    call.client_frame(truncate(item_id, 0))
    assert transcript(call, client, item_id) == ""


async def test_an_item_that_is_cut_while_it_is_made_stays_cut(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("response.create"))
    upstream = world.upstream
    response_id = upstream.begins()
    item_id = upstream.opens_message(response_id)
    upstream.emit(
        upstream.events.transcript_delta(response_id, item_id=item_id, output_index=0, delta="Long words.")
    )
    upstream.emit(
        upstream.events.audio_delta(response_id, item_id=item_id, output_index=0, audio=bytes(7_680))
    )
    call.client_frame(truncate(item_id, 0))
    assert client.of("conversation.item.truncated")
    call.client_frame(client_event("response.cancel"))
    await world.settle()
    assert client.of("response.done")
    assert transcript(call, client, item_id) == ""


async def test_a_reply_that_the_client_asks_for_to_audio_of_its_own_is_asked_for(world):
    call, _client = await world.start(pack="passthrough")
    part = {"type": "input_audio", "audio": base64.b64encode(bytes(4_800)).decode()}
    call.client_frame(
        client_event("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
    )
    call.client_frame(client_event("response.create"))
    await world.settle()
    assert world.upstream.got("response.create")
