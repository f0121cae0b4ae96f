"""C51 to C60: how responses are stopped, cut, failed and called for, and what is left of them."""

from __future__ import annotations

import json

from ringback_cli.conformance.lab import Lab, expect, skip
from ringback_cli.conformance.probe import Event, Probe, say_exactly, text_item
from ringback_cli.conformance.registry import check
from ringback_cli.conformance.texts import LONG, WEATHER, WEATHER_QUESTION

CUT_MS = 1_000
LAST_WORD = "there"
_OF_ITEMS = ("conversation.item.added", "conversation.item.done")


@check("C51", 'cancel while idle: response_cancel_not_active, "Cancellation failed…".')
async def idle_cancel(lab: Lab) -> str:
    async with lab.connect() as probe:
        error = await probe.refused("response.cancel")
        expect(error["code"] == "response_cancel_not_active", str(error))
        expect(error["message"].startswith("Cancellation failed"), f"message: {error['message']}")
        return str(error["message"])


@check("C52", "cancel with a stale response_id does not cancel the current response.")
async def stale_cancel(lab: Lab) -> str:
    async with lab.connect() as probe:
        stale = (await probe.respond(**say_exactly("One.")))["id"]
        mark = probe.send("response.create", response=say_exactly("I speak now, and I speak on to the end."))
        await probe.until("response.output_audio.delta", after=mark)
        error = await probe.refused("response.cancel", response_id=stale)
        done = await probe.done(after=mark)
        expect(done["status"] == "completed", f"the current response: {done['status']}")
        return f"{error['code']}; current completed"


@check("C53", "Speech during audio: cancelled by turn_detected; no later deltas of that response.")
async def barge_in(lab: Lab) -> str:
    async with lab.connect() as probe:
        speech = await lab.turn()
        mark = probe.send("response.create", response=say_exactly(LONG))
        created = await probe.until("response.created", after=mark)
        await probe.until("response.output_audio.delta", after=mark)
        probe.append(speech)
        await probe.until("input_audio_buffer.speech_started", after=mark)
        done = await probe.done(after=mark)
        details = done.get("status_details") or {}
        expect(done["status"] == "cancelled", f"status {done['status']}")
        expect(details.get("reason") == "turn_detected", f"status_details {details}")
        end = next(n for n, e in enumerate(probe.events) if e["type"] == "response.done")
        await probe.done(after=end + 1)
        late = [e for e in probe.since(end + 1) if e.get("response_id") == created["response"]["id"]]
        expect(not late, f"{len(late)} events after its end")
        return "cancelled, turn_detected; the next turn is answered"


