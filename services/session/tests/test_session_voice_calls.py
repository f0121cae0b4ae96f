"""Whole calls with a model that does not say a read-back as it is: what the client sees of text to speech."""

import asyncio
import base64
import json

import pytest
from ringback_errors import ConfigError
from ringback_session.adapters.voice_source import configured_voice
from ringback_session.domain.state import ConsentPhase
from ringback_session.domain.usage import Price
from ringback_session.ports_voice import Spoken
from ringback_session.settings import SessionSettings
from session_call_kit import SPOKEN_ORDER, World, append, check_chain, client_event
from session_core_kit import READ_BACK
from session_voice_kit import VoiceTwin

FORMATS = {
    "pcm": {"type": "audio/pcm", "rate": 24_000},
    "pcmu": {"type": "audio/pcmu"},
    "pcma": {"type": "audio/pcma"},
}


@pytest.fixture
async def world():
    world = World()
    world.voice = VoiceTwin()
    world.calls = world.replica("session-0")
    yield world
    assert not world.tracing.errors
    await world.close()


def audio_of(client, item_id=None):
    deltas = client.of("response.output_audio.delta")
    return b"".join(base64.b64decode(d["delta"]) for d in deltas if item_id in (None, d["item_id"]))


async def garbled(world, *, output=None):
    """The caller wants something that needs a yes, and the model garbles the read-back twice."""
    call, client = await world.start()
    if output is not None:
        call.client_frame(client_event("session.update", session={"type": "realtime", **output}))
    call.client_frame(append())
    world.upstream.hears("Please cancel 482915.")
    await world.settle()
    world.upstream.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    client.news()
    kind = "text" if output == {"output_modalities": ["text"]} else "audio"
    for _ in range(2):
        world.upstream.replies("I will cancel something.", kind=kind)
        await world.settle()
    return call, client


