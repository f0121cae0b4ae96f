"""The clock of playback: the caller's audio while it comes, real time while a microphone is closed."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from ringback_session.usecases.playback_clock import MUTED_MS, PlaybackClock
from session_call_kit import World, append, client_event

SECOND = 24_000
FRAME_MS = 20


def test_audio_that_comes_faster_than_real_time_is_what_counts():
    clock = PlaybackClock(1_000)
    for number in range(500):
        clock.hear(SECOND, 1_000 + number)
    assert clock.at(1_500) == 500 * SECOND


def test_a_microphone_that_opens_late_or_is_closed_for_a_while_stops_nothing():
    clock = PlaybackClock(0)
    assert clock.at(7_000) == 7 * SECOND
    for at_ms in range(7_000, 8_000, FRAME_MS):
        clock.hear(FRAME_MS * 24, at_ms + FRAME_MS)
    assert 8 * SECOND <= clock.at(8_000) <= 8 * SECOND + FRAME_MS * 24
    muted = clock.at(8_000)
    assert clock.at(8_000 + MUTED_MS - 100) == muted, "a delay is none"
    assert clock.at(18_000) == muted + 10 * SECOND
    clock.hear(FRAME_MS * 24, 18_000)
    assert clock.at(18_000) == muted + 10 * SECOND + FRAME_MS * 24


def test_what_begins_just_after_the_microphone_was_closed_has_only_been_heard_since_it_began():
    clock = PlaybackClock(0)
    clock.hear(FRAME_MS * 24, 1_000)
    clock.begin(2_000)
    begins = clock.at(2_000)
    for at_ms in range(2_000, 6_000, 50):
        assert clock.at(at_ms) - begins <= (at_ms - 2_000) * 24
    assert clock.at(6_000) == begins + 4_000 * 24
    clock.begin(6_500)
    assert clock.at(6_500) == begins + 4_500 * 24, "a closed microphone is known by then"


def test_a_frame_without_audio_does_not_stop_the_clock_of_who_only_types():
    clock = PlaybackClock(0)
    clock.hear(0, 5_000)
    assert clock.at(5_400) == 5_400 * 24


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 4_800), st.booleans())))
def test_it_never_goes_back(steps):
    clock, now_ms, last = PlaybackClock(0), 0, 0
    for passed_ms, samples, begins in steps:
        now_ms += passed_ms
        before = clock.at(now_ms)
        if begins:
            clock.begin(now_ms)
        else:
            clock.hear(samples, now_ms)
        assert last <= before <= clock.at(now_ms)
        last = clock.at(now_ms)


async def test_a_caller_who_closes_the_microphone_and_is_answered_at_once_has_heard_no_more_than_was_played():
    world = World()
    call, client = await world.start(pack="passthrough")
    up = world.upstream
    call.client_frame(append())
    world.clock.advance(MUTED_MS - 500)
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = up.begins()
    up.message(response, "One two three four five six seven eight nine ten.", chunks=100)
    up.ends(response)
    await world.settle()
    assert client.of("response.output_audio.done")
    played_ms = MUTED_MS + 200
    world.clock.advance(played_ms)
    call.client_frame(append())
    up.emit(up.events.speech_started("item_u", audio_start_ms=0))
    await world.settle()
    assert played_ms <= world.facts("interrupted")[0].interrupted.heard_ms <= played_ms + 40
    await world.close()


async def test_what_a_caller_with_a_closed_microphone_heard_is_not_forgotten():
    world = World()
    call, client = await world.start(pack="passthrough")
    up = world.upstream
    world.clock.advance(3_000)
    call.client_frame(client_event("response.create"))
    await world.settle()
    response = up.begins()
    up.message(response, "One two three four five six seven eight nine ten.", chunks=50)
    up.ends(response)
    await world.settle()
    item_id = client.of("response.output_audio.done")[0]["item_id"]
    deltas = client.of("response.output_audio.delta")
    sent_ms = sum(len(base64.b64decode(delta["delta"])) for delta in deltas) // 48
    played_ms = sent_ms - 200
    assert played_ms > MUTED_MS, "long enough for no delay"
    world.clock.advance(played_ms)
    call.client_frame(append())
    up.emit(up.events.speech_started("item_u", audio_start_ms=0))
    await world.settle()
    cut = world.facts("interrupted")[0].interrupted
    assert cut.item_id == item_id
    assert played_ms <= cut.heard_ms <= played_ms + 40
    await world.close()
