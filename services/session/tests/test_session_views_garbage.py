"""Whatever bytes come from either side: nothing raises, nothing leaks to the other side, the call can be saved."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_realtime import CLIENT_EVENT_TYPES, SERVER_EVENT_TYPES
from ringback_session.usecases.keeping import load_saved
from session_call_kit import World, client_event

SECRET = "leak-me-not"
IDS = st.sampled_from(["item_u", "item_a", "resp_1", "call_1", "", "x" * 80, SECRET])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["", "audio", "message", "function_call", "assistant", "user", SECRET, "é\ud800"[:1]]),
    IDS,
)
NAMES = st.sampled_from(
    [
        "id",
        "type",
        "item",
        "item_id",
        "response",
        "response_id",
        "output_index",
        "content_index",
        "role",
        "content",
        "status",
        "call_id",
        "name",
        "arguments",
        "delta",
        "text",
        "transcript",
        "part",
        "logprobs",
        "audio_start_ms",
        "audio_end_ms",
        "error",
        "code",
        "message",
        "event_id",
        "metadata",
        "output",
        "previous_item_id",
        "session",
        "tools",
        "audio",
        "input",
        "instructions",
        "conversation",
        "usage",
        "status_details",
        "ringback",
        "param",
    ]
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=12,
)
FIELDS = st.dictionaries(NAMES, ANYTHING, max_size=8)


def frames(types):
    def build(pair):
        kind, fields = pair
        return json.dumps({**fields, "type": kind}).encode("utf-8", "surrogatepass")

    return st.one_of(st.tuples(st.sampled_from(types), FIELDS).map(build), st.binary(max_size=40))


def run(test):
    asyncio.run(asyncio.wait_for(test(), 30))


async def busy(world):
    """A call in the middle of a spoken reply, with the caller's item, a call and a typed item."""
    call, client = await world.start()
    up = world.upstream
    up.hears("What is 482915?", item_id="item_u")
    await world.settle()
    up.replies("Let me see.", calls=[("get_reservation", {"reservation": "482915"})])
    await world.settle()
    item = {
        "type": "message",
        "id": "item_a",
        "role": "user",
        "content": [{"type": "input_text", "text": "hm"}],
    }
    call.client_frame(client_event("conversation.item.create", item=item))
    up.begins(response_id="resp_1")
    up.opens_message("resp_1")
    return call, client


@settings(max_examples=40, deadline=None)
@given(st.lists(frames(SERVER_EVENT_TYPES), min_size=1, max_size=12))
def test_garbage_of_the_model_neither_raises_nor_spoils_the_record(garbage):
    async def test():
        world = World()
        call, client = await busy(world)
        for frame in garbage:
            call.model_frame(frame)
        await world.settle()
        assert not world.tracing.errors
        assert client.closed is None
        await call.keeper.write()
        load_saved((await world.record()).snapshot)
        await world.close()

    run(test)


@settings(max_examples=40, deadline=None)
@given(st.lists(frames(CLIENT_EVENT_TYPES), min_size=1, max_size=12))
def test_garbage_of_the_client_is_answered_with_errors_and_spoils_nothing(garbage):
    async def test():
        world = World()
        call, client = await busy(world)
        for frame in garbage:
            call.client_frame(frame)
        await world.settle()
        assert not world.tracing.errors
        for error in client.of("error"):
            assert error["error"]["code"]
            assert error["error"]["message"]
        await call.keeper.write()
        load_saved((await world.record()).snapshot)
        await world.close()

    run(test)


@settings(max_examples=25, deadline=None)
@given(st.lists(frames(["error", "no.such.event", "rate_limits.updated", "session.updated"]), max_size=8))
def test_what_is_not_for_the_client_does_not_reach_it(garbage):
    async def test():
        world = World()
        call, client = await busy(world)
        client.news()
        for frame in garbage:
            call.model_frame(frame)
        assert {frame["type"] for frame in client.news()} <= {"error"}
        await world.close()

    run(test)


def paths(value, path=()):
    """Every place in a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


def spoilt(frame, where, garbage):
    """The frame with one place of it, chosen by a number, replaced; None removes it."""
    event = json.loads(frame)
    *way, last = paths(event)[where % len(paths(event))]
    if [*way, last] == ["type"]:
        return frame
    place = event
    for key in way:
        place = place[key]
    if garbage is None:
        del place[last]
    else:
        place[last] = garbage
    return json.dumps(event).encode()


SPOILERS = st.lists(st.tuples(st.integers(0, 45), st.integers(0, 40), ANYTHING), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(SPOILERS)
def test_a_model_that_is_almost_right_neither_raises_nor_spoils_the_record(spoilers):
    async def test():
        world = World()
        call, client = await world.start()
        up = world.upstream
        count = iter(range(10_000))
        emit = up.emit

        def emit_spoilt(frame):
            number = next(count)
            for at, where, garbage in spoilers:
                if at == number:
                    frame = spoilt(frame, where, garbage)
            emit(frame)

        up.emit = emit_spoilt
        for words in ("Look up 482915.", "Cancel 482915.", "Yes."):
            up.hears(words)
            await world.settle(12)
            asked = up.got("response.create")
            if asked and asked[-1]["response"].get("conversation") == "none":
                up.speaks()
            elif asked:
                tool = "cancel_reservation" if words.startswith("C") else "get_reservation"
                up.replies("Let me see.", calls=[(tool, {"reservation": "482915"})])
            await world.settle(12)
        assert not world.tracing.errors
        assert client.closed is None
        await call.keeper.write()
        load_saved((await world.record()).snapshot)
        await world.close()

    run(test)
