"""Owns Execute, Cancel and GetOutcome: one running execution per action, any number of observers.

The order of an execution: arguments, scopes and proof (`gate`); what could not start now (`refusing`);
idempotency and epoch (`writing`, for what changes the world); admission, breaker and attempts (`attempts`);
result (`finishing`); outcome (`journaling`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from ringback_tools.domain.notes import Note, Said, StopAsked, Stopped
from ringback_tools.domain.outcomes import OutcomeRecord, Permit
from ringback_tools.domain.results import ErrorCode, Result, Status
from ringback_tools.ports import Clock, Fenced, Journal, JournalAway, Tracing
from ringback_tools.usecases.breakers import Breakers
from ringback_tools.usecases.elsewhere import Elsewhere
from ringback_tools.usecases.execution import (
    ActionRequest,
    Checked,
    Event,
    Execution,
    Finished,
    Progress,
    Refused,
    Slow,
)
from ringback_tools.usecases.gate import Gate, refusal
from ringback_tools.usecases.jobs import Jobs
from ringback_tools.usecases.last_in_line import LastInLine
from ringback_tools.usecases.reading import Reading
from ringback_tools.usecases.refusing import Refusing
from ringback_tools.usecases.writing import Writing

__all__ = ["EXECUTIONS_MAX", "Executor"]

_log = logging.getLogger(__name__)

EXECUTIONS_MAX: Final = 2_000
PROGRESS_EVERY_MS: Final = 4_000


class Executor:
    """Runs actions; the service's one entrance for them."""

    def __init__(
        self,
        *,
        gate: Gate,
        refusing: Refusing,
        reading: Reading,
        writing: Writing,
        jobs: Jobs,
        elsewhere: Elsewhere,
        breakers: Breakers,
        journal: Journal,
        clock: Clock,
        tracing: Tracing,
        executions_max: int = EXECUTIONS_MAX,
    ) -> None:
        self._gate = gate
        self._refusing = refusing
        self._reading = reading
        self._writing = writing
        self._jobs = jobs
        self._elsewhere = elsewhere
        self._breakers = breakers
        self._journal = journal
        self._clock = clock
        self._tracing = tracing
        self._executions_max = executions_max
        self._running: dict[tuple[str, str, str], Execution] = {}
        self._refusals = LastInLine()

    @property
    def running(self) -> int:
        """Executions that have not ended here, unstored outcomes included."""
        return len(self._running)

    async def execute(self, request: ActionRequest) -> AsyncIterator[Event]:
        """Run the action, or attach to it, or return its outcome; ends with exactly one Finished."""
        found = await self._found(request)
        if isinstance(found, Finished):
            yield found
            return
        execution, attached = found
        done_before = attached and execution.result is not None
        async for event in execution.observe(attached=attached):
            if isinstance(event, Finished):
                yield Finished(self._dressed(event.result, done_before=done_before))
            else:
                yield event

    async def run(self, request: ActionRequest, *, wait_ms: int = 0) -> Finished | Slow:
        """As `execute`, the end alone; Slow if it has not come after `wait_ms`, at most the tool's slow_after_ms,
        or if the tool says something before.
        """
        found = await self._found(request)
        if isinstance(found, Finished):
            return found
        execution, attached = found
        done_before = attached and execution.result is not None
        slow_after_ms = execution.tool.slow_after_ms
        result = await execution.ended(within_ms=min(wait_ms or slow_after_ms, slow_after_ms))
        if result is None:
            return Slow(int(self._clock.elapsed_ms() - execution.started_ms))
        return Finished(self._dressed(result, done_before=done_before))

    async def run_job(self, request: ActionRequest) -> None:
        """Do work from the queue; returns when it has its end, raises RingbackError if it must come again."""
        result: Result | None = None
        async for event in self.execute(request):
            if isinstance(event, Finished):
                result = event.result
        assert result is not None, "an execution ends with its result"
        await self._jobs.close(request, result)

    async def cancel(self, request_key: tuple[str, str, str], *, epoch: int) -> bool:
        """Stop an action that has sent nothing that must finish, wherever it runs, or take it from the queue.

        False when it is too late, or nobody knows it. Raises JournalAway.
        """
        running = self._running.get(request_key)
        if running is not None and not running.elsewhere and not running.tool.background:
            return self._stop(running, epoch=epoch)
        if await self._jobs.cancel(request_key, epoch=epoch):
            # Whoever runs it cannot store another outcome.
            self._elsewhere.tell_stopped(request_key)
        elif not await self._elsewhere.stop(request_key, epoch=epoch):
            return False
        self._let_go(request_key)
        return True

    def heard(self, note: Note) -> None:
        """Take what another replica tells."""
        running = self._running.get(note.key)
        match note.body:
            case StopAsked(epoch=epoch):
                here = running is not None and not running.elsewhere and not running.tool.background
                if running is not None and here and self._stop(running, epoch=epoch):
                    self._elsewhere.tell_stopped(note.key)
            case Stopped():
                self._elsewhere.was_stopped(note.key)
                self._let_go(note.key)
            case Said(message=message):
                if running is not None and running.elsewhere:
                    running.emit(Progress(message, int(self._clock.elapsed_ms() - running.started_ms)))

    async def outcome(self, tenant: str, session_id: str, action_id: str) -> OutcomeRecord | None:
        """What is stored of an action of this tenant; raises JournalAway."""
        stored = await self._journal.get(session_id, action_id)
        if stored is None or stored.record.tenant != tenant:
            return None
        return stored.record

    async def close(self, *, drain_ms: int) -> None:
        """Let running executions end within the time, then stop them; what is in doubt is settled after the start."""
        tasks = [execution.task for execution in self._running.values() if execution.task]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=drain_ms / 1000)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _found(self, request: ActionRequest) -> tuple[Execution, bool] | Finished:
        """The execution, begun or joined, and whether it was joined; or the end of what needs none."""
        try:
            checked = await self._gate.check(request)
            if checked.tool.background and not request.taken_on_at_ms:
                return Finished(self._dressed(await self._jobs.take_on(checked)))
            return await self._execution(checked)
        except Refused as refused:
            return Finished(self._dressed(refused.result))

    async def _execution(self, checked: Checked) -> tuple[Execution, bool]:
        while True:
            running = self._running.get(checked.request.key)
            if running is None:
                execution = self._new(checked)
                await self._refuse_early(execution)
                if checked.request.key in self._running:
                    continue
                return self._open(execution), False
            await self._may_attach(checked, running)
            if running.checked.permit is Permit.START or checked.permit is Permit.LEARN:
                return running, True
            # Somebody is only asking what became of it; this caller may start it, if that ends with nothing.
            if running.task is not None:
                await asyncio.wait([running.task])

    async def _may_attach(self, checked: Checked, running: Execution) -> None:
        same = checked.canonical.digest == running.checked.canonical.digest
        if not same or checked.tool.name != running.tool.name:
            detail = "action_id: expected one of its own for each tool and arguments"
            raise Refused(refusal(ErrorCode.INVALID_ARGUMENTS, tool=checked.tool, detail=detail))
        if not checked.tool.effectful:
            return
        try:
            await self._journal.fence(checked.request.session_id, epoch=checked.request.epoch)
        except Fenced:
            raise Refused(refusal(ErrorCode.FENCED, tool=checked.tool)) from None
        except JournalAway:
            # It runs already, and watching it does nothing; only a known higher epoch forbids it.
            if checked.request.epoch < running.checked.request.epoch:
                raise Refused(refusal(ErrorCode.FENCED, tool=checked.tool)) from None

    def _stop(self, execution: Execution, *, epoch: int) -> bool:
        """Stop what runs here, unless it is too late."""
        if execution.task is None or execution.result is not None:
            return False
        if execution.tool.effectful and execution.sent:
            return False
        if epoch < execution.checked.request.epoch:
            return False
        execution.task.cancel()
        return True

    def _let_go(self, request_key: tuple[str, str, str]) -> None:
        """End what only follows an action that was stopped, or runs work that was taken back."""
        running = self._running.get(request_key)
        if (
            running is not None
            and running.task is not None
            and (running.elsewhere or running.tool.background)
        ):
            running.task.cancel()

    def _new(self, checked: Checked) -> Execution:
        now_ms = self._clock.elapsed_ms()
        return Execution(checked, started_ms=now_ms, deadline_ms=now_ms + checked.tool.deadline_ms)

    async def _refuse_early(self, execution: Execution) -> None:
        result = await self._refusing.refusal(execution)
        if result is not None:
            with self._tracing.execution(_facts(execution)) as tell:
                tell(result)
            await self._refusals.turn()
            raise Refused(result)

    def _open(self, execution: Execution) -> Execution:
        checked = execution.checked
        if len(self._running) >= self._executions_max:
            raise Refused(refusal(ErrorCode.OVERLOADED, tool=checked.tool, retryable=True))
        if checked.tool.journalled:
            execution.pass_on = partial(self._elsewhere.tell_said, checked.request.key)
        self._running[checked.request.key] = execution
        execution.task = asyncio.create_task(self._run(execution), name=f"execute {checked.tool.name}")
        execution.task.add_done_callback(lambda _: self._ended(execution))
        return execution

    def _ended(self, execution: Execution) -> None:
        if execution.result is None:
            # A task that was stopped before its first step has told nobody.
            execution.emit(Finished(_stopped(execution)))
        self._running.pop(execution.checked.request.key, None)

    async def _run(self, execution: Execution) -> None:
        loop = asyncio.get_running_loop()
        slow = loop.call_later(execution.tool.slow_after_ms / 1000, self._report, execution, loop, True)
        try:
            with self._tracing.execution(_facts(execution)) as tell:
                run = self._writing.run if execution.tool.journalled else self._reading.run
                await run(execution)
                if execution.result is not None:
                    tell(execution.result)
        except Exception:
            # Ours, not the tool's: told without its text, and nothing is claimed about a write.
            _log.exception("execution of %s failed", execution.tool.name)
            execution.emit(Finished(_internal(execution)))
        finally:
            slow.cancel()

    def _report(self, execution: Execution, loop: asyncio.AbstractEventLoop, first: bool) -> None:
        if execution.result is not None or (execution.task and execution.task.done()):
            return
        elapsed_ms = int(self._clock.elapsed_ms() - execution.started_ms)
        execution.emit(Slow(elapsed_ms) if first else Progress("", elapsed_ms))
        loop.call_later(PROGRESS_EVERY_MS / 1000, self._report, execution, loop, False)

    def _dressed(self, result: Result, *, done_before: bool = False) -> Result:
        return replace(
            result,
            trace_id=result.trace_id or self._tracing.trace_id(),
            already_done=result.already_done or (done_before and result.status is Status.OK),
            open_breakers=self._breakers.open(),
        )


def _internal(execution: Execution) -> Result:
    return _in_doubt(execution) or refusal(ErrorCode.INTERNAL, tool=execution.tool)


def _stopped(execution: Execution) -> Result:
    return _in_doubt(execution) or refusal(ErrorCode.CANCELLED, tool=execution.tool)


def _in_doubt(execution: Execution) -> Result | None:
    if not execution.tool.effectful or not execution.sent:
        return None
    result = refusal(ErrorCode.UNKNOWN_OUTCOME, tool=execution.tool, retryable=True)
    return replace(result, status=Status.UNKNOWN_OUTCOME)


def _facts(execution: Execution) -> dict[str, object]:
    request, tool = execution.checked.request, execution.tool
    return {
        "tenant": request.tenant,
        "session_id": request.session_id,
        "epoch": request.epoch,
        "action_id": request.action_id,
        "tool": tool.name,
        "tool_version": tool.version,
        "side_effect": tool.side_effect.value,
        "connector": tool.connector.kind,
        "dependency": tool.dependency,
        "decision_id": request.proof.decision_id if request.proof else "",
    }
