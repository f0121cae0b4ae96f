"""C61 and C62: real clients, unmodified, and what they take for valid events."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from ringback_cli.conformance.lab import Lab, expect, skip
from ringback_cli.conformance.probe import MissingError, say_exactly, text_item
from ringback_cli.conformance.registry import check
from ringback_cli.conformance.texts import LONG, WEATHER, WEATHER_QUESTION

PATIENCE_S = 30
FRAME_BYTES = 4_800
# What many WebSocket libraries take in one frame.
EVENT_BYTES_MAX = 1024 * 1024
_NO_PACKAGE = "the openai package is not installed"
_OTHERS = "openai-agents, Pipecat, LiveKit and agents-js: make clients"


@check(
    "C61", "Unmodified clients do text, a tool call and a barge-in without one error event (here: openai)."
)
async def real_client(lab: Lab) -> str:
    if find_spec("openai") is None:
        skip(_NO_PACKAGE)
    from openai import AsyncOpenAI

    base = lab.target.url.removesuffix("/realtime")
    client = AsyncOpenAI(api_key=lab.target.key or "none", websocket_base_url=base)
    speech = await lab.turn()
    seen: list[Any] = []
    async with client.realtime.connect(model=lab.target.model) as connection:
        await _until(connection, "session.created", seen)
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(item=_item("Hello"))
        await connection.response.create()
        await _until(connection, "response.done", seen)
        await _tool_call(connection, seen)
        await _barge_in(connection, speech, seen)
    seen += await asyncio.to_thread(_over_threads, lab)
    errors = [event for event in seen if event.type == "error"]
    expect(not errors, f"{len(errors)} error events: {errors[:2]}")
    return f"openai {version('openai')}, async and sync: {len(seen)} events, no error; {_OTHERS}"


@check("C62", "Every event is valid by the types of released clients (here: openai).")
async def valid_events(lab: Lab) -> str:
    if find_spec("openai") is None:
        skip(_NO_PACKAGE)
    if not lab.events:
        await _one_of_each(lab)
    validate = _validator()
    events = lab.events
    large = sorted({str(event.get("type")) for event in events if _too_large(event)})
    expect(not large, f"too large for clients that take frames below 1 MiB: {large}")
    problems: dict[str, str] = {}
    for event in events:
        problem = await asyncio.to_thread(validate, event) if len(str(event)) > 500_000 else validate(event)
        if problem:
            problems.setdefault(str(event.get("type")), problem)
    shown = "; ".join(f"{kind}: {problem}" for kind, problem in list(problems.items())[:3])
    expect(not problems, f"{len(problems)} types with invalid events: {shown}")
    kinds = {event["type"] for event in events}
    return f"{len(events)} events of {len(kinds)} types valid for openai {version('openai')}; {_OTHERS}"


def _too_large(event: dict[str, Any]) -> bool:
    """What a client asks to have back is as large as the client made it."""
    own = event.get("type") == "conversation.item.retrieved"
    return not own and len(json.dumps(event)) >= EVENT_BYTES_MAX


def _over_threads(lab: Lab) -> list[Any]:
    """A typed turn with the client that blocks."""
    from openai import OpenAI

    base = lab.target.url.removesuffix("/realtime")
    client = OpenAI(api_key=lab.target.key or "none", websocket_base_url=base)
    seen: list[Any] = []
    with client.realtime.connect(model=lab.target.model) as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        connection.conversation.item.create(item=_item("Hello"))
        connection.response.create()
        # It has no timeout of its own for what does not come.
        patience = threading.Timer(PATIENCE_S, connection.close)
        patience.start()
        try:
            for event in connection:
                seen.append(event)
                if event.type == "response.done":
                    return seen
        finally:
            patience.cancel()
    raise MissingError(f"the blocking client got no response.done; it got {[event.type for event in seen]}")


async def _one_of_each(lab: Lab) -> None:
    """Enough of a conversation to look at, when no other check has made one."""
    async with lab.connect(tools=[WEATHER]) as probe:
        mark = probe.mark
        probe.append(await lab.turn())
        await probe.done(after=mark)
        await probe.create(text_item(WEATHER_QUESTION))
        await probe.respond(tool_choice="required")
        await probe.respond(**say_exactly("Done."), output_modalities=["text"])
        await probe.refused("response.cancel")


async def _tool_call(connection: Any, seen: list[Any]) -> None:
    await connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
    await connection.conversation.item.create(item=_item(WEATHER_QUESTION))
    await connection.response.create(response={"tool_choice": "required"})
    call = await _until(connection, "response.function_call_arguments.done", seen)
    await _until(connection, "response.done", seen)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"message": "Sunny."}'}
    await connection.conversation.item.create(item=output)
    await connection.response.create()
    await _until(connection, "response.done", seen)


async def _barge_in(connection: Any, speech: bytes, seen: list[Any]) -> None:
    await connection.session.update(session={"type": "realtime", "output_modalities": ["audio"], "tools": []})
    await connection.response.create(response=say_exactly(LONG))
    first = await _until(connection, "response.output_audio.delta", seen)
    for at in range(0, len(speech), FRAME_BYTES):
        chunk = base64.b64encode(speech[at : at + FRAME_BYTES]).decode()
        await connection.input_audio_buffer.append(audio=chunk)
    await _until(connection, "input_audio_buffer.speech_started", seen)
    await connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=100)
    await _until(connection, "conversation.item.truncated", seen)
    while (done := await _until(connection, "response.done", seen)).response.status == "cancelled":
        pass
    expect(done.response.status == "completed", f"after the barge-in: {done.response.status}")


async def _until(connection: Any, kind: str, seen: list[Any]) -> Any:
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for event in connection:
                seen.append(event)
                if event.type == kind:
                    return event
    except TimeoutError:
        pass
    errors = [event.error.message for event in seen if event.type == "error"]
    raise MissingError(f"the client got no {kind}; errors: {errors}")


def _item(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _validator() -> Callable[[dict[str, Any]], str]:
    """A function that says what is wrong with an event, "" if nothing is."""
    from openai.types.realtime import RealtimeServerEvent
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

    def validate(event: dict[str, Any]) -> str:
        try:
            adapter.validate_python(event)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return ""

    return validate
