"""Audio that goes past the core and audio that goes through it come to the same, for the client and for the core."""

import asyncio
import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_realtime import peek
from ringback_session.domain.playback import goes_on
from ringback_session.domain.rules import TurnRules
from ringback_session.domain.state import Playback, PlayedItem
from session_call_kit import CHUNK, TracingTwin, World, append, client_event

RULES = TurnRules(input_gate="off", client_tools="allow", client_instructions=True, resume_within_ms=3_000)
DELTA = "response.output_audio.delta"


class Kept:
    """Implements `Recorder`: with it every input goes through the core."""

    def __init__(self, state):
        self.inputs = []

    def step(self, event, at, effects):
        self.inputs.append(event)

    def close(self):
        pass


class Told:
    """One call, and a model that does what a list of words says."""

    def __init__(self, world, call, client):
        self.world, self.call, self.client, self.up = world, call, client, world.upstream
        self.response = self.item = ""
        self.index = 0

    async def does(self, word):
        await getattr(self, word)()
        await self.world.settle(6)

    async def begins(self):
        self.call.client_frame(client_event("response.create"))
        await self.world.settle(6)
        if not self.up.got("response.create"):
            return
        self.response, self.index = self.up.begins(), 0
        self.item = self.up.opens_message(self.response)

    async def audio(self, **fields):
        self.delta(event_id=self.up.ids.event(), content_index=0, output_index=self.index, **fields)

    async def more_audio(self):
        for _ in range(3):
            await self.audio()

    async def a_second_of_audio_in_one_piece(self):
        await self.audio(delta=base64.b64encode(CHUNK * 6).decode())

    async def audio_in_other_order(self):
        audio = base64.b64encode(CHUNK).decode().replace("/", "\\/")
        where = f'"item_id":"{self.item}","content_index":0,"output_index":{self.index}'
        self.up.emit(
            f'{{"delta":"{audio}",{where},"response_id":"{self.response}","event_id":"e","type":"{DELTA}"}}'.encode()
        )

    async def audio_without_ids(self):
        self.delta()

    async def audio_at_a_wrong_place(self):
        self.delta(event_id="event_x", content_index=0, output_index=7)

    async def audio_of_nothing_known(self):
        await self.audio(item_id="item_unknown")

    async def no_audio(self):
        self.delta(event_id="event_x", content_index=0, output_index=self.index, delta=None)

    async def words(self):
        where = {"item_id": self.item, "output_index": self.index}
        self.up.emit(self.up.events.transcript_delta(self.response, delta="Well. ", **where))

    async def audio_done(self):
        where = {"item_id": self.item, "output_index": self.index}
        self.up.emit(self.up.events.audio_done(self.response, **where))

    async def part_done(self):
        where = {"item_id": self.item, "output_index": self.index}
        part = {"type": "audio", "transcript": "Well."}
        self.up.emit(self.up.events.part_done(self.response, part=part, **where))

    async def next_item(self):
        self.index += 1
        self.item = self.up.opens_message(self.response, self.index)

    async def ends(self):
        self.up.ends(self.response)

    async def caller(self):
        for _ in range(12):
            self.call.client_frame(append())

    async def cancels(self):
        self.call.client_frame(client_event("response.cancel"))

    async def truncates(self):
        where = {"item_id": self.item, "content_index": 0, "audio_end_ms": 60}
        self.call.client_frame(client_event("conversation.item.truncate", **where))

    async def speaks_over_it(self):
        self.up.emit(self.up.events.speech_started("item_over", audio_start_ms=100))

    async def loses_the_model(self):
        if self.up.open:
            self.up.lose()
            await self.world.settle()

    def delta(self, **fields):
        body = {"response_id": self.response, "item_id": self.item, "delta": base64.b64encode(CHUNK).decode()}
        self.up.emit(client_event(DELTA, **body | fields))


WORDS = [word for word in vars(Told) if not word.startswith("_") and word not in ("does", "delta", "begins")]


