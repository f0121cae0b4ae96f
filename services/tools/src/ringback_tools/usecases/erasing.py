"""Owns erasure: the outcomes of a session that is over are removed, but for those that are still needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ringback_errors import InvalidInput

from ringback_tools.domain.outcomes import ActionState, OutcomeRecord
from ringback_tools.ports import Clock, Facts, Journal, LostRace

__all__ = ["Erased", "Erasing"]

ACTOR_CHARS_MAX: Final = 128
# Whoever would still begin an action that was taken on does so within this time.
ABANDONED_MS: Final = 120_000
# The queue of background work drops what nobody did in this time (JOBS in topology.yaml).
QUEUED_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Erased:
    """What a first look found, what was removed, what a second look found."""

    found: int
    removed: int
    left: int


class Erasing:
    """Any replica may do it, and again. `open_here`: whether the reconciler still looks into an action."""

    def __init__(
        self, *, journal: Journal, clock: Clock, facts: Facts, open_here: Callable[[str, str], bool]
    ) -> None:
        self._journal = journal
        self._facts = facts
        self._clock = clock
        self._open_here = open_here

    async def erase(self, tenant: str, session_id: str, *, actor: str = "") -> Erased:
        """What was removed is told for the audit. Raises InvalidInput; JournalAway, then ask again."""
        if len(actor) > ACTOR_CHARS_MAX:
            raise InvalidInput(f"at most {ACTOR_CHARS_MAX} characters expected", field="actor")
        found = await self._look(tenant, session_id)
        if not found:
            return Erased(found=0, removed=0, left=0)
        for stored in await self._journal.of_session(session_id):
            if stored.record.tenant == tenant and self._over(stored.record):
                # Changed since: the second look finds it.
                with suppress(LostRace):
                    await self._journal.remove(stored)
        # Last, and not before all else is gone: it is what keeps an owner of the past from acting.
        if not await self._journal.of_session(session_id):
            await self._journal.forget_epoch(session_id)
        left = await self._look(tenant, session_id)
        erased = Erased(found=found, removed=found - min(found, left), left=left)
        self._facts.session_erased(tenant, session_id, removed=erased.removed, left=erased.left, actor=actor)
        return erased

    async def _look(self, tenant: str, session_id: str) -> int:
        stored = await self._journal.of_session(session_id)
        if any(one.record.tenant != tenant for one in stored):
            return 0
        return len(stored) + int(await self._journal.has_epoch(session_id))

    def _over(self, record: OutcomeRecord) -> bool:
        if record.late_fact_due or self._open_here(record.session_id, record.action_id):
            return False
        if record.state is ActionState.ADMITTED:
            waits_ms = ABANDONED_MS if record.owner else QUEUED_MS
            return self._clock.now_ms() - record.updated_at_ms >= waits_ms
        return record.state is ActionState.FINISHED
