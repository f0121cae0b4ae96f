"""However much a model sends in one piece, the client gets frames below 1 MiB and audio 200 ms at a time."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_realtime import EventIds, ServerEvents, peek
from ringback_session.domain.rules import TurnRules
from ringback_session.views.portions import RESPONSE_BYTES_MAX, Portions, TooLargeError
from session_call_kit import append, check_chain, client_event

FRAME_BYTES_MAX = 1024 * 1024
MIB_2 = 2 * 1024 * 1024
DELTA = "response.output_audio.delta"
WORDS = "response.output_audio_transcript.delta"
ARGUMENTS = "response.function_call_arguments.delta"
FIVE_SECONDS = bytes(range(250)) * 960
TELEPHONE = {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
TOOL = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}


class Talker:
    """A model that begins one spoken reply and then says what a test wants, in one piece."""

    def __init__(self, world, call, client):
        self.world, self.call, self.client, self.up = world, call, client, world.upstream
        self.response = self.up.begins()
        self.item = self.up.opens_message(self.response)
        self.where = {"response_id": self.response, "item_id": self.item, "output_index": 0}

    def says(self, type, **fields):
        self.up.emit(client_event(type, event_id=self.up.ids.event(), **self.where | fields))

    def audio(self, sound=FIVE_SECONDS):
        self.says(DELTA, content_index=0, delta=base64.b64encode(sound).decode())

    def heard(self):
        """The audio that the client got: its frames, and their sound."""
        deltas = self.client.of(DELTA)
        return deltas, b"".join(base64.b64decode(delta["delta"]) for delta in deltas)


async def talker(world, *, session=None, recorder=None, **rules):
    known = {"client_tools": "allow", "client_instructions": True, "input_gate": "off"}
    world.policy.rules = TurnRules(**known | rules)
    if recorder is not None:
        world.recorder = recorder
        world.calls = world.replica("session-0")
    call, client = await world.start(pack="passthrough")
    call.client_frame(client_event("session.update", session=session or {"type": "realtime"}))
    call.client_frame(client_event("response.create"))
    await world.settle()
    return Talker(world, call, client)


class Kept:
    """Implements `Recorder`: with it every piece is an input of the core."""

    def __init__(self, state):
        pass

    def step(self, event, at, effects):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("recorder", [None, Kept])
@pytest.mark.parametrize(("session", "bytes_per_ms"), [(None, 48), (TELEPHONE, 8)])
async def test_seconds_of_audio_in_one_delta_come_in_pieces_and_are_counted_once(
    world, session, bytes_per_ms, recorder
):
    talks = await talker(world, session=session, recorder=recorder)
    sound = FIVE_SECONDS[: 5_000 * bytes_per_ms]
    talks.audio(sound[: 20 * bytes_per_ms])
    talks.audio(sound)
    talks.audio(sound[: 20 * bytes_per_ms])
    deltas, heard = talks.heard()
    assert heard == sound[: 20 * bytes_per_ms] + sound + sound[: 20 * bytes_per_ms]
    sizes = [len(base64.b64decode(delta["delta"])) for delta in deltas]
    assert max(sizes) <= 200 * bytes_per_ms
    assert not any(size % 2 for size in sizes[:-2] if bytes_per_ms == 48)
    assert len({delta["event_id"] for delta in deltas}) == len(deltas) > 25
    assert {(delta["item_id"], delta["output_index"], delta["content_index"]) for delta in deltas} == {
        (talks.item, 0, 0)
    }
    (played,) = talks.call.state.playback.items
    assert played.samples == 5_040 * 24


async def test_a_caller_who_cuts_in_has_heard_the_part_that_was_played(world):
    talks = await talker(world)
    talks.says(WORDS, content_index=0, delta="one two three four five six seven eight nine ten")
    talks.audio()
    for _ in range(25):
        talks.call.client_frame(append())
    talks.up.emit(talks.up.events.speech_started("item_u", audio_start_ms=1_000))
    await world.settle()
    assert talks.up.got("conversation.item.truncate")[-1]["audio_end_ms"] == 1_000
    told = world.facts("agent_turn_ended")[-1].agent_turn_ended
    assert (told.audio_ms, told.heard_ms, told.heard) == (5_000, 1_000, "one two")


async def test_what_is_held_back_is_shown_in_pieces_when_it_may_be_heard(world):
    talks = await talker(world, output_gate="blocking")
    talks.says(WORDS, content_index=0, delta="It leaves at nine. ")
    talks.audio()
    await world.settle()
    talks.up.ends(talks.response)
    await world.settle()
    deltas, heard = talks.heard()
    assert heard == FIVE_SECONDS
    assert len(deltas) == 25
    check_chain(talks.client.frames)


async def test_our_own_words_come_in_pieces_too(world):
    _call, client = await world.start()
    up = world.upstream
    up.hears("Cancel 482915.")
    await world.settle()
    up.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    said = up.got("response.create")[-1]["response"]["instructions"]
    response = up.begins()
    where = {"item_id": up.opens_message(response), "output_index": 0}
    up.emit(up.events.audio_delta(response, audio=FIVE_SECONDS, **where))
    assert not client.of(DELTA), "it is held until the values have been said"
    up.emit(up.events.transcript_delta(response, delta=said, **where))
    await world.settle()
    sizes = [len(base64.b64decode(delta["delta"])) for delta in client.of(DELTA)]
    assert sizes == [9_600] * 25


@given(
    st.integers(1, 60_000),
    st.booleans(),
    st.sampled_from(["", "\n", " \r\n"]),
    st.integers(57, 99),
)
def test_pieces_are_the_audio_in_order(size, telephone, between, line):
    sound = (bytes(range(251)) * (size // 251 + 1))[:size]
    whole = base64.b64encode(sound).decode()
    lines = between.join(whole[at : at + line] for at in range(0, len(whole), line)) if between else whole
    portions = Portions(ServerEvents(EventIds("test")), telephone=lambda response_id: telephone)
    frame = client_event(DELTA, response_id="r", item_id="i", output_index=0, content_index=0, delta=lines)
    pieces = list(portions.of(peek(frame), frame))
    assert b"".join(base64.b64decode(head.delta) for head, _ in pieces) == sound
    assert all(head == peek(piece) for head, piece in pieces)
    assert all(len(piece) <= 15 * 1024 for _, piece in pieces)
    if len(pieces) > 1:
        assert all(len(base64.b64decode(head.delta)) <= (1_600 if telephone else 9_600) for head, _ in pieces)


def frames_fit(client):
    return max(len(frame) for frame in client.raw) < FRAME_BYTES_MAX


@pytest.mark.parametrize("letter", ["x", "é", "\u0001", "語"])
async def test_long_words_come_in_pieces_and_their_item_whole(world, letter):
    talks = await talker(world)
    words = letter * (110 * 1024)
    talks.says(WORDS, content_index=0, delta=words)
    talks.audio(FIVE_SECONDS[:960])
    talks.up.ends(talks.response)
    await world.settle()
    assert len(talks.client.of(WORDS)) == 2
    assert "".join(delta["delta"] for delta in talks.client.of(WORDS)) == words
    done = talks.client.of("response.done")[0]["response"]
    assert (done["status"], done["output"][0]["content"][0]["transcript"]) == ("completed", words)
    assert frames_fit(talks.client)
    check_chain(talks.client.frames)


def two_mib_of_words(talks):
    talks.says(WORDS, content_index=0, delta="x" * MIB_2)


def words_without_end(talks):
    for _ in range(200):
        talks.says(WORDS, content_index=0, delta="x" * 10_000)


def two_mib_told_at_the_end(talks):
    talks.says("response.output_audio_transcript.done", content_index=0, transcript="x" * MIB_2)


def an_item_of_two_mib(talks):
    item = {"id": talks.item, "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_audio", "transcript": "x" * MIB_2}
    talks.says("response.output_item.done", item=item | {"content": [part]})


def two_mib_only_at_the_very_end(talks):
    item = {"id": "item_2", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": "x" * MIB_2}
    ended = talks.up.response(talks.response, status="completed", output=[item | {"content": [part]}])
    talks.up.emit(client_event("response.done", response=ended))


def arguments_of_two_mib(talks):
    call = {"id": "item_c", "type": "function_call", "call_id": "call_1", "name": "dim", "arguments": ""}
    where = {"output_index": 1, "item_id": "item_c", "call_id": "call_1"}
    talks.says("response.output_item.added", output_index=1, item=call)
    talks.says(ARGUMENTS, **where, delta="1" * MIB_2)


def many_items_that_are_large_together(talks):
    for index in range(1, 12):
        item = {"id": f"item_{index}", "type": "message", "role": "assistant", "status": "completed"}
        part = {"type": "output_text", "text": "x" * 100_000}
        talks.says("response.output_item.done", output_index=index, item=item | {"content": [part]})


TOO_MUCH = [
    two_mib_of_words,
    words_without_end,
    two_mib_told_at_the_end,
    an_item_of_two_mib,
    two_mib_only_at_the_very_end,
    arguments_of_two_mib,
    many_items_that_are_large_together,
]


@pytest.mark.parametrize("too_much", TOO_MUCH)
@pytest.mark.parametrize("gate", ["off", "blocking"])
async def test_a_response_that_no_frame_can_hold_fails_by_the_models_name_and_the_call_goes_on(
    world, too_much, gate
):
    talks = await talker(world, session={"type": "realtime", "tools": [TOOL]}, output_gate=gate)
    too_much(talks)
    await world.settle()
    (done,) = talks.client.of("response.done")
    assert done["response"]["status"] == "failed"
    error = done["response"]["status_details"]["error"]
    assert (error["type"], error["code"]) == ("server_error", "model_response_too_large")
    assert "realtime model sent more than 768 KiB" in error["message"]
    cancelled = talks.up.got("response.cancel")
    assert not cancelled or cancelled[-1]["response_id"] == talks.response
    assert frames_fit(talks.client)
    check_chain(talks.client.frames)
    before = len(talks.client.frames)
    talks.says(WORDS, content_index=0, delta="more")
    talks.audio(FIVE_SECONDS[:960])
    assert len(talks.client.frames) == before, "nothing more of it is told"
    talks.up.ends(talks.response, status="cancelled")
    await world.settle()
    talks.call.client_frame(client_event("response.create"))
    await world.settle()
    talks.up.replies("I am here.")
    await world.settle()
    assert talks.client.of("response.done")[-1]["response"]["status"] == "completed"
    assert not talks.client.of("error")


async def test_what_the_caller_said_is_too_long_to_be_told(world):
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    talks = await talker(world, session=session)
    talks.up.ends(talks.response)
    talks.up.commits("item_u")
    kind = "conversation.item.input_audio_transcription"
    talks.up.say(f"{kind}.delta", item_id="item_u", content_index=0, delta="x" * 1_500_000)
    talks.up.say(f"{kind}.completed", item_id="item_u", content_index=0, transcript="x" * MIB_2)
    await world.settle()
    (failed,) = talks.client.of(f"{kind}.failed")
    assert failed["error"]["code"] == "transcript_too_large"
    assert sum(len(delta["delta"]) for delta in talks.client.of(f"{kind}.delta")) == 1_500_000
    assert frames_fit(talks.client)


async def test_what_a_model_says_of_a_problem_is_cut_short(world):
    talks = await talker(world)
    told = {"type": "server_error", "code": "server_error", "message": "x" * MIB_2}
    talks.up.say("error", error=told)
    details = {"type": "failed", "error": told}
    talks.up.ends(talks.response, status="failed", status_details=details)
    await world.settle()
    assert (
        talks.client.of("response.done")[0]["response"]["status_details"]["error"]["code"] == "server_error"
    )
    assert talks.client.of("error")[0]["error"]["message"].startswith("xxx")
    assert frames_fit(talks.client)


def test_of_one_response_no_more_is_taken_than_fits_and_the_rest_is_refused_once():
    portions = Portions(ServerEvents(EventIds("test")), telephone=lambda response_id: False)

    def delta(response_id):
        where = {"response_id": response_id, "item_id": "i", "output_index": 0, "content_index": 0}
        frame = client_event(WORDS, event_id="e", delta="x" * 40_000, **where)
        return list(portions.of(peek(frame), frame))

    taken = [len(json.loads(piece)["delta"]) for _ in range(19) for _, piece in delta("r")]
    assert sum(taken) == 19 * 40_000 < RESPONSE_BYTES_MAX
    with pytest.raises(TooLargeError) as raised:
        delta("r")
    assert raised.value.response_id == "r"
    assert portions.given_up("r")
    assert not portions.given_up("other")
    assert delta("other")
