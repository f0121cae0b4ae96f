"""C43 to C50: a response from its creation to its end."""

from __future__ import annotations

import re

from ringback_cli.conformance.lab import Lab, expect
from ringback_cli.conformance.probe import Event, Probe, say_exactly, text_item
from ringback_cli.conformance.registry import check
from ringback_cli.conformance.texts import LONG, WEATHER, WEATHER_QUESTION

_AUDIO = re.compile(
    r"created output_item\.added item\.added content_part\.added"
    r"( output_audio_transcript\.delta| output_audio\.delta)+"
    r"( output_audio\.done output_audio_transcript\.done| output_audio_transcript\.done output_audio\.done)"
    r" content_part\.done( item\.done output_item\.done| output_item\.done item\.done) done"
)
_TEXT = re.compile(
    r"created output_item\.added item\.added content_part\.added( output_text\.delta)+ output_text\.done"
    r" content_part\.done( item\.done output_item\.done| output_item\.done item\.done) done"
)
_OPENS = {
    "response.output_item.added": "response.output_item.done",
    "response.content_part.added": "response.content_part.done",
}


@check("C43", "An audio response has exactly the documented order of events.")
async def audio_order(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly("Hello. This is the order of things."))
        await probe.done(after=mark)
        order = _order(probe, mark)
        expect(_AUDIO.fullmatch(order), f"order: {_folded(order)}")
        return _folded(order)


