"""Responses and items, event by event."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ringback_localmodel.adapters.twins import ScriptedBrain, WaitingBrain
from ringback_localmodel.domain.context import AssistantSaid, Call, CallReturned, Say, UserSaid
from ringback_localmodel.usecases.limits import SessionLimits

LONG = "One sentence is here. And this is the second sentence of the reply. Here is a third one."
VAD_CHAIN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def kinds(
    events: list[dict[str, Any]],
) -> list[str]:
    """Event types in order; runs of the same type count once."""
    found = [event["type"] for event in events]
    return [kind for n, kind in enumerate(found) if n == 0 or found[n - 1] != kind]


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (event,) = [event for event in events if event["type"] == kind]
    return event


def joined(events: list[dict[str, Any]], kind: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


async def test_the_first_event_is_the_session_and_it_ends_with_its_frames(start: Any) -> None:
    call = start()

    async def none() -> AsyncIterator[bytes]:
        return
        yield b""

    await call.session.run(none())
    created = only(call.news(), "session.created")["session"]
    assert {"id", "object", "type", "expires_at", "audio"} <= created.keys()


async def test_broken_frames_are_errors_and_the_session_goes_on(start: Any) -> None:
    call = start()
    for frame in (b"{", b"[]", b'{"type":1}', b"\xff\xfe"):
        await call.session.handle(frame)
        assert only(call.news(), "error")["error"]["code"] == "invalid_event"
    error = only(await call.send("dance", event_id="e1"), "error")["error"]
    assert error["event_id"] == "e1"
    assert kinds(await call.update(instructions="x")) == ["session.updated"]


async def test_a_refused_update_changes_nothing(start: Any) -> None:
    call = start()
    for session, param in [
        ({"audio": {"output": {"speed": 1.3}}}, "session.audio.output.speed"),
        ({"tools": [{"type": "mcp", "server_label": "s"}]}, "session.tools[0].type"),
        ({"instructions": "new", "nonsense": 1}, "session.nonsense"),
    ]:
        assert only(await call.update(**session), "error")["error"]["param"] == param
    updated = only(await call.update(), "session.updated")["session"]
    assert (updated["instructions"], updated["tools"], updated["audio"]["output"]["speed"]) == ("", [], 1.0)


async def test_an_audio_response_has_the_documented_order(start: Any) -> None:
    call = start(ScriptedBrain([Say(LONG)]))
    await call.user("hello")
    events = await call.send("response.create", response={"metadata": {"k": "v"}})
    order = kinds(events)
    inner = ["response.output_audio_transcript.delta", "response.output_audio.delta"]
    assert order == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        *inner * 3,
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = only(events, "response.done")["response"]
    assert (done["status"], done["status_details"], done["metadata"]) == ("completed", None, {"k": "v"})
    assert only(events, "response.created")["response"]["metadata"] == {"k": "v"}
    words = joined(events, "response.output_audio_transcript.delta")
    assert words == only(events, "response.output_audio_transcript.done")["transcript"] == LONG
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": LONG}]
    assert done["usage"]["output_token_details"]["audio_tokens"] > 0
    deltas = [base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"]
    assert max(map(len, deltas)) <= 9_600
    assert b"".join(deltas) == call.speech("One sentence is here. ") + call.speech(
        "And this is the second sentence of the reply. "
    ) + call.speech("Here is a third one.")


async def test_a_text_response_has_words_and_no_audio(start: Any) -> None:
    call = start(ScriptedBrain([Say(LONG), Say("And more.")]))
    events = await call.send("response.create", response={"output_modalities": ["text"]})
    assert not any("audio" in kind for kind in kinds(events))
    assert joined(events, "response.output_text.delta") == f"{LONG} And more."
    assert only(events, "response.output_text.done")["text"] == f"{LONG} And more."
    assert only(events, "response.content_part.done")["part"] == {"type": "text", "text": f"{LONG} And more."}


async def test_every_id_was_announced_before_it_is_used(start: Any) -> None:
    call = start(ScriptedBrain([Say("Words first."), Call("look", '{"a": 1}'), Say("Then more.")]))
    known: set[tuple[str, str, int]] = set()
    for event in await call.send("response.create"):
        if event["type"] == "response.output_item.added":
            known.add((event["response_id"], event["item"]["id"], event["output_index"]))
        elif "item_id" in event and event["type"].startswith("response."):
            assert (event["response_id"], event["item_id"], event["output_index"]) in known
    assert len(known) == 3


async def test_a_function_call_is_announced_streamed_and_completed(start: Any) -> None:
    arguments = '{"note": "' + "x" * 120 + '"}'
    call = start(ScriptedBrain([Call("look", arguments)]))
    events = await call.send("response.create")
    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = only(events, "response.function_call_arguments.done")
    assert (done["name"], done["arguments"]) == ("look", arguments)
    assert joined(events, "response.function_call_arguments.delta") == arguments
    item = only(events, "response.output_item.done")["item"]
    assert (item["status"], item["call_id"]) == ("completed", done["call_id"])


async def test_a_tool_output_alone_makes_no_response_and_an_unknown_one_is_refused(start: Any) -> None:
    brain = ScriptedBrain([Call("look", "{}")])
    call = start(brain)
    call_id = only(await call.send("response.create"), "response.function_call_arguments.done")["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "found"}
    assert kinds(await call.send("conversation.item.create", item=output)) == VAD_CHAIN[3:]
    wrong = await call.send("conversation.item.create", item={**output, "call_id": "call_zz"}, event_id="e")
    assert only(wrong, "error")["error"]["code"] == "invalid_tool_call_id"
    await call.send("response.create")
    assert brain.contexts[-1].entries[-1] == CallReturned(call_id, "found")


async def test_a_response_may_run_while_a_function_call_is_open(start: Any) -> None:
    call = start(ScriptedBrain([Call("look", "{}")], [Say("Meanwhile.")]))
    await call.send("response.create")
    events = await call.send("response.create", response={"tools": [], "output_modalities": ["text"]})
    assert only(events, "response.done")["response"]["status"] == "completed"


async def test_a_second_response_is_refused_and_the_first_goes_on(start: Any) -> None:
    brain = WaitingBrain()
    call = start(brain)
    await call.now("response.create")
    await brain.said.wait()
    error = only(
        [e for e in await call.now("response.create", event_id="e2") if e["type"] == "error"], "error"
    )
    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert error["error"]["event_id"] == "e2"
    brain.go_on.set()
    await call.session.settled()
    events = call.news()
    assert only(events, "response.done")["response"]["status"] == "completed"


async def test_cancel_closes_what_is_open(start: Any) -> None:
    brain = WaitingBrain()
    call = start(brain)
    await call.now("response.create")
    await brain.said.wait()
    call.news()
    events = await call.send("response.cancel")
    assert kinds(events) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = only(events, "response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert response["output"][0]["status"] == "incomplete"
    assert kinds(await call.now("response.create"))[0] == "response.created"


async def test_cancelling_nothing_or_a_stale_response_is_an_error(start: Any) -> None:
    brain = WaitingBrain()
    call = start(brain)
    error = only(await call.now("response.cancel", event_id="e"), "error")["error"]
    assert error["code"] == "response_cancel_not_active"
    assert error["message"].startswith("Cancellation failed")
    await call.now("response.create")
    await brain.said.wait()
    call.news()
    assert kinds(await call.now("response.cancel", response_id="resp_old")) == ["error"]
    brain.go_on.set()
    await call.session.settled()
    assert only(call.news(), "response.done")["response"]["status"] == "completed"


async def test_running_out_of_tokens_is_incomplete(start: Any) -> None:
    call = start(ScriptedBrain([Say(LONG)], [Say(LONG)]))
    for modality, most in (("text", 9), ("audio", 40)):
        events = await call.send(
            "response.create", response={"max_output_tokens": most, "output_modalities": [modality]}
        )
        response = only(events, "response.done")["response"]
        assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        words = response["output"][0]["content"][0]
        text = words.get("text") or words.get("transcript")
        assert text
        assert LONG.startswith(text)
        assert text != LONG


async def test_a_failing_brain_fails_the_response_and_not_the_session(start: Any) -> None:
    call = start(ScriptedBrain(RuntimeError("boom")))
    response = only(await call.send("response.create"), "response.done")["response"]
    assert (response["status"], response["status_details"]["error"]["code"]) == ("failed", "model_error")
    assert "boom" not in str(response)
    assert only(await call.send("response.create"), "response.done")["response"]["status"] == "completed"


async def test_an_out_of_band_response_leaves_no_trace_and_runs_beside_the_default(start: Any) -> None:
    brain = WaitingBrain()
    call = start(brain)
    await call.user("hello")
    await call.now("response.create")
    await brain.said.wait()
    brain.go_on.set()
    call.news()
    asked = {"conversation": "none", "input": [], "instructions": "x", "metadata": {"for": "test"}}
    events = await call.send("response.create", response=asked)
    mine = [e for e in events if e.get("response", {}).get("metadata") == {"for": "test"}]
    assert [e["response"]["conversation_id"] for e in mine] == [None, None]
    own = mine[1]["response"]["output"][0]["id"]
    assert not any(e["type"].startswith("conversation.") and e["item"]["id"] == own for e in events)
    assert kinds(await call.now("conversation.item.retrieve", item_id=own)) == ["error"]


async def test_an_out_of_band_response_sees_only_its_input(start: Any) -> None:
    brain = ScriptedBrain()
    call = start(brain)
    first = await call.user("one")
    await call.user("two")
    spoken = base64.b64encode(call.speech("three more words") + bytes(9_600)).decode()
    asked = [
        {"type": "item_reference", "id": first},
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": spoken}]},
    ]
    await call.send("response.create", response={"conversation": "none", "input": asked})
    assert brain.contexts[-1].entries == [UserSaid("one"), UserSaid("three more words")]
    error = await call.now("response.create", response={"input": [{"type": "item_reference", "id": "zz"}]})
    assert only(error, "error")["error"]["param"] == "response.input[0].id"


async def test_items_are_placed_acknowledged_retrieved_and_deleted(start: Any) -> None:
    call = start()
    first = await call.user("one")
    item = {
        "type": "message",
        "role": "system",
        "id": "mine",
        "content": [{"type": "input_text", "text": "s"}],
    }
    added = await call.now("conversation.item.create", item=item, previous_item_id="root")
    assert kinds(added) == ["conversation.item.added", "conversation.item.done"]
    assert [e["previous_item_id"] for e in added] == [None, None]
    assert (
        only(await call.now("conversation.item.create", item=item), "error")["error"]["code"]
        == "invalid_value"
    )
    between = {**item, "id": "between"}
    added = await call.now("conversation.item.create", item=between, previous_item_id="mine")
    assert added[0]["previous_item_id"] == "mine"
    assert kinds(
        await call.now("conversation.item.create", item={**item, "id": "x"}, previous_item_id="?")
    ) == ["error"]
    assert only(await call.now("conversation.item.retrieve", item_id=first), "conversation.item.retrieved")
    error = only(await call.now("conversation.item.retrieve", item_id="?", event_id="rci_?"), "error")[
        "error"
    ]
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "rci_?")
    assert kinds(await call.now("conversation.item.delete", item_id=first)) == ["conversation.item.deleted"]
    assert kinds(await call.now("conversation.item.delete", item_id=first)) == ["error"]


async def test_truncation_removes_what_was_not_heard(start: Any) -> None:
    brain = ScriptedBrain([Say("First part is heard. Second part is not.")])
    call = start(brain)
    events = await call.send("response.create")
    item_id = only(events, "response.output_audio.done")["item_id"]
    first_ms = len(call.speech("First part is heard. ")) // 48
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": first_ms + 1}
    assert kinds(await call.now("conversation.item.truncate", **cut)) == ["conversation.item.truncated"]
    await call.send("response.create")
    assert brain.contexts[-1].entries == [AssistantSaid("First part is heard.")]
    for wrong, code in [
        ({**cut, "audio_end_ms": 10_000_000}, "invalid_value"),
        ({**cut, "item_id": "zz"}, "item_truncate_invalid_item_id"),
        ({**cut, "item_id": await call.user("me")}, "unsupported_content_type"),
    ]:
        error = only(await call.now("conversation.item.truncate", **wrong), "error")
        assert error["error"]["code"] == code


async def test_an_item_may_be_truncated_to_nothing_while_it_is_spoken(start: Any) -> None:
    brain = WaitingBrain()
    call = start(brain)
    await call.now("response.create")
    await brain.said.wait()
    item_id = only(call.news(), "response.content_part.added")["item_id"]
    cut = await call.now("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
    assert kinds(cut) == ["conversation.item.truncated"]
    brain.go_on.set()
    await call.session.settled()
    done = only(call.news(), "response.done")["response"]
    assert done["output"][0]["content"][0]["transcript"] == "The first words are out. And the rest."
    retrieved = await call.now("conversation.item.retrieve", item_id=item_id)
    assert retrieved[0]["item"]["content"] == [{"type": "output_audio", "transcript": ""}]


async def test_the_voice_is_fixed_once_audio_was_spoken(start: Any) -> None:
    call = start(ScriptedBrain())
    assert kinds(await call.update(audio={"output": {"voice": "cedar"}})) == ["session.updated"]
    await call.send("response.create")
    error = only(await call.update(audio={"output": {"voice": "ash"}}), "error")["error"]
    assert error["code"] == "cannot_update_voice"


async def test_tools_reach_the_brain_unless_they_may_not_be_called(start: Any) -> None:
    brain = ScriptedBrain()
    call = start(brain)
    await call.update(tools=[TOOL])
    for choice, tools, must in [
        ("auto", (TOOL,), None),
        ("none", (), None),
        ("required", (TOOL,), "*"),
        ({"type": "function", "name": "look"}, (TOOL,), "look"),
    ]:
        await call.send("response.create", response={"tool_choice": choice})
        assert (brain.contexts[-1].tools, brain.contexts[-1].must_call) == (tools, must)


async def test_too_many_items_and_responses_are_refused(start: Any) -> None:
    call = start(WaitingBrain(), limits=SessionLimits(items_max=1, parallel_responses_max=1))
    await call.user("one")
    content = [{"type": "input_text", "text": "two"}]
    full = await call.now(
        "conversation.item.create", item={"type": "message", "role": "user", "content": content}
    )
    assert only(full, "error")["error"]["code"] == "too_many_items"
    await call.now("response.create", response={"conversation": "none"})
    error = only(await call.now("response.create", response={"conversation": "none"}), "error")
    assert error["error"]["code"] == "too_many_responses"


@pytest.mark.parametrize("audio", ["?", "AAA"])
async def test_audio_that_is_no_pcm_is_refused(start: Any, audio: str) -> None:
    error = only(await start().now("input_audio_buffer.append", audio=audio, event_id="e"), "error")
    assert (error["error"]["param"], error["error"]["event_id"]) == ("audio", "e")


async def test_instructions_that_repeat_the_sessions_first_count_by_what_they_add(start: Any) -> None:
    brain = ScriptedBrain()
    call = start(brain)
    await call.update(instructions="Say: nothing rude.")
    for own, seen in [
        ("Say: nothing rude.\n\nBe quick.", "Be quick."),
        ("Say: nothing rude.", None),
        ("X", "X"),
    ]:
        await call.send("response.create", response={"instructions": own})
        assert brain.contexts[-1].own_instructions == seen
