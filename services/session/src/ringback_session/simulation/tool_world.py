"""Tools as a small world of their own: what ran, with which effect, whoever asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ringback_session.domain.effects import Execute, FetchFact
from ringback_session.domain.inputs import ActionProgressed, ActionReconciled, ActionResult, FactFetched
from ringback_session.domain.rules import SideEffect, Tool
from ringback_session.ports import Pinned
from ringback_session.simulation.process import Process
from ringback_session.simulation.services import PolicyWorld
from ringback_session.simulation.stores import LateFactsOf
from ringback_session.simulation.weather import Weather

__all__ = ["TOOLS", "ToolWorld", "ToolsOf"]

_ONE_ARGUMENT: Final = msgspec.json.encode(
    {
        "type": "object",
        "properties": {"reservation": {"type": "string"}},
        "required": ["reservation"],
        "additionalProperties": False,
    }
).decode()


def _tool(name: str, side_effect: SideEffect, deadline_ms: int) -> Tool:
    return Tool(
        name=name,
        version="1.2",
        description=name,
        parameters_json=_ONE_ARGUMENT,
        side_effect=side_effect,
        deadline_ms=deadline_ms,
    )


TOOLS: Final = {
    tool.name: tool
    for tool in (
        _tool("get_reservation", SideEffect.READ, 5_000),
        _tool("add_note", SideEffect.WRITE, 5_000),
        _tool("cancel_reservation", SideEffect.IRREVERSIBLE, 12_000),
        _tool("refund", SideEffect.IRREVERSIBLE, 8_000),
    )
}


@dataclass
class Run:
    """One execution as tools know it."""

    action: Execute
    epoch: int
    result: ActionResult | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class ToolWorld:
    """Tools' own truth: which action ran, with which effect; detached from whoever asked for it."""

    def __init__(self, weather: Weather, policy: PolicyWorld) -> None:
        self.weather = weather
        self.runs: dict[str, Run] = {}
        # What really happened to the world: (tool, arguments), once for each time.
        self.effects: list[tuple[str, str]] = []
        self.late: list[LateFactsOf] = []
        self.highest_epoch = 0
        self._policy = policy

    def admit(self, action: Execute, pinned: Pinned) -> Run | ActionResult:
        """The run that answers, or why there is none."""
        if action.side_effect is SideEffect.READ:
            return self._start(action, pinned.epoch, key=f"{action.action_id}/{len(self.runs)}")
        if pinned.epoch < self.highest_epoch:
            return _failed(action, "stale_epoch")
        self.highest_epoch = pinned.epoch
        known = self.runs.get(action.action_id)
        if known is not None:
            return known
        proof = self._policy.proofs.get(str((action.proof or {}).get("mac", "")))
        if action.attach_only:
            return _failed(action, "not_started")
        if proof is None or proof["action_id"] != action.action_id:
            self.weather.wrong(f"{action.tool} is asked to run without a decision")
            return _failed(action, "forbidden")
        if self.weather.now_ms >= proof["expires_at_ms"]:
            return _failed(action, "not_started")
        return self._start(action, pinned.epoch, key=action.action_id)

    def _start(self, action: Execute, epoch: int, *, key: str) -> Run:
        run = self.runs[key] = Run(action, epoch)
        self.weather.note("tools", f"start {action.tool} {action.arguments_json}")
        mode = self.weather.mode("tools")
        takes_ms = 7_000 if mode == "slow" else self.weather.delay_ms("tools", 150)
        self.weather.later(takes_ms, lambda: self._finish(run, mode))
        return run

    def _finish(self, run: Run, mode: str) -> None:
        action = run.action
        effectful = action.side_effect is not SideEffect.READ
        if mode == "error":
            run.result = _failed(action, "backend_error")
        elif mode == "unknown" and effectful:
            run.result = ActionResult(
                action_id=action.action_id, status="unknown", error_code="unknown_outcome"
            )
            happened = len(self.effects) % 2 == 0
            if happened:
                self.effects.append((action.tool, action.arguments_json))
            self.weather.later(9_000, lambda: self._learnt(run, happened=happened))
        else:
            if effectful:
                self.effects.append((action.tool, action.arguments_json))
            run.result = _ok(action)
        run.done.set()

    def _learnt(self, run: Run, *, happened: bool) -> None:
        action = run.action
        run.result = _ok(action) if happened else _failed(action, "tool_unavailable")
        fact = ActionReconciled(
            action_id=action.action_id,
            status="ok" if happened else "failed",
            data_json='{"message":"Done."}' if happened else "",
            error_code="" if happened else "tool_unavailable",
            message="It went through." if happened else "It did not go through.",
        )
        for source in self.late:
            source.tell(fact)


