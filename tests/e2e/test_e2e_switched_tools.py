"""`ringback tools disable` reaches the calls that run, and those that begin after it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ringback_testkit.running_stack import RunningStack, running_stack
from ringback_testkit.scripted_model import Answer, ModelConnection, ScriptedModel
from ringback_testkit.typed_caller import TypedCaller

PATIENCE_S = 25.0
TOOL = "get_reservation"


async def _switched(running: RunningStack, how: str) -> None:
    """`ringback tools disable`, or `enable`."""
    words = ("tools", how, TOOL, "--reason", "a drill", "--nats-url", running.stack.addresses.nats_url)
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback_cli.main", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await program.communicate()
    assert program.returncode == 0, printed.decode()


def _shown(connection: ModelConnection) -> list[set[str]]:
    """The tools of each session.update that names any, in order."""
    updates = (update["session"] for update in connection.got("session.update"))
    return [{tool["name"] for tool in update["tools"]} for update in updates if "tools" in update]


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # The model tells a waiter only of one connection, and of one type.
        while not seen():
            await asyncio.sleep(0.02)


def _outputs(connection: ModelConnection) -> list[dict[str, Any]]:
    """What the model was told of the functions that it called."""
    items = (event["item"] for event in connection.got("conversation.item.create"))
    return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]


@asynccontextmanager
async def _call(
    running: RunningStack, model: ScriptedModel
) -> AsyncIterator[tuple[TypedCaller, ModelConnection]]:
    """A call, and its connection to the model: the first new one that is told of tools, for some are made ahead."""
    before = {id(connection) for connection in model.connections if _shown(connection)}

    def mine() -> list[ModelConnection]:
        told = (connection for connection in model.connections if _shown(connection))
        return [connection for connection in told if id(connection) not in before]

    async with TypedCaller(running.ws_url, running.stack.api_key) as caller:
        await _until(lambda: bool(mine()))
        yield caller, mine()[0]


async def test_a_tool_that_is_switched_off_leaves_running_and_new_calls_and_comes_back(
    tmp_path: Path,
) -> None:
    async with ScriptedModel() as model:
        overrides = {"session": {"RINGBACK_UPSTREAM_URL": model.url}}
        async with (
            running_stack(tmp_path, overrides=overrides) as running,
            _call(running, model) as (caller, seen),
        ):
            assert TOOL in _shown(seen)[-1]
            await _switched(running, "disable")
            await _until(lambda: TOOL not in _shown(seen)[-1])

            # As if the model had made its call before it was told.
            model.script.append(Answer(calls=[(TOOL, {"reservation_id": "482915"})]))
            caller.type("What about my reservation?")
            fact = await running.fact(caller.session_id, "action_finished", timeout_s=PATIENCE_S)
            assert (fact.action_finished.error_code, fact.action_finished.attempts) == ("tool_unavailable", 0)
            await _until(lambda: bool(_outputs(seen)))
            assert [output["error_code"] for output in _outputs(seen)] == ["tool_unavailable"]

            async with _call(running, model) as (_, new):
                assert all(TOOL not in names for names in _shown(new)), "nor for a moment"
                await _switched(running, "enable")
                await _until(lambda: all(TOOL in _shown(connection)[-1] for connection in (seen, new)))
