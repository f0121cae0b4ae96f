"""Owns the attempts of an execution: breaker, connector with the remaining deadline, what follows a failure.

The first attempt runs bare; tenacity drives the repetitions, on the decision of `domain.retrying`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ringback_errors import Overloaded
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from ringback_tools.domain.catalogue import ConnectorSpec, Tool
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.domain.retrying import ATTEMPT_MS_MIN, Again, RetryBudget, decide, earn, spend
from ringback_tools.ports import Call, Clock, Connectors, Tracing
from ringback_tools.usecases.alerts import AuthAlerts
from ringback_tools.usecases.breakers import Breakers
from ringback_tools.usecases.bulkheads import Bulkheads
from ringback_tools.usecases.execution import Attempting, Execution, Priority
from ringback_tools.usecases.switches import Switches
from ringback_tools.usecases.telling import Teller

__all__ = ["Attempts", "BeforeSend"]

_log = logging.getLogger(__name__)

_BUDGETS_MAX = 4_096
_TOLD_MAX = 256
_OURS = frozenset({ErrorCode.TOOL_UNAVAILABLE, ErrorCode.AUTH})
_TOO_MUCH = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED})


class BeforeSend(Protocol):
    """What must be done before an attempt is sent; an answer ends the attempt without sending."""

    async def __call__(self, execution: Execution, *, timeout_ms: int) -> Answer | None: ...


async def _nothing(execution: Execution, *, timeout_ms: int) -> Answer | None:
    return None


class Attempts:
    """Runs the attempts of executions, all of one replica."""

    def __init__(
        self,
        *,
        connectors: Connectors,
        breakers: Breakers,
        bulkheads: Bulkheads,
        switches: Switches,
        alerts: AuthAlerts,
        clock: Clock,
        tracing: Tracing,
        roll: Callable[[], float],
    ) -> None:
        self._connectors = connectors
        self._switches = switches
        self._alerts = alerts
        self._breakers = breakers
        self._bulkheads = bulkheads
        self._clock = clock
        self._tracing = tracing
        self._roll = roll
        self._budgets: dict[tuple[str, str], RetryBudget] = {}
        self._told: set[tuple[str, str]] = set()

    def ready(self, tool: Tool) -> bool:
        """Whether a first attempt could go now, without waiting for a slot or being refused."""
        return self._bulkheads.of(tool).free and self.barred(tool) is None

    def barred(self, tool: Tool) -> Failed | None:
        """Why no attempt may go now, whoever asks: switched off, or its breaker is open; None if one may."""
        if self._switches.why_off(tool) is not None:
            detail = f"{tool.name} is switched off"
        elif self._breakers.is_open(tool):
            detail = f"breaker of {tool.dependency} open"
        else:
            return None
        # Of a write it is certain that nothing was begun.
        return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=tool.journalled, blames=False, detail=detail)

    def checkable(self, tool: Tool) -> bool:
        """Whether its check can be asked: one that lacks an address or a secret is as good as none."""
        return tool.check is not None and not self._connectors.lacking(tool.check.connector)

    def refused(self, tool: Tool, *, priority: Priority) -> Failed | None:
        """How an execution would end that begins now and gets neither a slot nor a place in the queue."""
        if barred := self.barred(tool):
            return barred
        overloaded = self._bulkheads.of(tool).refusal(priority)
        return _crowded(overloaded) if overloaded else None

    async def run(self, execution: Execution, *, before: BeforeSend = _nothing) -> Answer:
        """All attempts within the deadline; the last one's answer. Holds a slot of the tool's bulkhead."""
        bulkhead = self._bulkheads.of(execution.tool)
        remaining_ms = execution.deadline_ms - self._clock.elapsed_ms()
        try:
            await bulkhead.acquire(execution.checked.request.priority, wait_ms=remaining_ms)
        except Overloaded as error:
            return _crowded(error)
        try:
            return await self._attempts(execution, before)
        finally:
            bulkhead.release()

    async def ask(self, execution: Execution, spec: ConnectorSpec, *, timeout_ms: int) -> Answer:
        """One read beside the attempts, for a check: no bulkhead, no breaker's refusal, no retry."""
        call = self._call(execution, spec, timeout_ms=timeout_ms, keyed=False)
        with self._tracing.check(_facts(execution)) as tell:
            answer = await self._send(call, timeout_ms)
            tell(answer)
        return answer

    async def _attempts(self, execution: Execution, before: BeforeSend) -> Answer:
        budget_key = (execution.checked.request.tenant, execution.tool.name)
        self._earn(budget_key)
        first = await self._attempt(execution, before)
        if not isinstance(first, Failed) or not first.retryable:
            return first
        held: Answer | None = first
        delay_ms = 0

        def again(answer: Answer) -> bool:
            nonlocal delay_ms
            remaining_ms = execution.deadline_ms - self._clock.elapsed_ms()
            decision = decide(
                execution.tool,
                answer,
                attempt=execution.attempts,
                remaining_ms=remaining_ms,
                roll=self._roll(),
            )
            if not isinstance(decision, Again) or not self._spend(budget_key):
                return False
            delay_ms = execution.next_delay_ms = decision.delay_ms
            return True

        async def next_answer() -> Answer:
            nonlocal held
            if held is not None:
                answer, held = held, None
                return answer
            return await self._attempt(execution, before)

        retrying = AsyncRetrying(
            retry=retry_if_result(again),
            wait=lambda _: delay_ms / 1000,
            sleep=self._sleep_s,
            retry_error_callback=_last_answer,
        )
        return await retrying(next_answer)

    async def _attempt(self, execution: Execution, before: BeforeSend) -> Answer:
        tool = execution.tool
        begun_ms = self._clock.elapsed_ms()
        timeout_ms = int(min(tool.attempt_timeout_ms, execution.deadline_ms - begun_ms))
        if timeout_ms < ATTEMPT_MS_MIN:
            return Failed(ErrorCode.TIMEOUT, blames=False, detail="the deadline is used up")
        if self._switches.why_off(tool) is not None:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=f"{tool.name} is switched off")
        if not self._breakers.allow(tool):
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=f"breaker of {tool.dependency} open"
            )
        sent_ms: float | None = None
        answer: Answer | None = None
        try:
            answer = await before(execution, timeout_ms=timeout_ms)
            if answer is None:
                sent_ms = self._clock.elapsed_ms()
                answer = await self._sent(execution, timeout_ms=timeout_ms - int(sent_ms - begun_ms))
            return answer
        finally:
            if sent_ms is None or answer is None:
                self._breakers.unused(tool)
            else:
                took_ms = self._clock.elapsed_ms() - sent_ms
                self._breakers.record(tool, answer, duration_ms=took_ms)
                self._bulkheads.of(tool).learn(duration_ms=took_ms, congested=_congested(answer))

    async def _sent(self, execution: Execution, *, timeout_ms: int) -> Answer:
        execution.attempts += 1
        execution.emit(Attempting(execution.attempts, execution.next_delay_ms, execution.last_error))
        if timeout_ms < ATTEMPT_MS_MIN:
            # Held up since the attempt was written down: others may already think it dead, so it must not go out.
            return Failed(ErrorCode.TIMEOUT, blames=False, detail="too late to send")
        call = self._call(execution, execution.tool.connector, timeout_ms=timeout_ms, keyed=True)
        with self._tracing.attempt(_facts(execution)) as tell:
            answer = await self._send(call, timeout_ms)
            tell(answer)
        self._alerts.saw(execution.tool, answer)
        self._tell_once(execution.tool, answer)
        _remember(execution, answer)
        return answer

    async def _send(self, call: Call, timeout_ms: int) -> Answer:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._connectors.call(call)
        except TimeoutError:
            return Failed(ErrorCode.TIMEOUT, retryable=True, in_doubt=True, detail="no answer in time")

    def _call(self, execution: Execution, spec: ConnectorSpec, *, timeout_ms: int, keyed: bool) -> Call:
        tool, request = execution.tool, execution.checked.request
        if execution.progress is None:
            execution.progress = Teller(execution, clock=self._clock)
        return Call(
            spec=spec,
            arguments=execution.checked.arguments,
            timeout_ms=timeout_ms,
            bytes_max=max(4 * tool.limits.result_bytes_max, 65_536),
            tenant=request.tenant,
            session_id=request.session_id,
            action_id=request.action_id,
            side_effect=tool.side_effect,
            key_field=tool.key_field if keyed else "",
            key=request.action_id if keyed and tool.keyed else "",
            progress=execution.progress if keyed else None,
        )

    def _tell_once(self, tool: Tool, answer: Answer) -> None:
        """What an operator must mend (no address, no secret) opens no breaker, so nothing else would tell of it."""
        if isinstance(answer, Answered) or answer.blames or answer.code not in _OURS:
            return
        if (tool.name, answer.detail) not in self._told and len(self._told) < _TOLD_MAX:
            self._told.add((tool.name, answer.detail))
            _log.error("%s cannot run: %s", tool.name, answer.detail)

    async def _sleep_s(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s * 1000)

    def _earn(self, key: tuple[str, str]) -> None:
        if key not in self._budgets and len(self._budgets) >= _BUDGETS_MAX:
            self._budgets.pop(next(iter(self._budgets)))
        self._budgets[key] = earn(self._budgets.get(key) or RetryBudget())

    def _spend(self, key: tuple[str, str]) -> bool:
        self._budgets[key], granted = spend(
            self._budgets.get(key) or RetryBudget(), now_ms=self._clock.now_ms()
        )
        return granted


def _crowded(error: Overloaded) -> Failed:
    return Failed(ErrorCode.OVERLOADED, retryable=True, blames=False, detail=str(error))


def _congested(answer: Answer) -> bool:
    """Whether the system showed that it is asked too much: it failed, or said so itself."""
    return isinstance(answer, Failed) and (answer.blames or answer.code in _TOO_MUCH)


def _remember(execution: Execution, answer: Answer) -> None:
    """Doubt stays until the system itself answers: the same key makes that answer cover every attempt."""
    if isinstance(answer, Answered) or answer.definitive:
        execution.in_doubt = False
    elif answer.in_doubt and execution.tool.effectful:
        execution.in_doubt = True
    execution.last_error = "" if isinstance(answer, Answered) else answer.code.value


def _facts(execution: Execution) -> Mapping[str, Any]:
    request, tool = execution.checked.request, execution.tool
    return {
        "tool": tool.name,
        "connector": tool.connector.kind,
        "dependency": tool.dependency,
        "attempt": execution.attempts,
        "action_id": request.action_id,
        "delay_ms": execution.next_delay_ms,
    }


def _last_answer(state: RetryCallState) -> Answer:
    assert state.outcome is not None
    answer: Answer = state.outcome.result()
    return answer