class ToolsOf:
    """Implements `ports.Tools` for one process."""

    def __init__(self, world: ToolWorld, weather: Weather, process: Process) -> None:
        self._world = world
        self._weather = weather
        self._process = process

    async def list(self, pinned: Pinned) -> tuple[dict[str, Tool], tuple[str, ...]]:
        await self._process.leaves()
        await self._weather.passes(2)
        await self._process.passes()
        return dict(TOOLS), ()

    async def execute(
        self, action: Execute, pinned: Pinned
    ) -> AsyncIterator[ActionProgressed | ActionResult]:
        until_ms = self._weather.ms + action.deadline_ms + 3_000
        read = action.side_effect is SideEffect.READ
        while True:
            await self._process.leaves()
            await self._weather.passes(self._weather.delay_ms("tools_way", 5))
            if self._weather.mode("tools") != "away":
                async for event in self._watch(action, pinned, until_ms):
                    yield event
                    if isinstance(event, ActionResult):
                        return
            if read or self._weather.ms >= until_ms:
                await self._process.passes()
                yield _away(action, read=read)
                return
            await self._weather.passes(250)

    async def _watch(
        self, action: Execute, pinned: Pinned, until_ms: int
    ) -> AsyncIterator[ActionProgressed | ActionResult]:
        """What the stream says until it ends, or breaks."""
        found = self._world.admit(action, pinned)
        await self._process.passes()
        if isinstance(found, ActionResult):
            yield found
            return
        yield ActionProgressed(action_id=action.action_id, stage="started", attempt=1)
        breaks = self._weather.mode("tools") == "restarts"
        try:
            async with asyncio.timeout(max(1, 50 if breaks else until_ms - self._weather.ms) / 1000):
                await found.done.wait()
        except TimeoutError:
            await self._process.passes()
            return
        await self._process.passes()
        assert found.result is not None
        yield msgspec.structs.replace(found.result, action_id=action.action_id)

    async def fetch(self, need: FetchFact, pinned: Pinned) -> FactFetched:
        await self._process.leaves()
        mode = self._weather.mode("tools")
        await self._weather.passes(2_000 if mode == "slow" else self._weather.delay_ms("tools", 80))
        await self._process.passes()
        away = mode in ("away", "error")
        return FactFetched(
            action_id=need.action_id,
            name=need.name,
            tool=need.tool,
            arguments_json=need.arguments_json,
            value_json="" if away else '{"status":"confirmed"}',
            ttl_ms=need.ttl_ms,
            unavailable=away,
            fallback="callback" if mode == "away" else "none",
        )


def _ok(action: Execute) -> ActionResult:
    return ActionResult(action_id=action.action_id, status="ok", data_json='{"message":"Done."}', attempts=1)


def _failed(action: Execute, code: str) -> ActionResult:
    return ActionResult(action_id=action.action_id, status="failed", error_code=code, message="It failed.")


def _away(action: Execute, *, read: bool) -> ActionResult:
    return ActionResult(
        action_id=action.action_id,
        status="failed" if read else "unknown",
        error_code="tool_unavailable" if read else "unknown_outcome",
        retryable=read,
        fallback="callback" if read else "none",
    )
