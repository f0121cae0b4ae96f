"""Owns background work: taking it on, refusing it while the backlog is late, and giving up what cannot be begun.

What is taken on has a record (admitted, owned by nobody) and a message in the queue; whoever gets the
message runs the action as any other. Its end is told by the reconciler, as a fact.
"""

from __future__ import annotations

import logging
from typing import Final

from msgspec.structs import replace
from ringback_errors import NotFound, Overloaded, Unavailable

from ringback_tools.domain.alerts import BACKLOG, Alert
from ringback_tools.domain.backlog import late
from ringback_tools.domain.catalogue import find
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord, Permit
from ringback_tools.domain.requests import ActionRequest
from ringback_tools.domain.results import ErrorCode, Failed, Result
from ringback_tools.ports import (
    Catalogue,
    Clock,
    Facts,
    Fenced,
    JobQueue,
    Journal,
    JournalAway,
    LostRace,
    Stored,
    Waiting,
)
from ringback_tools.usecases.execution import Checked, Execution
from ringback_tools.usecases.finishing import Finisher
from ringback_tools.usecases.gate import mismatch, refusal
from ringback_tools.usecases.journaling import Scribe, is_known

__all__ = ["Jobs"]

_log = logging.getLogger(__name__)

LOOK_EVERY_MS: Final = 1_000
# Work that could not be begun for this long after it was taken on is given up, without effect.
GIVE_UP_MS: Final = 15 * 60_000
_SUBJECT: Final = "tools"
_MAY_PASS: Final = frozenset(
    {ErrorCode.TOOL_UNAVAILABLE, ErrorCode.OVERLOADED, ErrorCode.RATE_LIMITED, ErrorCode.TIMEOUT}
)


