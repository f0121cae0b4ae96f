"""Tools over gRPC. The stream only observes an action: when it breaks, it is taken up again by the action's id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_calling import Channel
from ringback_errors import DeadlineExceeded, Internal, NotFound, Overloaded, RingbackError, Unavailable

from ringback_session import wire
from ringback_session.domain.effects import Execute, FetchFact
from ringback_session.domain.inputs import ActionProgressed, ActionResult, FactFetched
from ringback_session.domain.rules import SideEffect, Tool
from ringback_session.ports import Pinned

__all__ = ["ToolsOverGrpc"]

START_DEADLINE_MS = 3_000
# Beyond the tool's own deadline: for admission, and for the way.
MARGIN_MS = 3_000
FACT_DEADLINE_MS = 12_000
REATTACH_PAUSE_MS = 250
# An action that ends within this is one question and one answer; one that takes longer is watched from then on.
QUICK_MS = 250


class ToolsOverGrpc:
    """Implements `ports.Tools`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = tools_pb2_grpc.ToolsServiceStub(channel.grpc)
        # Until tools turn out to be of a release that only streams.
        self._quick = True

    async def list(self, pinned: Pinned) -> tuple[dict[str, Tool], tuple[str, ...]]:
        request = tools_pb2.ListToolsRequest(
            tenant=pinned.tenant,
            pack_digest=pinned.pack_digest,
            agent=pinned.agent,
            scopes=pinned.scopes,
        )
        answer = await self._channel.unary(
            self._stub.ListTools, request, deadline_ms=START_DEADLINE_MS, idempotent=True
        )
        tools = (wire.tool(message) for message in answer.tools)
        return {tool.name: tool for tool in tools}, tuple(answer.open_breakers)

    async def execute(
        self, action: Execute, pinned: Pinned
    ) -> AsyncIterator[ActionProgressed | ActionResult]:
        request = wire.execute_request(action, pinned)
        until = time.monotonic() + (action.deadline_ms + MARGIN_MS) / 1000
        quick = self._quick
        while True:
            try:
                async with aclosing(self._told(action.action_id, request, quick=quick, until=until)) as told:
                    async for event in told:
                        yield event
                        if isinstance(event, ActionResult):
                            return
                raise Unavailable("the stream ended without a result")
            except (Unavailable, DeadlineExceeded, Overloaded, Internal):
                quick = False
                # What broke over there may have had its effect: an error is no word on that.
                if action.side_effect is SideEffect.READ:
                    yield _away(action, "failed")
                    return
                if time.monotonic() >= until:
                    yield _away(action, "unknown")
                    return
                await asyncio.sleep(REATTACH_PAUSE_MS / 1000)
            except RingbackError as error:
                yield ActionResult(
                    action_id=action.action_id, status="failed", error_code=error.code, message=""
                )
                return

    async def _told(
        self, action_id: str, request: tools_pb2.ExecuteRequest, *, quick: bool, until: float
    ) -> AsyncGenerator[ActionProgressed | ActionResult, None]:
        """One answer if it comes quickly, else what the stream tells of the action."""
        if quick:
            result = await self._run(action_id, request, deadline_ms=_left_ms(until))
            if result is not None:
                yield result
                return
        stream = self._channel.stream(self._stub.Execute, request, deadline_ms=_left_ms(until))
        async with aclosing(stream):
            async for message in stream:
                event = wire.progress_or_result(action_id, message)
                if event is not None:
                    yield event

    async def _run(
        self, action_id: str, request: tools_pb2.ExecuteRequest, *, deadline_ms: int
    ) -> ActionResult | None:
        """The result of an action that ends quickly; None if it is to be watched."""
        asked = tools_pb2.RunRequest(action=request, wait_ms=QUICK_MS)
        try:
            answer = await self._channel.unary(
                self._stub.Run, asked, deadline_ms=deadline_ms, idempotent=False
            )
        except NotFound:
            self._quick = False
            return None
        return wire.quick_result(action_id, answer)

    async def fetch(self, need: FetchFact, pinned: Pinned) -> FactFetched:
        action = Execute(
            action_id=f"{need.action_id}-{need.name}",
            tool=need.tool,
            version="",
            side_effect=SideEffect.READ,
            arguments_json=need.arguments_json,
            proof=None,
            deadline_ms=FACT_DEADLINE_MS,
        )
        async for event in self.execute(action, pinned):
            if isinstance(event, ActionResult):
                return _fact(need, event)
        raise AssertionError("execute ends with a result")


def _left_ms(until: float) -> int:
    return max(1, int((until - time.monotonic()) * 1000))


def _fact(need: FetchFact, result: ActionResult) -> FactFetched:
    found = result.status == "ok"
    return FactFetched(
        action_id=need.action_id,
        name=need.name,
        tool=need.tool,
        arguments_json=need.arguments_json,
        value_json=result.data_json if found else "",
        ttl_ms=need.ttl_ms,
        unavailable=not found,
        message=result.fallback_message or result.message,
        fallback="none" if found else result.fallback,
        error_code=result.error_code,
        open_breakers=result.open_breakers,
    )


def _away(action: Execute, status: str) -> ActionResult:
    return ActionResult(
        action_id=action.action_id,
        status=status,
        error_code="tool_unavailable" if status == "failed" else "unknown_outcome",
        retryable=status == "failed",
        fallback="callback" if status == "failed" else "none",
    )
