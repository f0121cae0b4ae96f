"""C37 to C42: turns that the server finds by itself, and their words."""

from __future__ import annotations

from typing import Any

from ringback_cli.caller.audio import silence
from ringback_cli.conformance.lab import Lab, expect
from ringback_cli.conformance.probe import Event, Probe, say_exactly
from ringback_cli.conformance.registry import check

LEAD_MS = 1_000
PREFIX_MS = 300
IDLE_MS = 5_000
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
CHAIN = (
    STARTED,
    STOPPED,
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
)
ASKED_FOR = {"of": "the check"}
TRANSCRIPTION = "conversation.item.input_audio_transcription."


def _detection(**changes: Any) -> dict[str, Any]:
    detection = {"type": "server_vad", "prefix_padding_ms": PREFIX_MS, "silence_duration_ms": 500}
    return {"input": {"turn_detection": detection | changes}}


@check("C37", "Speech and silence give the chain of a turn in order, with one item id.")
async def chain(lab: Lab) -> str:
    async with lab.connect(audio=_detection()) as probe:
        mark = probe.mark
        probe.append(await lab.turn())
        await probe.done(after=mark)
        item_id = (await probe.until(STARTED, after=mark))["item_id"]
        kinds = [event["type"] for event in _of_item(probe, mark, item_id)]
        created = [event["type"] for event in probe.since(mark)].index("response.created")
        expect(tuple(kinds[:5]) == CHAIN, f"order: {kinds}")
        last = probe.events.index(_of_item(probe, mark, item_id)[4])
        expect(mark + created > last, "the response came before the turn's item was done")
        return "speech_started … item.done, then the response"


@check("C38", "With create_response false no response is made.")
async def no_response(lab: Lab) -> str:
    async with lab.connect(audio=_detection(create_response=False)) as probe:
        mark = await _heard_out(lab, probe)
        made = probe.since(mark, "response.created")
        expect(len(made) == 1, f"{len(made)} responses, one was asked for")
        return "the turn's item, no response"


@check("C39", "With both flags false there are events only: nothing is made, nothing is cut.")
async def events_only(lab: Lab) -> str:
    async with lab.connect(audio=_detection(create_response=False, interrupt_response=False)) as probe:
        begun = probe.send("response.create", response=say_exactly("I go on speaking. " * 6))
        await probe.until("response.output_audio.delta", after=begun)
        probe.append(await lab.turn())
        done = await probe.done(after=begun)
        expect(done["status"] == "completed", f"the response under way: {done['status']}")
        await probe.until("conversation.item.done", after=begun, where=_is_users)
        mark = await _heard_out(lab, probe)
        expect(len(probe.since(mark, "response.created")) == 1, "a response was made")
        return "speech_started and speech_stopped; the response went on to its end"


@check("C40", "Offsets only grow; the start includes the prefix padding.")
async def offsets(lab: Lab) -> str:
    async with lab.connect(audio=_detection(create_response=False)) as probe:
        for lead_ms in (LEAD_MS, 0):
            mark = probe.mark
            probe.append(await lab.turn(lead_ms=lead_ms))
            await probe.until(STOPPED, after=mark)
        starts = [event["audio_start_ms"] for event in probe.since(0, STARTED)]
        ends = [event["audio_end_ms"] for event in probe.since(0, STOPPED)]
        expect(len(starts) == len(ends) == 2, f"{len(starts)} starts, {len(ends)} ends")
        order = [starts[0], ends[0], starts[1], ends[1]]
        expect(order == sorted(order), f"offsets: {order}")
        early = LEAD_MS - starts[0]
        expect(0 < early <= PREFIX_MS + 200, f"speech at {LEAD_MS} ms starts at {starts[0]} ms")
        return f"{order} ms; speech begins at {LEAD_MS} ms"


@check("C41", "Silence for idle_timeout_ms: timeout_triggered, committed, a response.")
async def idle(lab: Lab) -> str:
    async with lab.connect(audio=_detection(idle_timeout_ms=IDLE_MS)) as probe:
        mark = probe.mark
        probe.append(await lab.turn())
        await probe.done(after=mark)
        deltas = probe.since(mark, "response.output_audio.delta")
        played_ms = sum(len(event["delta"]) * 3 // 4 for event in deltas) // 48
        mark = probe.mark
        probe.append(silence(24 * (played_ms + IDLE_MS + 1_000)))
        triggered = await probe.until(
            "input_audio_buffer.timeout_triggered", after=mark, timeout_s=20 + played_ms / 1000
        )
        await probe.done(after=mark)
        kinds = [event["type"] for event in probe.since(mark)]
        wanted = ["input_audio_buffer.timeout_triggered", CHAIN[2], CHAIN[3], "response.created"]
        places = [kinds.index(kind) for kind in wanted]
        expect(places == sorted(places), f"order: {kinds}")
        expect(triggered["audio_end_ms"] > triggered["audio_start_ms"], f"span: {triggered}")
        return f"triggered over {triggered['audio_start_ms']} to {triggered['audio_end_ms']} ms"


@check(
    "C42", "Transcription: deltas, then completed with usage; a failure is `failed`, and the session lives."
)
async def transcription(lab: Lab) -> str:
    audio = _detection(create_response=False)
    audio["input"]["transcription"] = {"model": "whisper-1"}
    async with lab.connect(audio=audio) as probe:
        mark = probe.mark
        probe.append(await lab.turn())
        done = await probe.until(f"{TRANSCRIPTION}completed", after=mark)
        deltas = probe.since(mark, f"{TRANSCRIPTION}delta")
        expect(deltas, "no delta")
        expect(all(event["item_id"] == done["item_id"] for event in deltas), "deltas of another item")
        expect(done["usage"]["type"] in ("duration", "tokens"), f"usage: {done.get('usage')}")
        failed = await _failing_transcription(lab, probe, audio)
        return f"{len(deltas)} deltas, {done['transcript']!r}; {failed}"


async def _failing_transcription(lab: Lab, probe: Probe, audio: dict[str, Any]) -> str:
    words = lab.target.failing_words
    if not words:
        return "a failure cannot be provoked here (--failing-words)"
    section = audio["input"] | {"transcription": {"model": "whisper-1", "prompt": words}}
    await probe.configure(audio={"input": section})
    mark = probe.mark
    probe.append(await lab.turn())
    failed = await probe.until(f"{TRANSCRIPTION}failed", after=mark)
    expect(failed["error"].get("message"), f"error: {failed['error']}")
    await probe.configure()
    return f"failure: {failed['error'].get('code')}"


async def _heard_out(lab: Lab, probe: Probe) -> int:
    """A turn up to its item, then a response that was asked for; returns the mark before the turn."""
    mark = probe.mark
    probe.append(await lab.turn())
    await probe.until(STOPPED, after=mark)
    await probe.until("conversation.item.done", after=mark, where=_is_users)
    done = await probe.respond(**say_exactly("Only this."), metadata=ASKED_FOR)
    # One that nobody asked for would have come first, and have had the other one refused.
    expect(done["metadata"] == ASKED_FOR, "the response that was asked for is not the first one")
    expect(not probe.since(mark, "error"), "the response that was asked for was refused")
    return mark


def _is_users(event: Event) -> bool:
    return bool(event["item"].get("role") == "user")


def _of_item(probe: Probe, mark: int, item_id: str) -> list[Event]:
    return [
        event
        for event in probe.since(mark, *CHAIN)
        if event.get("item_id") == item_id or event.get("item", {}).get("id") == item_id
    ]
