"""Released clients, unmodified, through Ringback: typed and spoken turns, tools on both sides, a barge-in (C61, C62).

Each scene is played by the client itself, in its own environment (`make clients` makes them). The wire is read beside
it, so that an error that the client swallows counts too, and every event is checked against the types of openai.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_scenes import CLIENTS, SCENES, Client, Row, Scene
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError
from ringback_testkit.running_stack import RunningStack
from ringback_testkit.wire_tap import Tap, Wire

pytestmark = [pytest.mark.voice, pytest.mark.timeout(180)]

SCENE_S = 90.0
# Between the client's clock of what was played and the server's.
HEARD_TOLERANCE_MS = 250
_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name.replace(" ", "-"))
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name.replace(" ", "-"))
async def test_a_released_client_plays_the_scene(
    client: Client,
    scene: Scene,
    running: RunningStack,
    tap: Tap,
    speech: Callable[[str], Path],
    rows: list[Row],
    tmp_path: Path,
) -> None:
    assert client.is_there, f"{client.name} is not installed in {client.folder}: run make clients"
    host, key = f"127.0.0.1:{tap.port}", running.stack.api_key
    task = await asyncio.to_thread(scene.task, client, host=host, key=key, speech=speech)
    before, began = len(tap.wires), time.monotonic()
    outcome, errors, wire = "FAILED", 0, Wire()
    try:
        report, log = await _play(client, task)
        wires = tap.wires[before:]
        assert len(wires) == 1, f"{len(wires)} connections, one expected\n{log}"
        wire = wires[0]
        errors = len(wire.of("error")) + len(report["errors"])
        _dump(tmp_path / "wire.jsonl", wire)
        told = f"{json.dumps(report, indent=1)}\n{_short(wire)}\n{log}"
        assert report["ok"], told
        assert not errors, f"{[seen.event for seen in wire.of('error')]}\n{told}"
        assert not (problems := _invalid(wire)), f"{problems}\n{told}"
        await _CHECKS[scene.name](running, wire, report)
        outcome = "ok"
    finally:
        took_s = time.monotonic() - began
        rows.append(
            Row(client.name, client.version, scene.name, outcome, len(wire.server_events), errors, took_s)
        )


async def _play(client: Client, task: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Run the driver; its report and what it wrote beside it."""
    process = await asyncio.create_subprocess_exec(
        *(await asyncio.to_thread(client.command)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SCENE_S):
            out, err = await process.communicate(json.dumps(task).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    log = err.decode(errors="replace")[-4000:]
    assert out.strip(), f"{client.name} printed no report (exit code {process.returncode})\n{log}"
    return json.loads(out.splitlines()[-1]), log


async def _answered(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    _completed(wire)


async def _spoken(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    _completed(wire)
    assert report["audio_ms"] > 500, "the answer is audible"
    assert any("help" in said.lower() for said in report["heard"]), report["heard"]


async def _own_tool(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    _completed(wire)
    assert report["tools"] == [{"name": "get_weather", "arguments": {"city": "Paris"}}]
    [call] = wire.of("response.function_call_arguments.done")
    assert call.event["name"] == "get_weather"


async def _server_tool(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    _completed(wire)
    assert not report["tools"]
    seen = json.dumps(wire.server_events)
    assert "function_call" not in seen, "what the platform runs is its own"
    await running.fact(_session_id(wire), "action_finished")


async def _spoken_tool(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    await _server_tool(running, wire, report)
    assert report["audio_ms"] > 500, "the answer is audible"


async def _barge_in(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    first = wire.of("response.output_audio.delta")[0]
    started = next(seen for seen in wire.of("input_audio_buffer.speech_started") if seen.at_s > first.at_s)
    asked = next(seen for seen in wire.of("conversation.item.truncate") if seen.at_s > started.at_s)
    done = next(seen for seen in wire.of("conversation.item.truncated") if seen.at_s > asked.at_s)
    assert done.event["audio_end_ms"] == asked.event["audio_end_ms"] > 0
    late = [
        seen
        for seen in wire.of("response.output_audio.delta")
        if seen.event["response_id"] == first.event["response_id"] and seen.at_s > asked.at_s
    ]
    assert not late, f"{len(late)} frames of audio after the caller's words"
    cut = await running.fact(_session_id(wire), "interrupted")
    off_ms = abs(cut.interrupted.heard_ms - asked.event["audio_end_ms"])
    assert off_ms <= HEARD_TOLERANCE_MS, (cut.interrupted.heard_ms, asked.event)
    turns = [fact.agent_turn_ended for fact in running.facts(_session_id(wire), "agent_turn_ended")]
    turn = next(turn for turn in turns if turn.item_id == cut.interrupted.item_id)
    assert turn.said.startswith(turn.heard)
    assert len(turn.heard) < len(turn.said), "what was not played was not heard"


async def _agent_cut(running: RunningStack, wire: Wire, report: dict[str, Any]) -> None:
    await _barge_in(running, wire, report)
    assert "function_call" not in json.dumps(wire.server_events), "what the platform runs is its own"


_CHECKS = {
    "text": _answered,
    "spoken turn": _spoken,
    "own tool": _own_tool,
    "server tool": _server_tool,
    "spoken tool": _spoken_tool,
    "barge-in": _barge_in,
    "agent cut": _agent_cut,
}


def _completed(wire: Wire) -> None:
    done = [seen.event["response"] for seen in wire.of("response.done")]
    assert done, "no response"
    assert len(done) == len(wire.of("response.created"))
    assert {response["status"] for response in done} <= {"completed", "cancelled"}
    assert done[-1]["status"] == "completed"


def _session_id(wire: Wire) -> str:
    return str(wire.of("session.created")[0].event["session"]["id"])


def _invalid(wire: Wire) -> list[str]:
    """What is wrong with the events by the types of the openai package, each type once."""
    problems: dict[str, str] = {}
    for event in wire.server_events:
        try:
            _EVENTS.validate_python(event)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            problems[str(event.get("type"))] = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return [f"{kind}: {problem}" for kind, problem in problems.items()] + (
        [wire.problem] if wire.problem else []
    )


def _dump(path: Path, wire: Wire) -> None:
    lines = [
        json.dumps(
            {"at_s": round(seen.at_s, 3), "from": "server" if seen.from_server else "client", **seen.event}
        )
        for seen in wire.seen
    ]
    path.write_text("\n".join(lines))


def _short(wire: Wire) -> str:
    """The types in order, repetitions counted; the client's are marked."""
    shown: list[list[Any]] = []
    for seen in wire.seen:
        kind = seen.type if seen.from_server else f"→ {seen.type}"
        if shown and shown[-1][0] == kind:
            shown[-1][1] += 1
        else:
            shown.append([kind, 1])
    return "\n".join(f"  {kind}" + (f" × {count}" if count > 1 else "") for kind, count in shown[-60:])
