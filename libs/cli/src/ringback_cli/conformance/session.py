"""C13 to C22: the session's configuration."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from ringback_cli.conformance.lab import Lab, expect
from ringback_cli.conformance.probe import Probe, say_exactly, text_item
from ringback_cli.conformance.registry import check
from ringback_cli.conformance.texts import LONG

PCMU = {"type": "audio/pcmu"}
LEAVES = (
    "id", "object", "type", "model", "output_modalities", "instructions", "tools", "tool_choice",
    "max_output_tokens", "tracing", "audio", "expires_at",
)  # fmt: skip


@check("C13", "A partial update keeps the other leaves.")
async def partial_update(lab: Lab) -> str:
    async with lab.connect() as probe:
        detection = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 650}
        audio = {"input": {"turn_detection": detection, "transcription": {"model": "whisper-1"}}}
        first = await probe.configure(instructions="Keep me.", audio=audio)
        second = await probe.configure(audio={"input": {"turn_detection": {**detection, "threshold": 0.4}}})
        wanted = _changed(first, threshold=0.4)
        expect(second == wanted, f"changed: {_difference(wanted, second)}")
        return "only audio.input.turn_detection.threshold changed"


@check("C14", "session.updated has the full config and no event_id of the client.")
async def full_echo(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send(
            "session.update", event_id="mine", session={"type": "realtime", "instructions": "Hi."}
        )
        event = await probe.until("session.updated", after=mark)
        lacking = [name for name in LEAVES if name not in event["session"]]
        expect(not lacking, f"the session lacks {', '.join(lacking)}")
        expect(event.get("event_id") not in (None, "mine"), f"event_id is {event.get('event_id')!r}")
        sides = event["session"]["audio"]
        expect({"format", "turn_detection"} <= set(sides["input"]), f"audio.input: {sorted(sides['input'])}")
        expect({"format", "voice"} <= set(sides["output"]), f"audio.output: {sorted(sides['output'])}")
        return f"{len(event['session'])} leaves"


@check("C15", 'turn_detection {type: "semantic_vad"} echoes create and interrupt as true.')
async def semantic_defaults(lab: Lab) -> str:
    async with lab.connect() as probe:
        session = await probe.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        detection = session["audio"]["input"]["turn_detection"]
        flags = (detection.get("create_response"), detection.get("interrupt_response"))
        expect(flags == (True, True), f"create, interrupt: {flags}")
        return str(detection)


@check("C16", "turn_detection null switches voice activity off.")
async def no_detection(lab: Lab) -> str:
    async with lab.connect() as probe:
        session = await probe.configure(audio={"input": {"turn_detection": None}})
        expect(session["audio"]["input"]["turn_detection"] is None, "turn_detection is not null")
        mark = probe.mark
        probe.append(await lab.turn())
        await probe.fence()
        came = [event["type"] for event in probe.since(mark) if event["type"] != "error"]
        expect(not came, f"came: {came}")
        return "speech and silence: no events"


@check("C17", "An unknown parameter is an error with `param`; the state stays.")
async def unknown_parameter(lab: Lab) -> str:
    async with lab.connect() as probe:
        before = await probe.configure(instructions="As before.")
        error = await probe.refused(
            "session.update", session={"type": "realtime", "instructions": "New.", "colour": "red"}
        )
        expect("colour" in str(error.get("param")), f"param is {error.get('param')!r}")
        after = await probe.configure()
        expect(after == before, f"changed: {_difference(before, after)}")
        return f"{error['code']}, param {error['param']}"


@check("C18", "The voice cannot change after the first audio: cannot_update_voice.")
async def fixed_voice(lab: Lab) -> str:
    async with lab.connect() as probe:
        voice = probe.events[0]["session"]["audio"]["output"]["voice"]
        mark = probe.send("response.create", response=say_exactly("Hello there."))
        await probe.until("response.output_audio.delta", after=mark)
        await probe.done(after=mark)
        other = "cedar" if voice != "cedar" else "marin"
        error = await probe.refused(
            "session.update", session={"type": "realtime", "audio": {"output": {"voice": other}}}
        )
        expect(error["code"] == "cannot_update_voice", str(error))
        session = await probe.configure()
        expect(session["audio"]["output"]["voice"] == voice, "the voice has changed")
        return str(error["code"])


@check("C19", "A different session.model is no error and changes nothing.")
async def other_model(lab: Lab) -> str:
    async with lab.connect() as probe:
        model = probe.events[0]["session"]["model"]
        session = await probe.configure(model="some-other-model")
        expect(session["model"] == model, f"the model became {session['model']}")
        return f"still {model}"


@check("C20", "An update during an active response is fine.")
async def update_while_active(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly(LONG))
        await probe.until("response.output_audio.delta", after=mark)
        session = await probe.configure(instructions="Changed on the way.")
        expect(session["instructions"] == "Changed on the way.", "instructions did not change")
        expect(not probe.since(mark, "response.done"), "the response was over before the update")
        probe.send("response.cancel")
        done = await probe.done(after=mark)
        expect(not probe.errors, f"errors: {probe.errors}")
        return f"updated, then the response ended {done['status']}"


@check("C21", 'output_modalities ["text", "audio"] is an error.')
async def both_modalities(lab: Lab) -> str:
    async with lab.connect() as probe:
        error = await probe.refused(
            "session.update", session={"type": "realtime", "output_modalities": ["text", "audio"]}
        )
        return f"{error['code']}, param {error.get('param')}"


@check("C22", "G.711 μ-law in and out works at 8 kHz.")
async def mu_law(lab: Lab) -> str:
    from ringback_audio import from_pcm16, g711, resample, to_pcm16

    def to_8k(pcm: bytes) -> bytes:
        return g711.encode(to_pcm16(resample(from_pcm16(pcm), source=24_000, target=8_000)), law="u")

    async with lab.connect() as probe:
        audio: dict[str, Any] = {
            "input": {"format": PCMU, "transcription": {"model": "whisper-1"}},
            "output": {"format": PCMU},
        }
        session = await probe.configure(audio=audio)
        formats = [session["audio"][side]["format"] for side in ("input", "output")]
        expect(formats == [PCMU, PCMU], f"formats: {formats}")
        await probe.create(text_item("I will now speak."))
        mark = probe.mark
        probe.append(await asyncio.to_thread(to_8k, await lab.turn()), bytes_per_ms=8)
        heard = await probe.until("conversation.item.input_audio_transcription.completed", after=mark)
        expect("help" in heard["transcript"].lower(), f"heard {heard['transcript']!r}")
        await probe.done(after=mark)
        return f"heard {heard['transcript']!r}; {await _spoken_back(probe)}"


async def _spoken_back(probe: Probe) -> str:
    """What the server says in μ-law, understood again by a recogniser."""
    from ringback_audio import from_pcm16, g711, resample, to_pcm16
    from ringback_speech import load_voice

    mark = probe.send("response.create", response=say_exactly("The weather in Paris is sunny today."))
    await probe.done(after=mark)
    coded = b"".join(
        base64.b64decode(event["delta"]) for event in probe.since(mark, "response.output_audio.delta")
    )
    seconds = len(coded) / 8_000
    expect(1.0 <= seconds <= 8.0, f"seven words take {seconds:.1f} s at 8 kHz")

    def understood() -> str:
        wide = to_pcm16(resample(from_pcm16(g711.decode(coded, law="u")), source=8_000, target=24_000))
        return load_voice().recogniser.transcribe(wide).text

    words = await asyncio.to_thread(understood)
    expect("paris" in words.lower(), f"understood {words!r}")
    return f"said {words!r} in {seconds:.1f} s"


def _changed(session: dict[str, Any], *, threshold: float) -> dict[str, Any]:
    given = session["audio"]["input"]
    detection = given["turn_detection"] | {"threshold": threshold}
    return session | {"audio": session["audio"] | {"input": given | {"turn_detection": detection}}}


def _difference(one: Any, other: Any, path: str = "session") -> str:
    """The paths at which two configurations differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(one.keys() | other.keys())
        found = [_difference(one.get(name), other.get(name), f"{path}.{name}") for name in names]
        return ", ".join(filter(None, found))
    return "" if one == other else path