@check("C54", "max_output_tokens: incomplete by max_output_tokens.")
async def token_limit(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"]) as probe:
        done = await probe.respond(**say_exactly(LONG), max_output_tokens=10)
        details = done.get("status_details") or {}
        expect(done["status"] == "incomplete", f"status {done['status']}")
        expect(details.get("reason") == "max_output_tokens", f"status_details {details}")
        return f"incomplete after {done['usage']['output_tokens']} tokens"


@check("C55", "A failure of the model is a response.done failed; the session stays usable.")
async def failure(lab: Lab) -> str:
    if not lab.target.failing_words:
        skip("a failure of this model cannot be provoked from outside (--failing-words)")
    async with lab.connect(output_modalities=["text"]) as probe:
        await probe.create(text_item(lab.target.failing_words, id="item_failing"))
        done = await probe.respond()
        details = done.get("status_details") or {}
        expect(done["status"] == "failed", f"status {done['status']}")
        expect(details.get("error"), f"status_details {details}")
        probe.send("conversation.item.delete", item_id="item_failing")
        after = await probe.respond(**say_exactly("I am back."))
        expect(after["status"] == "completed", f"the next response: {after['status']}")
        return f"failed: {details['error'].get('code')}; the next completed"


@check("C56", "Out of band: no conversation items, conversation_id null, parallel to the default.")
async def out_of_band(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly(LONG))
        current = await probe.until("response.created", after=mark)
        await probe.until("response.output_audio.delta", after=mark)
        aside = {
            **say_exactly("This is beside the point."),
            "conversation": "none",
            "input": [],
            "output_modalities": ["text"],
            "metadata": {"topic": "aside"},
        }
        probe.send("response.create", response=aside)
        ended = await probe.until(
            "response.done", after=mark, where=lambda event: event["response"].get("metadata") is not None
        )
        response = ended["response"]
        expect(response["metadata"] == {"topic": "aside"}, f"metadata {response['metadata']}")
        expect(response["id"] != current["response"]["id"], "it is the default response")
        expect(response["conversation_id"] is None, f"conversation_id {response['conversation_id']}")
        expect(response["status"] == "completed", f"status {response['status']}")
        ids = {item["id"] for item in response["output"]}
        listed = [e for e in probe.since(mark, *_OF_ITEMS) if e["item"]["id"] in ids]
        expect(ids and not listed, f"{len(listed)} conversation events for its {len(ids)} items")
        over = [e for e in probe.since(mark, "response.done") if e["response"]["id"] != response["id"]]
        expect(not over, "the default response ended first: nothing ran in parallel")
        probe.send("response.cancel")
        return "text aside while the default was speaking"


@check("C57", "A call: added before arguments.done, which has `name`; the item completed; valid JSON.")
async def function_call(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"], tools=[WEATHER]) as probe:
        mark, call = await _called(probe)
        kinds = [event["type"] for event in probe.since(mark)]
        places = [
            kinds.index(kind)
            for kind in (
                "response.output_item.added",
                "conversation.item.added",
                "response.function_call_arguments.done",
                "response.output_item.done",
                "response.done",
            )
        ]
        expect(places == sorted(places), f"order: {kinds}")
        arguments = await probe.until("response.function_call_arguments.done", after=mark)
        expect(arguments.get("name") == "get_weather", f"name {arguments.get('name')!r}")
        expect(arguments["call_id"] == call["call_id"], "call_ids differ")
        expect(call["status"] == "completed", f"item status {call['status']}")
        expect(json.loads(call["arguments"]) == {"city": "Paris"}, f"arguments {call['arguments']}")
        return f"{call['name']}({call['arguments']})"


@check("C58", "An output with create is used; an output alone makes no response.")
async def function_output(lab: Lab) -> str:
    async with lab.connect(output_modalities=["text"], tools=[WEATHER]) as probe:
        _, call = await _called(probe)
        mark = probe.mark
        output = json.dumps({"message": "It is sunny in Paris."})
        await probe.create({"type": "function_call_output", "call_id": call["call_id"], "output": output})
        alone = await probe.fence()
        done = await probe.respond()
        words = " ".join(part.get("text", "") for item in done["output"] for part in item["content"])
        expect("sunny" in words.lower(), f"the response says {words!r}")
        made = len(probe.since(mark, "response.created"))
        expect(made == 1 and not alone, f"{made} responses, one was asked for")
        return f"{words!r}"


@check("C59", "Items in progress and completed are truncated; what was not heard leaves the context.")
async def truncate(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly(LONG))
        delta = await probe.until("response.output_audio.delta", after=mark)
        await _truncated(probe, delta["item_id"], 0)
        probe.send("response.cancel")
        await probe.done(after=mark)
        begun = await _transcript(probe, delta["item_id"])
        expect(not begun.strip(), f"cut at 0 ms, still known: {begun!r}")
        done = await probe.respond(
            **say_exactly("The first sentence is heard. The second sentence was never there.")
        )
        item_id = done["output"][0]["id"]
        await _truncated(probe, item_id, CUT_MS)
        kept = await _transcript(probe, item_id)
        expect(LAST_WORD not in kept, f"cut at {CUT_MS} ms, still known: {kept!r}")
        return f"cut at 0 ms: nothing is left; at {CUT_MS} ms: {kept!r}"


@check("C60", "Truncation beyond the audio, of a user's item, of an unknown id: errors.")
async def bad_truncate(lab: Lab) -> str:
    async with lab.connect() as probe:
        user = (await probe.create(text_item("I am a user.")))["item"]["id"]
        done = await probe.respond(**say_exactly("Short."))
        codes = []
        for item_id, end_ms in ((done["output"][0]["id"], 600_000), (user, 0), ("item_none", 0)):
            error = await probe.refused(
                "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms
            )
            codes.append(str(error["code"]))
        expect(not probe.since(0, "conversation.item.truncated"), "something was truncated")
        return ", ".join(codes)


async def _called(probe: Probe) -> tuple[int, Event]:
    """A response that calls the tool; the mark before it and the call."""
    await probe.create(text_item(WEATHER_QUESTION))
    mark = probe.send("response.create", response={"tool_choice": "required"})
    done = await probe.done(after=mark)
    calls: list[Event] = [item for item in done["output"] if item["type"] == "function_call"]
    expect(len(calls) == 1, f"{len(calls)} calls, status {done['status']}")
    return mark, calls[0]


async def _truncated(probe: Probe, item_id: str, end_ms: int) -> None:
    mark = probe.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)
    event = await probe.until("conversation.item.truncated", "error", after=mark)
    expect(event["type"] != "error", f"truncation at {end_ms} ms: {event.get('error')}")
    expect((event["item_id"], event["audio_end_ms"]) == (item_id, end_ms), f"truncated: {event}")


async def _transcript(probe: Probe, item_id: str) -> str:
    mark = probe.send("conversation.item.retrieve", item_id=item_id)
    item = (await probe.until("conversation.item.retrieved", after=mark))["item"]
    return " ".join(str(part.get("transcript") or "") for part in item["content"])
