"""Owns how a write is written down: each state before what it announces, and its outcome even through an outage.

An outcome that could not be stored is kept and stored as soon as the journal is back; until then the
execution counts as running here, so that duplicates attach to it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from ringback_tools.domain.outcomes import (
    ActionState,
    OutcomeRecord,
    admitted,
    attempting,
    finished,
    reconciled,
    withdrawn,
)
from ringback_tools.domain.results import Result
from ringback_tools.ports import Clock, Journal, JournalAway, LostRace, Stored
from ringback_tools.usecases.execution import Execution

__all__ = ["Scribe"]

_log = logging.getLogger(__name__)

# A lease of an action that waits for its first attempt; a slot was taken before, so this is only bookkeeping.
ADMITTED_LEASE_MS: Final = 2_000
_PERSIST_WAIT_MS: Final = (100, 500, 1_000, 2_000)


class Scribe:
    """Writes the records of this process."""

    def __init__(self, *, journal: Journal, clock: Clock, owner: str) -> None:
        self._journal = journal
        self._clock = clock
        self.owner = owner

    async def admit(self, execution: Execution, over: Stored | None) -> Stored:
        """The action is this process's now; raises LostRace if it is somebody else's."""
        now_ms = self._clock.now_ms()
        record = over.record if over else _fresh(execution)
        record = admitted(record, owner=self.owner, lease_ms=ADMITTED_LEASE_MS, now_ms=now_ms)
        return await (self._journal.update(over, record) if over else self._journal.create(record))

    async def admit_for_anybody(self, execution: Execution) -> Stored:
        """The action is taken on; whoever comes first may begin it. Raises LostRace if there is a record."""
        now_ms = self._clock.now_ms()
        return await self._journal.create(admitted(_fresh(execution), owner="", lease_ms=0, now_ms=now_ms))

    async def begin(self, execution: Execution, over: Stored | None, *, timeout_ms: int) -> Stored:
        """Admit the action and write attempt 1 down by one compare-and-set; raises LostRace if somebody else has it."""
        now_ms = self._clock.now_ms()
        record = admitted(
            over.record if over else _fresh(execution), owner=self.owner, lease_ms=0, now_ms=now_ms
        )
        record = attempting(record, owner=self.owner, timeout_ms=timeout_ms, now_ms=now_ms)
        return await (self._journal.update(over, record) if over else self._journal.create(record))

    async def withdraw(self, stored: Stored) -> None:
        """Take back an attempt that was written down and never sent, so that nobody has to wait for its deadline."""
        with suppress(LostRace, JournalAway):
            await self._journal.update(stored, withdrawn(stored.record, now_ms=self._clock.now_ms()))

    async def attempt(self, stored: Stored, *, timeout_ms: int) -> Stored:
        """Attempt n + 1 may be sent after this."""
        now_ms = self._clock.now_ms()
        record = attempting(stored.record, owner=self.owner, timeout_ms=timeout_ms, now_ms=now_ms)
        return await self._journal.update(stored, record)

    async def finish(self, stored: Stored, result: Result, *, definitive: bool, late: bool = False) -> Stored:
        """The outcome. A definitive one (the system itself said so) stands whoever changed the record meanwhile.

        `late`: it was told as unknown before, so the session must be told by a fact. Raises LostRace.
        """
        close = reconciled if late else finished
        while True:
            try:
                return await self._journal.update(
                    stored, close(stored.record, result, now_ms=self._clock.now_ms())
                )
            except LostRace:
                found = await self._journal.get(stored.record.session_id, stored.record.action_id)
                if found is None or not definitive or is_known(found.record):
                    raise
                stored = found

    async def finish_sometime(self, stored: Stored, result: Result, *, definitive: bool) -> None:
        """Store an outcome that was already told, however long the journal is away."""
        turn = 0
        while True:
            try:
                await self.finish(stored, result, definitive=definitive)
                return
            except LostRace:
                return
            except JournalAway:
                wait_ms = _PERSIST_WAIT_MS[min(turn, len(_PERSIST_WAIT_MS) - 1)]
                if turn == 0:
                    _log.warning("outcome of %s waits for the journal", stored.record.action_id)
                turn += 1
                await self._clock.sleep(wait_ms)


def is_known(record: OutcomeRecord) -> bool:
    """Whether the record holds a known outcome, which is final."""
    return record.state is ActionState.FINISHED and record.result is not None and record.result.known


def _fresh(execution: Execution) -> OutcomeRecord:
    checked, request = execution.checked, execution.checked.request
    return OutcomeRecord(
        tenant=request.tenant,
        session_id=request.session_id,
        action_id=request.action_id,
        epoch=request.epoch,
        tool=checked.tool.name,
        tool_version=request.tool_version or checked.tool.version,
        arguments_json=checked.canonical.json,
        arguments_digest=checked.canonical.digest,
        pack_digest=request.pack_digest,
        decision_id=request.proof.decision_id if request.proof else "",
    )