def is_played(call, world):
    """The caller hears everything that was sent."""
    for _ in range(len(READ_BACK) * 50 // 40 + 2):
        call.client_frame(append())


async def test_the_caller_hears_the_read_back_says_yes_and_it_happens_once(world):
    call, client = await garbled(world)
    assert world.voice.asked == [(READ_BACK, "marin", "pcm")]
    is_played(call, world)
    world.upstream.hears("Yes.")
    await world.settle()
    assert [action.tool for action, _ in world.tools.executed] == ["cancel_reservation"]
    (asked,) = world.facts("consent_asked")
    assert asked.consent_asked.read_back == READ_BACK
    assert check_chain(client.frames)


async def test_it_comes_as_any_response_of_the_agent_with_the_words_and_all_of_the_audio(world):
    call, client = await garbled(world)
    news = client.news()
    kinds = [frame["type"] for frame in news]
    assert [kind for at, kind in enumerate(kinds) if kind not in kinds[:at]] == SPOKEN_ORDER
    (done,) = [frame["response"] for frame in news if frame["type"] == "response.done"]
    (item,) = done["output"]
    assert (item["role"], item["status"]) == ("assistant", "completed")
    assert item["content"] == [{"type": "output_audio", "transcript": READ_BACK}]
    said = [frame["delta"] for frame in news if frame["type"] == "response.output_audio_transcript.delta"]
    assert "".join(said) == READ_BACK
    assert audio_of(client, item["id"]) == b"\1\2" * 24 * 50 * len(READ_BACK)
    assert all(len(frame) < 64 * 1024 for frame in client.raw), "no frame is long"
    assert done["metadata"] is None
    assert done["audio"]["output"] == {"format": FORMATS["pcm"], "voice": "marin"}
    assert call.state.playback.items[-1].samples == 24 * 50 * len(READ_BACK)
    notes = [event["item"] for event in world.upstream.got("conversation.item.create")]
    assert notes[-1]["content"] == [{"type": "output_text", "text": READ_BACK}]
    assert notes[-1]["role"] == "assistant"
    cancelled = world.upstream.got("response.cancel")
    assert done["id"] not in [event.get("response_id") for event in cancelled], "no model knows it"


@pytest.mark.parametrize("sound", ["pcmu", "pcma"])
async def test_a_telephone_gets_it_in_its_own_format_and_it_is_counted_at_its_rate(world, sound):
    audio = {"input": {"format": FORMATS[sound]}, "output": {"format": FORMATS[sound]}}
    call, client = await garbled(world, output={"audio": audio})
    assert world.voice.asked[0][2] == sound
    assert len(audio_of(client)) == 8 * 50 * len(READ_BACK)
    assert call.state.playback.items[-1].samples == 24 * 50 * len(READ_BACK)
    assert client.of("response.done")[-1]["response"]["audio"]["output"]["format"] == FORMATS[sound]


@pytest.mark.parametrize("with_port", [True, False])
async def test_a_client_that_wants_text_gets_the_words_and_nobody_is_asked_for_a_voice(world, with_port):
    if not with_port:
        world.voice = None
        world.calls = world.replica("session-0")
    call, client = await garbled(world, output={"output_modalities": ["text"]})
    (item,) = client.of("response.done")[-1]["response"]["output"]
    assert item["content"] == [{"type": "output_text", "text": READ_BACK}]
    assert not client.of("response.output_audio.delta")
    assert call.state.open_consent().phase is ConsentPhase.WAITING
    assert world.voice is None or not world.voice.asked


async def test_without_a_port_it_goes_to_a_person(world):
    world.voice = None
    world.calls = world.replica("session-0")
    call, client = await garbled(world)
    await world.until(lambda: call.state.handed_over)
    assert call.state.person_reason == "words_not_spoken"
    assert call.state.account.usage.unreported == 0
    assert not client.of("response.output_audio.delta")


@pytest.mark.parametrize("error", ["unavailable", "deadline", "unusable"])
async def test_a_port_that_fails_is_a_person_and_not_a_sound_of_it_is_heard(world, error):
    world.voice.answer = Spoken(error=error, unreported=error == "deadline")
    call, client = await garbled(world)
    assert call.state.person_reason == "words_not_spoken"
    assert call.state.account.usage.unreported == (error == "deadline")
    assert not client.of("response.output_audio.delta")
    assert len(world.voice.asked) == 1


async def test_more_audio_than_a_minute_is_no_read_back(world):
    world.voice.answer = Spoken(audio=bytes(48 * 60_001), model="tts-x", audio_ms=60_001)
    call, client = await garbled(world)
    assert call.state.person_reason == "words_not_spoken"
    assert not client.of("response.output_audio.delta")


async def test_a_caller_who_cuts_in_stops_the_port_and_is_read_to_again(world):
    world.voice.hold = asyncio.Event()
    call, client = await garbled(world)
    world.upstream.emit(world.upstream.events.speech_started("item_x", audio_start_ms=0))
    await world.settle()
    assert world.voice.cancelled == 1
    world.voice.hold = None
    world.upstream.emit(world.upstream.events.speech_stopped("item_x", audio_end_ms=200))
    world.upstream.commits("item_x")
    world.upstream.transcribes("item_x", "")
    await world.settle()
    assert len(world.voice.asked) == 2
    assert audio_of(client)
    assert call.state.account.usage.unreported == 1


async def test_it_is_cut_off_as_all_speech_is(world):
    call, client = await garbled(world)
    item_id = client.of("response.output_audio.delta")[-1]["item_id"]
    call.client_frame(append(25))
    await world.settle()
    call.client_frame(
        client_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    )
    await world.settle()
    assert client.of("conversation.item.truncated")[-1]["audio_end_ms"] == 500
    assert not client.of("error")
    call.client_frame(client_event("conversation.item.retrieve", item_id=item_id))
    await world.settle()
    assert client.of("conversation.item.retrieved")[-1]["item"]["content"][0]["transcript"] == "I will"
    assert item_id not in json.dumps(world.upstream.sent), "the model never held it"


async def test_a_client_that_changes_its_format_meanwhile_hears_no_noise(world):
    world.voice.hold = asyncio.Event()
    call, client = await garbled(world)
    audio = {"output": {"format": FORMATS["pcmu"]}}
    call.client_frame(client_event("session.update", session={"type": "realtime", "audio": audio}))
    world.voice.hold.set()
    await world.settle()
    assert not audio_of(client)
    assert call.state.person_reason == "words_not_spoken"


async def test_a_caller_who_hangs_up_stops_the_port(world):
    world.voice.hold = asyncio.Event()
    call, client = await garbled(world)
    call.client_closed(client, hung_up=True)
    await world.settle()
    assert world.voice.cancelled == 1
    assert not audio_of(client)


async def test_a_caller_who_comes_back_is_read_to_by_the_port_at_once(world):
    world.voice.hold = asyncio.Event()
    call, client = await garbled(world)
    call.client_closed(client, hung_up=False)
    await world.settle()
    world.voice.hold = None
    again, back = await world.resume(calls=world.calls)
    assert again.state.open_consent().phase is ConsentPhase.WAITING
    assert audio_of(back)
    assert not audio_of(client)


@pytest.mark.parametrize("priced", [True, False])
async def test_its_time_is_billed_and_never_costs_nothing_that_is_not_known(world, priced):
    if priced:
        world.prices.models["tts-x"] = Price(audio_ms=250_000)
    call, _client = await garbled(world)
    used = call.state.account.usage.models["tts-x"]
    audio_ms = 50 * len(READ_BACK)
    assert used.tokens.audio_ms == audio_ms
    assert (used.cost_pico, used.unpriced) == ((audio_ms * 250_000, 0) if priced else (0, audio_ms))


def settings(**environ):
    needed = {f"RINGBACK_{name}_ADDR": "127.0.0.1:1" for name in ("POLICY", "TOOLS", "MEMORY")}
    needed |= {"RINGBACK_UPSTREAM_URL": "ws://127.0.0.1:1/v1/realtime"}
    return SessionSettings.from_env(needed | environ)


async def test_the_port_is_off_unless_it_is_set_and_its_key_is_in_no_settings():
    told = {"variable": {"RINGBACK_SPEECH_KEY": "sk-secret"}.get, "on_breaker": lambda state, open_ms: None}
    assert configured_voice(settings(), **told) is None
    environ = {"RINGBACK_SPEECH_URL": "http://127.0.0.1:9/v1", "RINGBACK_SPEECH_MODEL": "m"}
    wanted = settings(**environ, RINGBACK_SPEECH_KEY="sk-secret", RINGBACK_SPEECH_TIMEOUT_MS="500")
    assert "sk-secret" not in repr(wanted)
    voice = configured_voice(wanted, **told)
    assert (await voice.speak("Hello.", voice="marin", sound="pcm")).error == "unavailable"
    await voice.close()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"RINGBACK_SPEECH_URL": "http://127.0.0.1:9/v1"}, "RINGBACK_SPEECH_MODEL"),
        ({"RINGBACK_SPEECH_MODEL": "m"}, "RINGBACK_SPEECH_MODEL"),
        ({"RINGBACK_SPEECH_URL": "ws://x", "RINGBACK_SPEECH_MODEL": "m"}, "RINGBACK_SPEECH_URL"),
        ({"RINGBACK_SPEECH_TIMEOUT_MS": "30000"}, "RINGBACK_SPEECH_TIMEOUT_MS"),
    ],
)
def test_a_setting_that_is_wrong_is_named(environ, named):
    with pytest.raises(ConfigError, match=named):
        settings(**environ)
