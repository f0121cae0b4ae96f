"""What the client and the model see of a sound over the agent: held back, told late in order, or never."""

import asyncio
import base64
import math
from array import array

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from ringback_realtime import Pcm, Pcma, Pcmu, SessionConfig, peek
from ringback_session.domain.floor import Overlap
from ringback_session.domain.rules import TurnRules
from ringback_session.domain.state import Playback
from ringback_session.views.overhearing import BEFORE_MS, Overhearing
from session_call_kit import TracingTwin, World, check_chain, client_event
from session_core_kit import new_state

RULES = TurnRules(
    input_gate="off",
    backchannel_window_ms=300,
    backchannel_words=("mm-hmm", "yeah"),
    interruption_words=("stop",),
    resume_within_ms=3_000,
)
LOUD_40_MS = array("h", [int(9_000 * math.sin(at / 12)) for at in range(960)]).tobytes()
SILENT_40_MS = bytes(1_920)
SPEECH = "input_audio_buffer.speech_started"
TELLING = ("input_audio_buffer.", "conversation.item.input_audio", "conversation.item.added")


@pytest_asyncio.fixture
async def world():
    world = World()
    world.policy.rules = RULES
    yield world
    await world.close()
    assert not TracingTwin.errors


def sends(call, pcm, *, ms):
    """Audio of the caller; the clock goes along."""
    for _ in range(ms // 40):
        audio = base64.b64encode(pcm).decode()
        call.client_frame(client_event("input_audio_buffer.append", audio=audio))


async def talking(world, *, words="Your flight leaves at nine in the morning.", chunks=6):
    """The agent is being heard; each chunk of the model's is 200 ms."""
    call, client = await world.start()
    sends(call, SILENT_40_MS, ms=400)
    call.client_frame(client_event("conversation.item.create", item=user_item("Hello.")))
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies(words, chunks=chunks)
    await world.settle()
    sends(call, SILENT_40_MS, ms=200)
    client.news()
    return call, client


def user_item(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def told(client):
    return [frame["type"] for frame in client.news() if frame["type"].startswith(TELLING)]


async def is_committed(world, text, *, item_id="item_o"):
    world.upstream.say("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=1_200)
    world.upstream.say("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
    await world.settle()
    name = "conversation.item.input_audio_transcription.completed"
    world.upstream.say(name, item_id=item_id, content_index=0, transcript=text)
    await world.settle()


async def sound(world, call, ms, *, item_id="item_o"):
    sends(call, LOUD_40_MS, ms=80)
    world.upstream.say(SPEECH, item_id=item_id, audio_start_ms=500)
    sends(call, LOUD_40_MS, ms=ms - 80)
    await world.settle()


async def test_the_client_never_hears_of_a_backchannel_and_the_model_forgets_it(world):
    call, client = await talking(world, chunks=12)
    await sound(world, call, 320)
    sends(call, SILENT_40_MS, ms=480)
    await is_committed(world, "Mm-hmm.")
    assert told(client) == []
    assert [event["item_id"] for event in world.upstream.got("conversation.item.delete")] == ["item_o"]
    assert not world.upstream.got("response.cancel")
    applied = world.facts("turn_rule_applied")[-1].turn_rule_applied
    assert (applied.rule, applied.outcome, applied.reason) == ("backchannel", "ignored", "backchannel")


async def test_audio_that_the_client_commits_itself_is_a_turn_whatever_it_sounds_like(world):
    call, client = await talking(world, chunks=12)
    await sound(world, call, 320)
    call.client_frame(client_event("input_audio_buffer.commit"))
    assert told(client)[0] == "input_audio_buffer.speech_started"
    await is_committed(world, "Mm-hmm.")
    assert "input_audio_buffer.committed" in client.types()
    assert not world.upstream.got("conversation.item.delete")


async def test_a_turn_that_the_client_ends_by_a_commit_asks_for_no_reply_and_the_next_one_does(world):
    call, _client = await world.start()
    call.client_frame(client_event("input_audio_buffer.commit"))
    world.upstream.commits("item_own")
    world.upstream.transcribes("item_own", "Hello.")
    await world.settle()
    assert not world.upstream.got("response.create")
    call.client_frame(client_event("input_audio_buffer.commit"))
    world.upstream.hears("Is anybody there?")
    await world.settle()
    assert len(world.upstream.got("response.create")) == 1, "the model saw this turn end by itself"


async def test_what_comes_late_of_a_backchannel_is_not_told_either(world):
    call, client = await talking(world, chunks=12)
    await sound(world, call, 320)
    await is_committed(world, "Mm-hmm.")
    name = "conversation.item.input_audio_transcription.completed"
    world.upstream.say(name, item_id="item_o", content_index=0, transcript="Mm-hmm.")
    await world.settle()
    assert told(client) == []
    assert not world.facts("interrupted")


async def test_voice_that_lasts_reaches_the_client_and_the_agent_yields(world):
    call, client = await talking(world, chunks=24)
    await sound(world, call, 400)
    assert told(client) == []
    sends(call, LOUD_40_MS, ms=320)
    await world.settle()
    assert told(client) == [SPEECH]
    assert world.facts("interrupted")


async def test_a_short_word_is_told_late_whole_and_in_order(world):
    call, client = await talking(world, chunks=24)
    await sound(world, call, 280)
    sends(call, SILENT_40_MS, ms=480)
    await is_committed(world, "Stop.")
    assert told(client) == [
        SPEECH,
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
    ]
    check_chain(client.frames)
    assert world.facts("interrupted")
    assert world.facts("user_turn_ended")[-1].user_turn_ended.text == "Stop."


async def test_without_the_filter_the_client_hears_of_it_before_anything_else_happens(world):
    world.policy.rules = TurnRules(input_gate="off")
    _, client = await talking(world)
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=500)
    # Nothing has run since but the frame's own way through session.
    assert told(client) == [SPEECH]


async def test_with_the_filter_on_a_silent_agents_caller_is_told_of_at_once(world):
    call, client = await world.start()
    sends(call, LOUD_40_MS, ms=120)
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=0)
    assert told(client) == [SPEECH]


async def test_a_model_that_is_lost_takes_its_sound_along(world):
    call, client = await talking(world, chunks=24)
    await sound(world, call, 280)
    world.upstream.lose()
    await world.settle()
    assert told(client) == []
    assert call.state.floor.overlap is None


async def test_partial_words_of_a_turn_that_goes_on_make_no_item_of_it(world):
    call, client = await world.start()
    client.news()
    call.client_frame(
        client_event(
            "session.update",
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        )
    )
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=0)
    delta = "conversation.item.input_audio_transcription.delta"
    world.upstream.say(delta, item_id="item_o", content_index=0, delta="My number")
    await world.settle()
    assert told(client) == [SPEECH]
    assert call.state.caller_speaking
    assert not world.upstream.got("response.create")
    await is_committed(world, "My number is four.")
    assert told(client)[-2:] == [delta, "conversation.item.input_audio_transcription.completed"]


def truncates(call, client, ms):
    item_id = next(
        f["item_id"] for f in reversed(client.frames) if f["type"] == "response.output_audio.delta"
    )
    call.client_frame(
        client_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
    )
    return item_id


async def test_after_a_false_interruption_the_rest_is_a_new_item_of_the_same_audio(world):
    world.policy.rules = TurnRules(input_gate="off", backchannel_words=("mm-hmm",), resume_within_ms=3_000)
    call, client = await talking(world, chunks=12)
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=500)
    await world.settle()
    cut_id = truncates(call, client, 200)
    heard = deltas(client, cut_id)
    await is_committed(world, "Mm-hmm.")
    again = next(
        f["item"]["id"] for f in reversed(client.frames) if f["type"] == "response.output_item.added"
    )
    assert again != cut_id
    assert deltas(client, again) == heard[200 * 48 :] != b""
    assert client.frames[-1]["type"] == "response.done"
    assert client.frames[-1]["response"]["status"] == "completed"
    check_chain(client.frames)
    assert world.facts("turn_rule_applied")[-1].turn_rule_applied.rule == "resume"


