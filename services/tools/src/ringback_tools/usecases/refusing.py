"""Owns the refusal of an action that could not start now, before anything is made for it.

A tool that hangs is asked by many at once; those must cost next to nothing, since whoever wants another tool waits
behind them. The answer is the one that the whole way would have led to, and whatever is known of a write wins.
"""

from __future__ import annotations

from msgspec.structs import replace

from ringback_tools.domain.outcomes import Permit
from ringback_tools.domain.results import ErrorCode, Failed, Result
from ringback_tools.ports import Clock, Journal, JournalAway
from ringback_tools.usecases.attempts import Attempts
from ringback_tools.usecases.execution import Execution
from ringback_tools.usecases.finishing import Finisher

__all__ = ["JOURNAL_AWAY", "Refusing"]

JOURNAL_AWAY = Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, blames=False, detail="the journal is away")


class Refusing:
    """Looks at the tool's queue, switch and breaker."""

    def __init__(self, *, attempts: Attempts, finisher: Finisher, journal: Journal, clock: Clock) -> None:
        self._attempts = attempts
        self._finisher = finisher
        self._journal = journal
        self._clock = clock

    async def refusal(self, execution: Execution) -> Result | None:
        """Why the action cannot start now; None if it may, or if something is known of it already."""
        checked = execution.checked
        # Work from the queue was taken on; whoever only asks is told what is known.
        if checked.permit is Permit.LEARN or checked.request.taken_on_at_ms:
            return None
        failure = self._attempts.refused(execution.tool, priority=checked.request.priority)
        if failure is None:
            return None
        if execution.tool.journalled:
            try:
                if await self._journal.get(checked.request.session_id, checked.request.action_id):
                    return None
            except JournalAway:
                failure = JOURNAL_AWAY
        result = self._finisher.failed(execution, failure)
        return replace(result, duration_ms=self._clock.elapsed_ms() - execution.started_ms)
