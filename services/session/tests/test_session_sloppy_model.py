"""Whatever a compatible model leaves out, the client sees the protocol whole."""

import base64
import json

import pytest
from session_call_kit import CHUNK, SPOKEN_ORDER, World, check_chain, client_event

TEXT_ORDER = [kind.replace("audio_transcript", "text") for kind in SPOKEN_ORDER if "_audio." not in kind]
TOOL = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}


@pytest.fixture
async def world():
    world = World()
    yield world
    assert not world.tracing.errors
    assert not world.tracing.bad_frames
    await world.close()


class Sloppy:
    """Sends what a test says and no more: no ids, no indices, no metadata unless they are given."""

    def __init__(self, world):
        self._upstream = world.upstream

    def says(self, type, **fields):
        self._upstream.emit(json.dumps({"type": type, **fields}).encode())

    def begins(self, response_id="resp_s"):
        self.says("response.created", response={"id": response_id, "status": "in_progress"})

    def ends(self, response_id="resp_s", **fields):
        self.says(
            "response.done", response={"id": response_id, "status": "completed", "output": [], **fields}
        )


@pytest.fixture
def sloppy(world):
    return Sloppy(world)


async def asked(world, pack="passthrough"):
    call, client = await world.start(pack=pack)
    call.client_frame(client_event("response.create", response={"metadata": {"mine": "1"}}))
    await world.settle()
    client.news()
    return call, client


def pieces(sloppy, **ids):
    where = {"response_id": "resp_s", "item_id": "item_s", **ids}
    sloppy.says("response.output_audio_transcript.delta", delta="Hello.", **where)
    sloppy.says("response.output_audio.delta", delta=base64.b64encode(CHUNK).decode(), **where)


async def test_audio_without_any_beginning_or_end_of_item_and_part(world, sloppy):
    _call, client = await asked(world)
    sloppy.begins()
    pieces(sloppy)
    sloppy.ends()
    assert client.types() == SPOKEN_ORDER
    done = client.of("response.done")[0]["response"]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Hello."}]
    assert (done["output"][0]["status"], done["metadata"]) == ("completed", {"mine": "1"})
    assert client.of("response.output_audio_transcript.done")[0]["transcript"] == "Hello."
    assert all(frame["event_id"] for frame in client.frames)
    assert client.of("response.output_audio.delta")[0]["output_index"] == 0
    check_chain(client.frames)


async def test_items_that_begin_but_never_end(world, sloppy):
    _call, client = await asked(world)
    item = {"id": "item_s", "type": "message", "role": "assistant"}
    sloppy.begins()
    sloppy.says("response.output_item.added", response_id="resp_s", output_index=0, item=item)
    pieces(sloppy, output_index=0)
    sloppy.ends()
    assert client.types() == SPOKEN_ORDER


async def test_items_that_end_but_never_begin(world, sloppy):
    _call, client = await asked(world)
    part = {"type": "output_audio", "transcript": "Hello."}
    item = {"id": "item_s", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    sloppy.begins()
    pieces(sloppy)
    sloppy.says("response.output_item.done", response_id="resp_s", output_index=0, item=item)
    sloppy.ends(output=[item])
    assert client.types() == SPOKEN_ORDER


async def test_a_response_in_one_piece(world, sloppy):
    _call, client = await asked(world)
    part = {"type": "output_text", "text": "All at once."}
    item = {"id": "item_s", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    sloppy.begins()
    sloppy.ends(output=[item])
    assert client.types() == TEXT_ORDER
    assert client.of("response.output_text.delta")[0]["delta"] == "All at once."
    assert client.of("response.done")[0]["response"]["output"][0]["content"] == [part]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_call_that_is_told_of_only_at_its_end(world, sloppy, announced):
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [TOOL]}))
    call.client_frame(client_event("response.create"))
    await world.settle()
    client.news()
    item = {
        "id": "item_c",
        "type": "function_call",
        "call_id": "call_1",
        "name": "dim",
        "arguments": '{"a":1}',
    }
    sloppy.begins()
    if announced:
        said = {name: item[name] for name in ("call_id", "name", "arguments")}
        sloppy.says("response.function_call_arguments.done", response_id="resp_s", item_id="item_c", **said)
    sloppy.ends(output=[item])
    assert client.types() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert client.of("response.output_item.done")[0]["item"]["status"] == "completed"


async def test_a_call_of_the_agents_tool_in_one_piece_is_run_and_not_shown(world, sloppy):
    _call, client = await asked(world, pack="airline")
    arguments = '{"reservation":"482915"}'
    item = {"id": "item_c", "type": "function_call", "call_id": "call_1", "name": "get_reservation"}
    sloppy.begins()
    sloppy.ends(output=[item | {"arguments": arguments}])
    await world.settle()
    assert [action.tool for action, _pinned in world.tools.executed] == ["get_reservation"]
    assert not [kind for kind in client.types() if "function_call" in kind]


async def test_a_cancelled_response_ends_cut_not_mended(world, sloppy):
    call, client = await asked(world)
    sloppy.begins()
    pieces(sloppy)
    call.client_frame(client_event("response.cancel"))
    sloppy.ends(status="cancelled")
    done = client.of("response.done")
    assert [response["response"]["status"] for response in done] == ["cancelled"]
    assert done[0]["response"]["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("left", ["committed", "added", "transcript"])
async def test_a_turn_of_which_the_model_tells_only_one_thing(world, sloppy, left):
    call, client = await world.start(pack="passthrough")
    content = [{"type": "input_audio", "transcript": None}]
    item = {"id": "item_u", "type": "message", "role": "user", "content": content}
    match left:
        case "committed":
            sloppy.says("input_audio_buffer.committed", item_id="item_u")
        case "added":
            sloppy.says("conversation.item.added", item=item)
        case _:
            kind = "conversation.item.input_audio_transcription.completed"
            sloppy.says(kind, item_id="item_u", content_index=0, transcript="Hello.")
    await world.settle()
    assert client.types()[:3] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert call.state.utterance.item_id == "item_u"
    check_chain(client.frames)


async def test_a_model_that_never_confirms_a_truncation_is_no_matter_of_the_client(world, sloppy):
    call, client = await asked(world)
    sloppy.begins()
    pieces(sloppy)
    call.client_frame(
        client_event("conversation.item.truncate", item_id="item_s", content_index=0, audio_end_ms=0)
    )
    assert client.of("conversation.item.truncated")[0]["item_id"] == "item_s"
