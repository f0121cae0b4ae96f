"""Time in a call: the session's limit, the caller's silence, and clocks that count samples of either format."""

import base64

from ringback_session.usecases.call import Limits
from session_call_kit import append, client_event

PCMU = {"type": "audio/pcmu"}


def update(**session):
    return client_event("session.update", session={"type": "realtime", **session})


def telephone(byte_count):
    audio = base64.b64encode(bytes(byte_count)).decode()
    return client_event("input_audio_buffer.append", audio=audio)


async def test_a_session_that_lasts_too_long_ends_with_the_documented_error_and_close(world):
    calls = world.replica("session-1", limits=Limits(session_ms_max=20_000))
    _call, client = await world.start(calls=calls)
    world.clock.advance(18_000)
    assert client.closed is None
    world.clock.advance(2_000)
    await world.settle()
    assert client.of("error")[0]["error"]["code"] == "session_expired"
    assert client.closed[0] == 1001
    assert client.closed[1] == "Your session hit the maximum duration of 20 seconds."
    assert client.of("error")[0]["error"]["message"] == client.closed[1]


async def test_a_silence_that_is_too_long_is_told_and_replied_to(world):
    call, client = await world.start(pack="passthrough")
    detection = {"type": "server_vad", "idle_timeout_ms": 5_000}
    call.client_frame(update(audio={"input": {"turn_detection": detection}}))
    asked = world.upstream.got("session.update")[-1]["session"]["audio"]["input"]["turn_detection"]
    assert not asked.get("idle_timeout_ms"), "the model makes no replies by itself"
    call.client_frame(append(frames=10))
    call.client_frame(client_event("response.create"))
    world.upstream.replies("One.", chunks=5)
    client.news()
    call.client_frame(append(frames=140))
    assert not world.upstream.got("input_audio_buffer.commit"), "800 ms of it were speech of the agent"
    call.client_frame(append(frames=10))
    assert len(world.upstream.got("input_audio_buffer.commit")) == 1
    world.upstream.commits("item_silence")
    world.upstream.replies("Are you still there?")
    kinds = [kind for kind in client.types() if not kind.startswith("response.o")]
    assert kinds[:5] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    told = client.of("input_audio_buffer.timeout_triggered")[0]
    assert told["audio_end_ms"] - told["audio_start_ms"] >= 5_000
    call.client_frame(append(frames=50))
    assert len(world.upstream.got("input_audio_buffer.commit")) == 1, "its clock begins anew"


async def test_nobody_is_asked_into_a_silence_without_a_timeout(world):
    call, _client = await world.start(pack="passthrough")
    call.client_frame(append())
    call.client_frame(client_event("response.create"))
    world.upstream.replies("One.")
    call.client_frame(append(frames=1_000))
    assert not world.upstream.got("input_audio_buffer.commit")


async def test_telephone_audio_goes_through_verbatim_and_is_counted_at_its_own_rate(world):
    call, client = await world.start(pack="passthrough")
    call.client_frame(update(audio={"input": {"format": PCMU}, "output": {"format": PCMU}}))
    audio = world.upstream.got("session.update")[-1]["session"]["audio"]
    assert (audio["input"]["format"], audio["output"]["format"]) == (PCMU, PCMU)
    assert client.of("session.updated")[-1]["session"]["audio"]["input"]["format"] == PCMU
    call.client_frame(telephone(800))
    assert world.upstream.appended[-1]["audio"] == base64.b64encode(bytes(800)).decode()
    call.client_frame(client_event("response.create"))
    upstream = world.upstream
    response_id = upstream.begins()
    item_id = upstream.opens_message(response_id)
    upstream.emit(
        upstream.events.audio_delta(response_id, item_id=item_id, output_index=0, audio=bytes(8_000))
    )
    call.client_frame(_truncate(item_id, 1_001))
    assert client.of("error")[-1]["error"]["message"].startswith("Audio content of 1000ms")
    call.client_frame(_truncate(item_id, 400))
    assert client.of("conversation.item.truncated")


def _truncate(item_id, end_ms):
    return client_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)
