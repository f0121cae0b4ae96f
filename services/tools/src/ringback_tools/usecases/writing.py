"""Owns a write from its record to its outcome: start, follow, take over, settle what is in doubt.

The loop reads: look at the record, decide by `domain.outcomes.plan`, do it; whoever loses a compare-and-set
looks again. A check is a read and needs no claim; every conclusion from it is a compare-and-set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from msgspec.structs import replace

from ringback_tools.domain.checking import Verdict, judge
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord, Permit, Plan, plan
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed, Result, Status
from ringback_tools.ports import Clock, Fenced, Journal, JournalAway, LostRace, Pauses, Stored
from ringback_tools.usecases.attempts import Attempts
from ringback_tools.usecases.execution import Execution, Finished, Started
from ringback_tools.usecases.finishing import Finisher
from ringback_tools.usecases.gate import mismatch, refusal
from ringback_tools.usecases.journaling import Scribe, is_known
from ringback_tools.usecases.refusing import JOURNAL_AWAY

__all__ = ["Writing"]

_LOOK_AGAIN_MS: Final = (20, 50, 100, 200)
_CHECK_AGAIN_MS: Final = 400
_ROUNDS_MAX: Final = 500


class _Followed(Exception):  # noqa: N818 - steers, is no error
    """Somebody else has the action now: look at the record again."""


class Writing:
    """Runs what is journalled: writes, irreversible actions, background work."""

    def __init__(
        self,
        *,
        journal: Journal,
        scribe: Scribe,
        attempts: Attempts,
        finisher: Finisher,
        clock: Clock,
        pauses: Pauses,
    ) -> None:
        self._journal = journal
        self._scribe = scribe
        self._attempts = attempts
        self._finisher = finisher
        self._clock = clock
        self._pauses = pauses

    async def run(self, execution: Execution) -> None:
        """Bring the action to its outcome, or learn it; ends with Finished, and stores the outcome even after that."""
        checked = execution.checked
        # Work from the queue has its record already.
        at_once = checked.permit is Permit.START and not checked.request.taken_on_at_ms
        at_once = at_once and self._attempts.ready(execution.tool)
        try:
            # Most actions are new: one compare-and-set finds out, beside the fence, without looking first.
            stored = None if at_once else await self._admission(execution)
            await self._rounds(execution, stored, fenced=not at_once)
        except Fenced:
            execution.emit(Finished(refusal(ErrorCode.FENCED, tool=execution.tool)))
        except JournalAway:
            execution.emit(Finished(self._not_started(execution)))

    async def verdict(self, execution: Execution) -> tuple[Verdict, Any]:
        """Ask the system behind the tool whether the write took effect."""
        rule = execution.tool.check
        if rule is None:
            return Verdict.SILENT, None
        answer = await self._attempts.ask(execution, rule.connector, timeout_ms=rule.timeout_ms)
        return judge(rule, answer), answer.data if isinstance(answer, Answered) else None

    async def _admission(self, execution: Execution) -> Stored | None:
        request = execution.checked.request
        # Until the record is read somebody else may have it.
        execution.elsewhere = True
        looking = self._journal.get(request.session_id, request.action_id)
        if request.taken_on_at_ms:
            return await looking
        found, _ = await asyncio.gather(looking, self._journal.fence(request.session_id, epoch=request.epoch))
        return found

    async def _rounds(self, execution: Execution, stored: Stored | None, *, fenced: bool) -> None:
        hand = _Hand(stored, fenced=fenced)
        for turn in range(_ROUNDS_MAX):
            try:
                if await self._round(execution, hand, turn):
                    return
            except (LostRace, _Followed):
                pass
            except JournalAway:
                execution.emit(Finished(self._lost_sight(execution, stored)))
                return
            try:
                stored = await self._admission(execution)
                hand = _Hand(stored)
            except JournalAway:
                execution.emit(Finished(self._lost_sight(execution, stored)))
                return
        execution.emit(Finished(self._finisher.in_doubt(execution)))

    async def _round(self, execution: Execution, hand: _Hand, turn: int) -> bool:
        """One look at the record; true when the execution has ended."""
        stored = hand.stored
        if stored and (refused := mismatch(execution.checked, stored.record)):
            execution.emit(Finished(refused))
            return True
        step = plan(
            stored.record if stored else None,
            permit=execution.checked.permit,
            owner=self._scribe.owner,
            now_ms=self._clock.now_ms(),
        )
        execution.elsewhere = step is Plan.WAIT
        match step:
            case Plan.START | Plan.RESUME:
                return await self._start(execution, hand)
            case Plan.NOT_STARTED:
                execution.emit(Finished(refusal(ErrorCode.NOT_STARTED, tool=execution.tool)))
                return True
            case Plan.RETURN:
                assert stored is not None
                execution.emit(Finished(_again(stored.record)))
                return True
            case Plan.WAIT:
                assert stored is not None
                await self._wait(execution, stored, turn)
                return False
            case Plan.SETTLE:
                assert stored is not None
                _joined(execution)
                return await self._take_up(execution, stored)

    async def _wait(self, execution: Execution, stored: Stored, turn: int) -> None:
        _joined(execution)
        left_ms = stored.record.attempt_deadline_ms - self._clock.now_ms()
        pace_ms = _LOOK_AGAIN_MS[min(turn, len(_LOOK_AGAIN_MS) - 1)]
        await self._clock.sleep(max(1, min(pace_ms, left_ms)))

    async def _start(self, execution: Execution, hand: _Hand) -> bool:
        if failure := self._attempts.barred(execution.tool):
            execution.emit(Finished(self._finisher.failed(execution, failure)))
            return True
        return await self._run_attempts(execution, hand)

    async def _run_attempts(self, execution: Execution, hand: _Hand) -> bool:
        """Attempts until one answers or none may follow, then the outcome."""

        async def before(execution: Execution, *, timeout_ms: int) -> Answer | None:
            if hand.stored is None or hand.stored.record.state is ActionState.ADMITTED:
                await self._begin(execution, hand, timeout_ms=timeout_ms)
                return None
            if execution.in_doubt and not hand.checked and (done := await self._already_done(execution)):
                return done
            hand.checked = False
            execution.sent = True
            hand.stored = await self._scribe.attempt(hand.stored, timeout_ms=timeout_ms)
            hand.written = True
            await self._pauses.at("attempting")
            return None

        try:
            answer = await self._attempts.run(execution, before=before)
        except JournalAway:
            if not hand.written:
                # Nothing of ours went out. What was written down, if anything, says so to whoever finds it.
                execution.emit(Finished(self._lost_sight(execution, hand.stored)))
                return True
            answer = Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail="the journal is away")
        if hand.stored is None or not (hand.written or execution.in_doubt or isinstance(answer, Answered)):
            execution.emit(Finished(self._finisher.failed(execution, _failure(answer))))
            return True
        await self._pauses.at("answered")
        return await self._conclude(execution, hand.stored, answer)

    async def _begin(self, execution: Execution, hand: _Hand, *, timeout_ms: int) -> None:
        """Make the action this process's own and write its first attempt down; it may be sent after this.

        One compare-and-set does both where a lost answer can be looked up or repeated. A tool with neither
        key nor check is admitted first: a first write that may or may not have been stored must not read as
        an attempt in doubt, since nobody could ever settle that.
        """
        if execution.tool.may_retry or self._attempts.checkable(execution.tool):
            await self._pauses.at("admitted")
            # From here on it cannot be cancelled: the record says that something may have gone out.
            execution.sent = True
            writing = self._scribe.begin(execution, hand.stored, timeout_ms=timeout_ms)
            try:
                await self._fenced_write(execution, hand, writing)
            except Exception:
                execution.sent = False
                raise
            _joined(execution, attached=False)
        else:
            await self._fenced_write(execution, hand, self._scribe.admit(execution, hand.stored))
            _joined(execution, attached=False)
            await self._pauses.at("admitted")
            assert hand.stored is not None
            execution.sent = True
            hand.stored = await self._scribe.attempt(hand.stored, timeout_ms=timeout_ms)
        hand.written = True
        await self._pauses.at("attempting")

    async def _fenced_write(
        self, execution: Execution, hand: _Hand, writing: Coroutine[Any, Any, Stored]
    ) -> None:
        """The write, and beside it the fence if it is still to be passed; nothing is sent before both are done."""
        if hand.fenced:
            hand.stored = await writing
            return
        request = execution.checked.request
        fence = asyncio.create_task(self._journal.fence(request.session_id, epoch=request.epoch))
        written: Stored | Exception
        try:
            written = await writing
        except Exception as error:
            written = error
        except BaseException:
            fence.cancel()
            raise
        try:
            await fence
        except Exception:
            if isinstance(written, Stored) and written.record.state is ActionState.ATTEMPTING:
                await self._scribe.withdraw(written)
            raise
        if isinstance(written, Exception):
            raise written
        hand.stored, hand.fenced = written, True

    async def _conclude(self, execution: Execution, stored: Stored, answer: Answer) -> bool:
        if isinstance(answer, Answered):
            broken = self._finisher.broken(execution.tool, answer)
            if broken is None:
                result = self._finisher.ok(execution, answer.data)
                return await self._end(execution, stored, result, definitive=True)
            execution.in_doubt, answer = broken.in_doubt, broken
        if not execution.in_doubt:
            result = self._finisher.failed(execution, answer)
            return await self._end(execution, stored, result, definitive=answer.definitive)
        return await self._settle(execution, stored)

    async def _take_up(self, execution: Execution, stored: Stored) -> bool:
        """An attempt of a dead owner, or an outcome that was told as unknown: check, then what the rules allow."""
        execution.in_doubt = execution.tool.effectful
        execution.attempts = max(execution.attempts, stored.record.attempt)
        tool, open_ended = execution.tool, stored.record.state is ActionState.ATTEMPTING
        if not tool.effectful:
            execution.attempts = 0
            return await self._run_attempts(execution, _Hand(stored))
        if tool.keyed and open_ended:
            verdict, data = await self.verdict(execution)
            if verdict is Verdict.DONE:
                result = self._finisher.ok(execution, data)
                return await self._end(execution, stored, result, definitive=True)
            if execution.checked.permit is Permit.START:
                # The backend recognises the key, so one more attempt can at worst be answered "done already".
                execution.deadline_ms = self._clock.elapsed_ms() + tool.deadline_ms
                execution.attempts = min(execution.attempts, tool.retry.attempts_max - 1)
                return await self._run_attempts(execution, _Hand(stored, checked=verdict is Verdict.NOT_DONE))
            if verdict is Verdict.NOT_DONE:
                execution.emit(Finished(refusal(ErrorCode.NOT_STARTED, tool=tool, retryable=True)))
                return True
        return await self._settle(execution, stored)

    async def _settle(self, execution: Execution, stored: Stored) -> bool:
        """Find out what became of the attempt; "not done" counts only after the settling time."""
        rule = execution.tool.check
        if rule is None or not self._attempts.checkable(execution.tool):
            return await self._end(execution, stored, self._finisher.in_doubt(execution), definitive=False)
        settled_at_ms = stored.record.attempt_deadline_ms + rule.settle_ms
        # One check is always made; the caller is not kept past the tool's deadline, the reconciler goes on then.
        give_up_ms = self._clock.elapsed_ms() + rule.settle_ms + 2 * rule.timeout_ms
        give_up_ms += max(0, stored.record.attempt_deadline_ms - self._clock.now_ms())
        give_up_ms = min(give_up_ms, execution.deadline_ms)
        while True:
            asked_ms = self._clock.now_ms()
            verdict, data = await self.verdict(execution)
            if verdict is Verdict.DONE:
                result = self._finisher.ok(execution, data)
                return await self._end(execution, stored, result, definitive=True)
            if verdict is Verdict.NOT_DONE and asked_ms >= settled_at_ms:
                result = self._finisher.not_done(execution)
                return await self._end(execution, stored, result, definitive=False)
            if self._clock.elapsed_ms() + _CHECK_AGAIN_MS > give_up_ms:
                result = self._finisher.in_doubt(execution)
                return await self._end(execution, stored, result, definitive=False)
            until_settled_ms = settled_at_ms - self._clock.now_ms()
            await self._clock.sleep(max(_CHECK_AGAIN_MS, min(until_settled_ms, 2 * _CHECK_AGAIN_MS)))

    async def _already_done(self, execution: Execution) -> Answered | None:
        """Before a repetition: the lost answer may have been a yes, and then nothing more need be sent."""
        verdict, data = await self.verdict(execution)
        if verdict is not Verdict.DONE:
            return None
        execution.in_doubt = False
        return Answered(data)

    async def _end(self, execution: Execution, stored: Stored, result: Result, *, definitive: bool) -> bool:
        attempts = max(result.attempts, stored.record.attempt)
        duration_ms = self._clock.elapsed_ms() - execution.started_ms
        result = replace(result, attempts=attempts, duration_ms=duration_ms)
        if is_unknown(stored.record) and not result.known:
            execution.emit(Finished(result))
            return True
        try:
            # Nobody waits for background work: its end is told as a fact.
            late = execution.tool.background and result.known
            await self._scribe.finish(stored, result, definitive=definitive, late=late)
        except LostRace as lost:
            raise _Followed from lost
        except JournalAway:
            execution.emit(Finished(result))
            await self._scribe.finish_sometime(stored, result, definitive=definitive)
            return True
        await self._pauses.at("finished")
        execution.emit(Finished(result))
        return True

    def _not_started(self, execution: Execution) -> Result:
        if execution.checked.permit is Permit.LEARN:
            return replace(self._finisher.in_doubt(execution), retryable=True)
        return self._finisher.failed(execution, JOURNAL_AWAY)

    def _lost_sight(self, execution: Execution, stored: Stored | None) -> Result:
        """The journal went away while the action was being followed."""
        if stored is None or stored.record.state is ActionState.ADMITTED:
            return self._not_started(execution)
        return replace(self._finisher.in_doubt(execution), retryable=True)


class _Hand:
    """The record in this process's hand while it runs attempts."""

    __slots__ = ("checked", "fenced", "stored", "written")

    def __init__(self, stored: Stored | None, *, checked: bool = False, fenced: bool = True) -> None:
        self.stored = stored
        # The caller's epoch was found to be the highest.
        self.fenced = fenced
        # A check has just said "not done".
        self.checked = checked
        # An attempt of ours was written down, so something may have gone out.
        self.written = False


def is_unknown(record: OutcomeRecord) -> bool:
    """Whether the action ended with its effect unknown."""
    return record.state is ActionState.FINISHED and not is_known(record)


def _joined(execution: Execution, *, attached: bool = True) -> None:
    if not any(isinstance(event, Started) for event in execution.events):
        execution.emit(Started(attached=attached))


def _again(record: OutcomeRecord) -> Result:
    assert record.result is not None
    return replace(record.result, already_done=record.result.status is Status.OK)


def _failure(answer: Answer) -> Failed:
    assert isinstance(answer, Failed), "nothing was sent, so nothing can have been answered"
    return answer