class Jobs:
    """The queue as the use cases see it."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        journal: Journal,
        scribe: Scribe,
        finisher: Finisher,
        catalogue: Catalogue,
        facts: Facts,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._catalogue = catalogue
        self._journal = journal
        self._scribe = scribe
        self._finisher = finisher
        self._facts = facts
        self._clock = clock
        self._waiting = Waiting()
        # Windows that the backlog has passed: nothing is taken on for tools of such a window.
        self._late: frozenset[int] = frozenset()
        self._windows: set[int] = set()

    @property
    def waiting(self) -> Waiting:
        """What waited at the last look."""
        return self._waiting

    async def watch(self) -> None:
        """Look at the backlog, until cancelled."""
        while True:
            try:
                self.look(await self._queue.waiting())
            except JournalAway as away:
                _log.info("the backlog is not known: %s", away)
            await self._clock.sleep(LOOK_EVERY_MS)

    def look(self, waiting: Waiting) -> None:
        """Take note of the backlog as it is now; tells when it becomes late, and when it is well again."""
        self._waiting = waiting
        found = late(self._windows, waiting.oldest_ms, before=self._late)
        changed = bool(found) != bool(self._late)
        self._late = found
        if changed:
            reason = f"the oldest of {waiting.count} waits for {waiting.oldest_ms} ms" if found else ""
            self._facts.alert_changed(Alert(BACKLOG, _SUBJECT, bool(found), reason))

    async def take_on(self, checked: Checked) -> Result:
        """Put the work into the queue, once however often it is asked for, or say how it ended."""
        try:
            return await self._taken_on(checked)
        except Fenced:
            return refusal(ErrorCode.FENCED, tool=checked.tool)
        except JournalAway:
            return self._instead(checked, ErrorCode.TOOL_UNAVAILABLE, detail="the journal is away")
        except Overloaded:
            return self._instead(checked, ErrorCode.OVERLOADED, detail="the queue is full")

    async def cancel(self, key: tuple[str, str, str], *, epoch: int) -> bool:
        """Take back work from the queue; false when it is too late or unknown. Raises JournalAway.

        The outcome decides: whoever gets the message finds it and does nothing, and whoever runs a read just now,
        on whichever replica, cannot store another. A write that may have been sent is past its point of no return.
        """
        tenant, session_id, action_id = key
        stored = await self._journal.get(session_id, action_id)
        if stored is None or stored.record.tenant != tenant or epoch < stored.record.epoch:
            return False
        if stored.record.state is ActionState.FINISHED:
            return False
        if stored.record.owner and not await self._may_stop(stored.record):
            return False
        # Whoever took it on was promised a fact about its end, and who settles it tells it.
        mine = Stored(replace(stored.record, owner=self._scribe.owner), stored.revision)
        try:
            await self._scribe.finish(mine, refusal(ErrorCode.CANCELLED), definitive=False, late=True)
        except LostRace:
            return False
        return True

    async def _may_stop(self, record: OutcomeRecord) -> bool:
        """Whether work that somebody has taken from the queue can be stopped without a doubt about its effect."""
        try:
            tools = await self._catalogue.tools(record.pack_digest)
        except (NotFound, Unavailable):
            return False
        tool = find(tools, record.tool, version=record.tool_version)
        if tool is None or not tool.background:
            return False
        return record.state is ActionState.ADMITTED or not tool.effectful

    async def close(self, request: ActionRequest, result: Result) -> None:
        """Make sure that work which ended like this has an end; raises Overloaded if it must come again.

        Work that could not be begun is tried again by the queue, and given up after a while.
        """
        stored = await self._journal.get(request.session_id, request.action_id)
        if stored is None or stored.record.state is ActionState.FINISHED:
            return
        if stored.record.state is ActionState.ATTEMPTING:
            raise Overloaded(f"{request.tool} was stopped while it ran; whoever gets it next settles it")
        young = self._clock.now_ms() - request.taken_on_at_ms < GIVE_UP_MS
        if young and result.error_code in _MAY_PASS:
            raise Overloaded(f"{request.tool} cannot be begun now")
        try:
            await self._scribe.finish(stored, result, definitive=False, late=True)
        except LostRace:
            _log.info("%s was begun after all", request.action_id)

    async def _taken_on(self, checked: Checked) -> Result:
        request, tool = checked.request, checked.tool
        await self._journal.fence(request.session_id, epoch=request.epoch)
        stored = await self._journal.get(request.session_id, request.action_id)
        if stored is None:
            if checked.permit is not Permit.START:
                return refusal(ErrorCode.NOT_STARTED, tool=tool)
            if refused := self._refused(checked):
                return refused
            stored = await self._admitted(checked)
        if other := mismatch(checked, stored.record):
            return other
        if is_known(stored.record):
            assert stored.record.result is not None
            return stored.record.result
        if stored.record.state is ActionState.ADMITTED and checked.permit is Permit.START:
            # Also when it was put before: that may have failed, and the queue takes it once.
            await self._queue.put(request)
        return self._finisher.accepted(tool, checked.arguments)

    async def _admitted(self, checked: Checked) -> Stored:
        now_ms = self._clock.elapsed_ms()
        execution = Execution(checked, started_ms=now_ms, deadline_ms=now_ms)
        try:
            return await self._scribe.admit_for_anybody(execution)
        except LostRace:
            stored = await self._journal.get(checked.request.session_id, checked.request.action_id)
            if stored is None:
                raise JournalAway("the record went away") from None
            return stored

    def _refused(self, checked: Checked) -> Result | None:
        window_ms = checked.tool.backlog_window_ms
        self._windows.add(window_ms)
        if window_ms not in self._late:
            return None
        return self._instead(checked, ErrorCode.OVERLOADED, detail="the backlog is late")

    def _instead(self, checked: Checked, code: ErrorCode, *, detail: str) -> Result:
        now_ms = self._clock.elapsed_ms()
        execution = Execution(checked, started_ms=now_ms, deadline_ms=now_ms)
        return self._finisher.failed(execution, Failed(code, retryable=True, blames=False, detail=detail))