async def _told(words, recorder=None, rules=RULES, *, telephone=False):
    world = World()
    world.policy.rules = rules
    if recorder is not None:
        world.recorder = recorder
        world.calls = world.replica("session-0")
    try:
        call, client = await world.start(pack="passthrough")
        told = Told(world, call, client)
        if telephone:
            session = {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
            call.client_frame(client_event("session.update", session=session))
        for word in ("begins", "audio", *words):
            await told.does(word)
        await world.settle()
        assert not TracingTwin.errors
        return told
    finally:
        await world.close()


@given(
    st.lists(st.sampled_from(["audio", "more_audio", "more_audio", "begins", *WORDS]), max_size=14),
    st.sampled_from([0, 3_000]),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_the_client_and_the_core_know_no_difference(words, resume_within_ms, telephone):
    rules = msgspec.structs.replace(RULES, resume_within_ms=resume_within_ms)
    straight = asyncio.run(_told(words, rules=rules, telephone=telephone))
    through = asyncio.run(_told(words, Kept, rules, telephone=telephone))
    assert straight.client.raw == through.client.raw
    assert msgspec.to_builtins(straight.call.state) == msgspec.to_builtins(through.call.state)
    assert [event["type"] for event in straight.up.sent] == [event["type"] for event in through.up.sent]


async def test_audio_after_the_first_goes_straight_and_byte_for_byte():
    recorded = []

    def kept(state):
        recorded.append(Kept(state))
        return recorded[0]

    told = await _told(["audio", "words", "audio", "audio_in_other_order"], kept)
    frames = [frame for frame in told.client.raw if peek(frame).type == DELTA]
    sent = sum(type(event).__name__ == "AudioSent" for event in recorded[0].inputs)
    assert sent == len(frames) == 4
    told = await _told(["audio", "words", "audio", "audio_in_other_order"])
    assert told.call.view.responses.straight.item_id == told.item
    again = [frame for frame in told.client.raw if peek(frame).type == DELTA]
    assert [peek(frame).samples() for frame in again] == [len(CHUNK) // 2] * 4
    assert b"\\/" in again[-1]
    (played,) = told.call.state.playback.items
    assert (played.samples, played.text) == (4 * len(CHUNK) // 2, "Well. ")


@pytest.mark.parametrize(("telephone", "samples_of_a_byte"), [(False, 0.5), (True, 3)])
async def test_audio_that_goes_straight_is_counted_as_what_it_is(telephone, samples_of_a_byte):
    rules = msgspec.structs.replace(RULES, resume_within_ms=0)
    told = await _told(["more_audio", "words", "more_audio"], rules=rules, telephone=telephone)
    (played,) = told.call.state.playback.items
    assert (played.samples, played.text) == (7 * len(CHUNK) * samples_of_a_byte, "Well. ")
    assert told.call.state.playback.ends_at == played.starts_at + played.samples


@pytest.mark.parametrize("word", ["cancels", "ends", "loses_the_model", "part_done"])
async def test_nothing_goes_straight_once_the_item_is_over(word):
    told = await _told(["audio", word])
    before = len(told.client.raw)
    straight = told.call.view.responses.straight
    frame = client_event(
        DELTA,
        response_id=told.response,
        item_id=told.item,
        delta=base64.b64encode(CHUNK).decode(),
        event_id="event_late",
        output_index=0,
        content_index=0,
    )
    assert not straight.samples(peek(frame))
    assert len(told.client.raw) == before


@given(st.integers(0, 99_999), st.integers(0, 99_999), st.integers(0, 4_800), st.text(max_size=9))
def test_only_the_item_that_was_sent_last_goes_on(starts_at, samples, more, text):
    ends_at = starts_at + samples
    last = PlayedItem(item_id="item_2", starts_at=starts_at, samples=samples, text="Before.")
    playback = Playback(items=[PlayedItem(item_id="item_1", starts_at=0), last], ends_at=ends_at)
    assert not goes_on(playback, "item_1", more, text)
    assert not goes_on(Playback(), "item_1", more, text)
    assert (playback.ends_at, last.samples) == (ends_at, samples)
    assert goes_on(playback, "item_2", more, text)
    assert (playback.ends_at, last.samples, last.text) == (ends_at + more, samples + more, text or "Before.")
