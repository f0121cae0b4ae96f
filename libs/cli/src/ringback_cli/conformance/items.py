"""C23 to C32: the conversation's items."""

from __future__ import annotations

import base64

from ringback_cli.caller.audio import silence
from ringback_cli.conformance.lab import Lab, expect
from ringback_cli.conformance.probe import Event, Probe, text_item
from ringback_cli.conformance.registry import check

ACKNOWLEDGED = ("conversation.item.added", "conversation.item.done")


@check("C23", "create is answered by added, then done: one id, the right previous item.")
async def create(lab: Lab) -> str:
    async with lab.connect() as probe:
        previous = None
        for text in ("One.", "Two.", "Three."):
            mark = probe.mark
            added = await probe.create(text_item(text))
            events = probe.since(mark)
            expect([event["type"] for event in events] == list(ACKNOWLEDGED), f"came {_kinds(events)}")
            ids = {event["item"]["id"] for event in events}
            expect(len(ids) == 1, f"ids differ: {ids}")
            found = [event["previous_item_id"] for event in events]
            expect(found == [previous, previous], f"previous_item_id: {found} instead of {previous}")
            previous = added["item"]["id"]
        return "three items in order"


@check("C24", '"root" puts an item at the head: previous_item_id is null.')
async def at_root(lab: Lab) -> str:
    async with lab.connect() as probe:
        await probe.create(text_item("First.", id="item_first"))
        added = await probe.create(text_item("Before.", id="item_before"), previous_item_id="root")
        expect(added["previous_item_id"] is None, f"previous_item_id is {added['previous_item_id']}")
        last = await probe.create(text_item("Last."))
        expect(last["previous_item_id"] == "item_first", f"the end is {last['previous_item_id']}")
        return "previous_item_id null"


@check("C25", "An item is put in the middle of the list.")
async def in_between(lab: Lab) -> str:
    async with lab.connect() as probe:
        for name in ("a", "b", "c"):
            await probe.create(text_item(name, id=f"item_{name}"))
        between = await probe.create(text_item("x", id="item_x"), previous_item_id="item_a")
        expect(between["previous_item_id"] == "item_a", f"put after {between['previous_item_id']}")
        beside = await probe.create(text_item("y", id="item_y"), previous_item_id="item_x")
        expect(beside["previous_item_id"] == "item_x", f"put after {beside['previous_item_id']}")
        end = await probe.create(text_item("z"))
        expect(end["previous_item_id"] == "item_c", f"the end is {end['previous_item_id']}")
        return "a x y b c z"


@check("C26", "An unknown previous item is an error; nothing is added.")
async def unknown_previous(lab: Lab) -> str:
    async with lab.connect() as probe:
        item = text_item("Nowhere.", id="item_nowhere")
        error = await probe.refused("conversation.item.create", item=item, previous_item_id="item_none")
        expect(not probe.since(0, *ACKNOWLEDGED), "the item was added")
        gone = await probe.refused("conversation.item.retrieve", item_id="item_nowhere")
        expect(gone["code"] == "item_retrieve_invalid_item_id", str(gone))
        return f"{error['code']}, param {error.get('param')}"


@check("C27", "The client's own id is kept; a second item with it is an error.")
async def own_id(lab: Lab) -> str:
    async with lab.connect() as probe:
        name = "0123456789abcdef0123456789abcdef"
        added = await probe.create(text_item("Mine.", id=name))
        expect(added["item"]["id"] == name, f"the id became {added['item']['id']}")
        error = await probe.refused("conversation.item.create", item=text_item("Again.", id=name))
        kept = len(probe.since(0, "conversation.item.added"))
        expect(kept == 1, f"{kept} items were added")
        return str(error["code"])


@check("C28", "delete is answered by deleted; again it is an error.")
async def delete(lab: Lab) -> str:
    async with lab.connect() as probe:
        await probe.create(text_item("Gone soon.", id="item_gone"))
        mark = probe.send("conversation.item.delete", item_id="item_gone")
        deleted = await probe.until("conversation.item.deleted", after=mark)
        expect(deleted["item_id"] == "item_gone", f"deleted {deleted['item_id']}")
        error = await probe.refused("conversation.item.delete", item_id="item_gone")
        return f"deleted, then {error['code']}"


@check("C29", "retrieve is answered by retrieved; an unknown id by item_retrieve_invalid_item_id.")
async def retrieve(lab: Lab) -> str:
    async with lab.connect() as probe:
        await probe.create(text_item("Read me.", id="item_read"))
        mark = probe.send("conversation.item.retrieve", item_id="item_read")
        found = await probe.until("conversation.item.retrieved", after=mark)
        expect(found["item"]["content"][0]["text"] == "Read me.", f"content: {found['item']['content']}")
        error = await probe.refused("conversation.item.retrieve", item_id="item_none")
        expect(error["code"] == "item_retrieve_invalid_item_id", str(error))
        return f"retrieved, then {error['code']} for the event that asked"


@check("C30", "The output of a call that there is not: invalid_tool_call_id.")
async def unknown_call(lab: Lab) -> str:
    async with lab.connect() as probe:
        output = {"type": "function_call_output", "call_id": "call_none", "output": "{}"}
        error = await probe.refused("conversation.item.create", item=output)
        expect(error["code"] == "invalid_tool_call_id", str(error))
        expect(not probe.since(0, *ACKNOWLEDGED), "the item was added")
        return str(error["code"])


@check("C31", "An assistant's output_text is accepted as history.")
async def assistant_history(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"]) as probe:
        await probe.create(text_item("Good morning."))
        added = await probe.create(text_item("Good morning to you.", role="assistant"))
        part = added["item"]["content"][0]
        expect(part["type"] == "output_text", f"the part became {part['type']}")
        call = {"type": "function_call", "call_id": "call_old", "name": "old_tool", "arguments": "{}"}
        await probe.create(call)
        await probe.create({"type": "function_call_output", "call_id": "call_old", "output": "{}"})
        await probe.create(text_item("How are you?"))
        done = await probe.respond()
        expect(done["status"] == "completed", f"the next response: {done['status']}")
        return "kept as output_text; the next response is fine"


@check("C32", "added and done never contain audio.")
async def no_audio_in_items(lab: Lab) -> str:
    async with lab.connect(audio={"input": {"turn_detection": None}}) as probe:
        audio = base64.b64encode(silence(24_000)).decode()
        part = {"type": "input_audio", "audio": audio}
        await probe.create({"type": "message", "role": "user", "content": [part]})
        probe.append(silence(12_000))
        mark = probe.send("input_audio_buffer.commit")
        await probe.until("conversation.item.done", after=mark)
        await _spoken(probe)
        items = [event for event in lab.events if event["type"] in ACKNOWLEDGED]
        loud = [event for event in items if any("audio" in part for part in _parts(event))]
        expect(not loud, f"{len(loud)} of {len(items)} carry audio")
        return f"{len(items)} events, none with audio"


async def _spoken(probe: Probe) -> None:
    mark = probe.send("response.create", response={"instructions": 'Say exactly: "Hello."'})
    await probe.done(after=mark)


def _parts(event: Event) -> list[Event]:
    return list(event["item"].get("content") or ())


def _kinds(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]