async def test_a_client_that_went_on_playing_gets_nothing_twice(world):
    world.policy.rules = TurnRules(input_gate="off", backchannel_words=("mm-hmm",), resume_within_ms=3_000)
    _, client = await talking(world, chunks=12)
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=500)
    await world.settle()
    client.news()
    await is_committed(world, "Mm-hmm.")
    assert not [frame for frame in client.news() if frame["type"].startswith("response.output_audio")]


async def test_a_silent_caller_is_let_go_with_the_reason(world):
    world.policy.rules = TurnRules(idle_ms=1_000, idle_prompts_max=0, say_goodbye="Goodbye.")
    call, client = await world.start()
    sends(call, SILENT_40_MS, ms=80)
    world.upstream.say(SPEECH, item_id="item_o", audio_start_ms=0)
    world.upstream.say("input_audio_buffer.cleared")
    await world.settle()
    world.clock.advance(1_100)
    await world.settle()
    world.upstream.speaks()
    await world.settle()
    sends(call, SILENT_40_MS, ms=4_000)
    world.clock.advance(4_000)
    await asyncio.sleep(0)
    await world.settle()
    assert client.closed == (1000, "idle")
    assert world.facts("session_ended")[0].session_ended.reason == "idle"


def deltas(client, item_id):
    found = [
        f for f in client.frames if f["type"] == "response.output_audio.delta" and f["item_id"] == item_id
    ]
    return b"".join(base64.b64decode(frame["delta"]) for frame in found)