@check("C44", "A text response likewise, without audio events.")
async def text_order(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"]) as probe:
        mark = probe.send("response.create", response=say_exactly("Hello. This is the order of things."))
        await probe.done(after=mark)
        order = _order(probe, mark)
        expect(_TEXT.fullmatch(order), f"order: {_folded(order)}")
        return _folded(order)


@check("C45", "Joined deltas are what `done` says and what response.done has.")
async def joined(lab: Lab) -> str:
    async with lab.connect() as probe:
        spoken = await _joined(probe, "output_audio_transcript", "transcript")
        await probe.configure(output_modalities=["text"])
        written = await _joined(probe, "output_text", "text")
        called = await _joined_arguments(probe)
        return f"{spoken} and {written} characters, arguments {called}"


@check("C46", "The ids and indices of every delta were announced before.")
async def announced(lab: Lab) -> str:
    async with lab.connect() as probe:
        await probe.respond(**say_exactly("Some words to speak."))
        deltas = 0
        for each in lab.probes:
            deltas += _check_announced(each.events)
        expect(deltas, "no deltas to look at")
        return f"{deltas} deltas"


@check("C47", "There is exactly one response.done for each response.created.")
async def one_end(lab: Lab) -> str:
    async with lab.connect() as probe:
        await probe.respond(**say_exactly("One."))
        mark = probe.send("response.create", response=say_exactly(LONG))
        await probe.until("response.output_audio.delta", after=mark)
        probe.send("response.cancel")
        await probe.done(after=mark)
        await probe.respond(**say_exactly(LONG), output_modalities=["text"], max_output_tokens=5)
        await probe.fence()
        created = _ids(probe, "response.created")
        ended = _ids(probe, "response.done")
        expect(len(created) == 3 and created == ended, f"created {created}, done {ended}")
        repeated = [each for each in lab.probes if len(ends := _ids(each, "response.done")) != len(set(ends))]
        expect(not repeated, f"{len(repeated)} connections saw a response end twice")
        return "three created, three done; none twice on any connection"


@check("C48", "Metadata is echoed in response.created and response.done.")
async def metadata(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"]) as probe:
        given = {"client_event_id": "mine_1", "topic": "weather"}
        mark = probe.send("response.create", response={**say_exactly("Fine."), "metadata": given})
        created = await probe.until("response.created", after=mark)
        done = await probe.done(after=mark)
        echoed = (created["response"].get("metadata"), done.get("metadata"))
        expect(echoed == (given, given), f"metadata: {echoed}")
        plain = await probe.respond(**say_exactly("Fine."))
        expect(not plain.get("metadata"), f"without any it is {plain.get('metadata')}")
        return "echoed twice"


@check("C49", "A second create is conversation_already_has_active_response; the first is unharmed.")
async def second_create(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly("I speak now, and I speak on to the end."))
        error = await probe.refused("response.create", response=say_exactly("Me too."))
        expect(error["code"] == "conversation_already_has_active_response", str(error))
        done = await probe.done(after=mark)
        expect(done["status"] == "completed", f"the first response: {done['status']}")
        await probe.fence()
        expect(len(_ids(probe, "response.created")) == 1, "a second response was made")
        return f"{error['code']}, first completed"


@check("C50", "cancel: cancelled by client_cancelled, open parts closed, the item incomplete.")
async def cancel(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly(LONG))
        await probe.until("response.output_audio.delta", after=mark)
        probe.send("response.cancel")
        done = await probe.done(after=mark)
        details = done.get("status_details") or {}
        expect(done["status"] == "cancelled", f"status {done['status']}")
        expect(details.get("reason") == "client_cancelled", f"status_details {details}")
        await probe.fence()
        events = probe.since(mark)
        for opening, closing in _OPENS.items():
            opened, closed = (sum(e["type"] == kind for e in events) for kind in (opening, closing))
            expect(opened == closed, f"{opened} × {opening}, {closed} × {closing}")
        states = [item.get("status") for item in done["output"]]
        expect(states == ["incomplete"], f"items: {states}")
        last = [event["type"] for event in events if event["type"].startswith("response.")][-1]
        expect(last == "response.done", f"after its end came {last}")
        return "cancelled, client_cancelled, item incomplete"


def _order(probe: Probe, mark: int) -> str:
    """The types from response.created to response.done, in short."""
    kinds = [event["type"] for event in probe.since(mark)]
    kinds = kinds[kinds.index("response.created") : kinds.index("response.done") + 1]
    kinds = [kind for kind in kinds if kind != "rate_limits.updated"]
    return " ".join(kind.removeprefix("response.").removeprefix("conversation.") for kind in kinds)


def _folded(order: str) -> str:
    return re.sub(r"(?:output_(?:audio|text|audio_transcript)\.delta ?)+", "deltas ", order).strip()


async def _joined(probe: Probe, kind: str, field: str) -> int:
    mark = probe.send("response.create", response=say_exactly("All of these words. And these as well."))
    done = await probe.done(after=mark)
    deltas = "".join(event["delta"] for event in probe.since(mark, f"response.{kind}.delta"))
    ended = (await probe.until(f"response.{kind}.done", after=mark))[field]
    part = (await probe.until("response.content_part.done", after=mark))["part"][field]
    final = done["output"][0]["content"][0][field]
    expect(deltas and deltas == ended == part == final, f"{deltas!r}, {ended!r}, {part!r}, {final!r}")
    return len(deltas)


async def _joined_arguments(probe: Probe) -> str:
    await probe.create(text_item(WEATHER_QUESTION))
    mark = probe.send("response.create", response={"tools": [WEATHER], "tool_choice": "required"})
    done = await probe.done(after=mark)
    deltas = "".join(event["delta"] for event in probe.since(mark, "response.function_call_arguments.delta"))
    ended: str = (await probe.until("response.function_call_arguments.done", after=mark))["arguments"]
    calls = [item for item in done["output"] if item["type"] == "function_call"]
    final = calls[0]["arguments"] if calls else None
    expect(deltas in ("", ended) and ended == final, f"{deltas!r}, {ended!r}, {final!r}")
    return ended


def _check_announced(events: list[Event]) -> int:
    """Every delta of one connection; returns how many there were."""
    responses: set[str] = set()
    items: set[tuple[str, int, str]] = set()
    parts: set[tuple[str, str, int]] = set()
    deltas = 0
    for event in events:
        kind = event["type"]
        if kind == "response.created":
            responses.add(event["response"]["id"])
        elif kind == "response.output_item.added":
            expect(event["response_id"] in responses, f"item of an unannounced response: {event}")
            items.add((event["response_id"], event["output_index"], event["item"]["id"]))
        elif kind == "response.content_part.added":
            parts.add((event["response_id"], event["item_id"], event["content_index"]))
        elif kind.startswith("response.") and kind.endswith(".delta"):
            deltas += 1
            place = (event["response_id"], event["output_index"], event["item_id"])
            expect(place in items, f"{kind} of an unannounced item: {place}")
            part = (event["response_id"], event["item_id"], event.get("content_index", 0))
            known = kind == "response.function_call_arguments.delta" or part in parts
            expect(known, f"{kind} of an unannounced part: {part}")
    return deltas


def _ids(probe: Probe, kind: str) -> list[str]:
    return [event["response"]["id"] for event in probe.since(0, kind)]
