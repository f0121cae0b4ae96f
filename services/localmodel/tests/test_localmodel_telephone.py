"""Telephone audio: G.711 in, G.711 out, both laws; and a model that fails when it is told to."""

import base64
from typing import Any

import pytest
from ringback_localmodel.adapters.faults import FailingBrain
from ringback_localmodel.adapters.twins import ScriptedBrain
from ringback_localmodel.domain.context import AssistantSaid, Context, Say, UserSaid
from ringback_localmodel.usecases.codecs import AudioIn, encoded, wide
from ringback_realtime import Pcm, Pcma, Pcmu

FORMATS = [Pcmu(), Pcma()]


def wire(format: Any) -> dict[str, str]:
    return {"type": "audio/pcmu" if isinstance(format, Pcmu) else "audio/pcma"}


@pytest.mark.parametrize("format", FORMATS)
async def test_a_turn_on_the_telephone_is_heard_and_answered_in_its_own_format(
    start: Any, format: Any
) -> None:
    call = start(ScriptedBrain([Say("I hear you well.")]))
    detection = {"type": "server_vad", "create_response": True}
    await call.update(
        audio={
            "input": {
                "format": wire(format),
                "turn_detection": detection,
                "transcription": {"model": "whisper-1"},
            },
            "output": {"format": wire(format)},
        }
    )
    spoken = encoded(call.speech("Can you hear me?") + bytes(48_000), format)
    events: list[dict[str, Any]] = []
    for at in range(0, len(spoken), 160):
        events += await call.now(
            "input_audio_buffer.append", audio=base64.b64encode(spoken[at : at + 160]).decode()
        )
    await call.session.settled()
    events += call.news()
    stopped = next(event for event in events if event["type"] == "input_audio_buffer.speech_stopped")
    assert abs(stopped["audio_end_ms"] - len(spoken) // 8) < 1_100, "offsets are in ms, whatever the rate"
    answer = b"".join(
        base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"
    )
    pcm_samples = len(call.speech("I hear you well.")) // 2
    assert len(answer) == -(-pcm_samples // 3), "one byte for each sample at 8 kHz, none lost"
    item_id = next(event["item_id"] for event in events if event["type"] == "input_audio_buffer.committed")
    [found] = await call.now("conversation.item.retrieve", item_id=item_id)
    assert len(base64.b64decode(found["item"]["content"][0]["audio"])) <= len(spoken)


@pytest.mark.parametrize("format", [*FORMATS, Pcm()])
def test_audio_in_pieces_is_the_audio_as_a_whole(format: Any) -> None:
    coded = bytes(range(256)) * 8
    whole = wide(base64.b64encode(coded).decode(), format)
    stream = AudioIn(format)
    pieces = [
        stream.decode(base64.b64encode(coded[at : at + 100]).decode()) for at in range(0, len(coded), 100)
    ]
    assert b"".join(pieces) + stream.rest() == whole
    assert len(whole) == (len(coded) if isinstance(format, Pcm) else len(coded) * 6)


async def test_the_model_fails_at_the_words_it_was_told(start: Any) -> None:
    brain = FailingBrain(ScriptedBrain([Say("Fine.")]), failing_words="break now")
    call = start(brain)
    await call.user("please break now")
    failed = (await call.send("response.create"))[-1]["response"]
    assert (failed["status"], failed["status_details"]["error"]["code"]) == ("failed", "model_error")
    await call.user("go on")
    assert (await call.send("response.create"))[-1]["response"]["status"] == "completed"
    context = Context(entries=[UserSaid("break now"), AssistantSaid("x")], own_instructions="Say: y")
    assert [step async for step in brain.reply(context)], "words that are dictated are said"