def overhearing(audio_format):
    state = new_state(rules=TurnRules(backchannel_window_ms=300))
    state.playback = Playback(ends_at=10**9)
    config = SessionConfig.defaults(id="sess_1", model="m", expires_at=0)
    config = config.merge({"type": "realtime", "audio": {"input": {"format": {"type": audio_format}}}})
    return state, Overhearing(state, config=lambda: config)


def frames(audio, size):
    for at in range(0, len(audio), size):
        payload = base64.b64encode(audio[at : at + size]).decode()
        yield peek(client_event("input_audio_buffer.append", audio=payload))


@pytest.mark.parametrize(
    ("kind", "loud", "silent", "bytes_per_ms"),
    [
        (Pcm, LOUD_40_MS[:960], bytes(960), 48),
        (Pcmu, bytes([0x90, 0x10] * 80), b"\xff" * 160, 8),
        (Pcma, bytes([0xB5, 0x35] * 80), b"\xd5" * 160, 8),
    ],
)
def test_voice_is_measured_from_its_onset_in_every_format(kind, loud, silent, bytes_per_ms):
    name = {Pcm: "audio/pcm", Pcmu: "audio/pcmu", Pcma: "audio/pcma"}[kind]
    state, heard = overhearing(name)
    clock, sound = 0, None
    for part in (silent * 20, loud * 5):
        for head in frames(part, 40 * bytes_per_ms):
            clock += 40 * 24
            assert heard.frame(head, clock) is None
    state.floor.overlap = Overlap(item_id="item_o", began_ms=0, began_sample=0)
    for part in (loud * 5, silent * 4):
        for head in frames(part, 40 * bytes_per_ms):
            clock += 40 * 24
            sound = heard.frame(head, clock)
    assert (sound.voice_ms, sound.quiet_ms) == (200, 80)
    assert -40 < sound.level_db < -3


def test_what_was_heard_long_before_a_sound_is_no_part_of_it():
    state, heard = overhearing("audio/pcm")
    clock = 0
    for head in frames(LOUD_40_MS * 50, 1_920):
        clock += 40 * 24
        heard.frame(head, clock)
    state.floor.overlap = Overlap(item_id="item_o", began_ms=0, began_sample=0)
    (head,) = frames(LOUD_40_MS, 1_920)
    assert heard.frame(head, clock + 40 * 24).voice_ms <= BEFORE_MS + 80


def test_nothing_is_kept_of_the_caller_while_the_agent_is_silent():
    state, heard = overhearing("audio/pcm")
    state.playback.ends_at = 0
    for head in frames(LOUD_40_MS * 50, 1_920):
        heard.frame(head, 960)
    assert not heard._before


@given(st.binary(max_size=400))
def test_whatever_a_client_calls_audio_is_measured_without_harm(junk):
    state, heard = overhearing("audio/pcm")
    state.floor.overlap = Overlap(item_id="item_o", began_ms=0, began_sample=0)
    for payload in (base64.b64encode(junk).decode(), junk.decode("latin-1"), 5, None):
        heard.frame(peek(client_event("input_audio_buffer.append", audio=payload)), 960)
