"""Owns what nobody asks about any more: outcomes told as unknown, attempts of dead owners, facts not yet told.

It follows the journal, asks each tool's check with a backoff of its own, and tells the session what it
learns as a fact. It never sends a write. Several replicas may look at the same action: the compare-and-set
decides whose word it is, and the fact is told once per outcome (readers deduplicate by the record's
revision).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
from ringback_errors import RingbackError
from ringback_identity import Canonical

from ringback_tools.domain.catalogue import Tool, find
from ringback_tools.domain.checking import Verdict
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord, Permit, told
from ringback_tools.domain.results import Result
from ringback_tools.domain.upgrading import upgraded
from ringback_tools.ports import Catalogue, Clock, Facts, Journal, JournalAway, LostRace, Stored
from ringback_tools.usecases.execution import ActionRequest, Checked, Execution
from ringback_tools.usecases.finishing import Finisher
from ringback_tools.usecases.journaling import Scribe, is_known
from ringback_tools.usecases.writing import Writing

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)

ITEMS_MAX: Final = 10_000
AT_ONCE: Final = 8
BASE_MS: Final = 500
CAP_MS: Final = 300_000
# The session that asked comes first: with the backend's key it may still want another attempt.
ORPHAN_GRACE_MS: Final = 120_000
# Whoever settled it tells it at once; others step in only when that one has died.
RETELL_AFTER_MS: Final = 5_000
_FOLLOW_AGAIN_MS: Final = 2_000
_IDLE_MS: Final = 60_000


@dataclass(slots=True)
class _Item:
    stored: Stored
    due_ms: int
    turn: int = 0


class Reconciler:
    """Settles open records in the background."""

    def __init__(
        self,
        *,
        journal: Journal,
        scribe: Scribe,
        writing: Writing,
        finisher: Finisher,
        catalogue: Catalogue,
        facts: Facts,
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._scribe = scribe
        self._writing = writing
        self._finisher = finisher
        self._catalogue = catalogue
        self._facts = facts
        self._clock = clock
        self._roll = roll
        self._items: dict[tuple[str, str], _Item] = {}
        self._changed = asyncio.Event()

    @property
    def open(self) -> int:
        """Records that wait to be settled or told."""
        return len(self._items)

    def looks_into(self, session_id: str, action_id: str) -> bool:
        """Whether this action's record waits to be settled or told."""
        return (session_id, action_id) in self._items

    async def run(self) -> None:
        """Follow the journal and settle, until cancelled."""
        await self._follow()
        while True:
            self._changed.clear()
            now_ms = self._clock.now_ms()
            due = sorted((item for item in self._items.values() if item.due_ms <= now_ms), key=_due)[:AT_ONCE]
            if due:
                await asyncio.gather(*(self._settle_safely(item) for item in due))
                continue
            next_ms = min((item.due_ms for item in self._items.values()), default=now_ms + _IDLE_MS)
            try:
                async with asyncio.timeout(max(1, next_ms - now_ms) / 1000):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def seen(self, stored: Stored) -> None:
        """Take note of a record as it is now."""
        record = stored.record
        key = (record.session_id, record.action_id)
        due_ms = self._due_ms(record)
        if due_ms is None:
            self._items.pop(key, None)
            return
        before = self._items.get(key)
        if before is None and len(self._items) >= ITEMS_MAX:
            _log.error("more than %d open actions: %s is left to a restart", ITEMS_MAX, record.action_id)
            return
        self._items[key] = _Item(stored, due_ms, turn=before.turn if before else 0)
        self._changed.set()

    async def _follow(self) -> None:
        while True:
            try:
                await self._journal.follow(self.seen)
                return
            except JournalAway:
                await self._clock.sleep(_FOLLOW_AGAIN_MS)

    def _due_ms(self, record: OutcomeRecord) -> int | None:
        """When to look at a record; None: it needs nothing."""
        now_ms = self._clock.now_ms()
        if record.late_fact_due:
            return now_ms if record.owner == self._scribe.owner else now_ms + RETELL_AFTER_MS
        if record.state is ActionState.ATTEMPTING:
            return record.attempt_deadline_ms + ORPHAN_GRACE_MS
        if record.state is ActionState.FINISHED and not is_known(record):
            return max(now_ms, record.attempt_deadline_ms) + int(BASE_MS * (1 + self._roll()))
        return None

    async def _settle_safely(self, item: _Item) -> None:
        record = item.stored.record
        key = (record.session_id, record.action_id)
        try:
            ended = await self._settle(item)
        except LostRace:
            ended = True
        except RingbackError as error:
            _log.info("%s is settled later: %s", record.action_id, error.code)
            ended = False
        except Exception:
            _log.exception("settling %s failed", record.action_id)
            ended = False
        if self._items.get(key) is not item:
            return
        if ended:
            self._items.pop(key)
        else:
            item.turn += 1
            wait_ms = min(CAP_MS, BASE_MS * 2 ** min(item.turn, 20))
            item.due_ms = self._clock.now_ms() + int(wait_ms * (0.5 + self._roll() / 2))

    async def _settle(self, item: _Item) -> bool:
        """One look; true when nothing is left to do."""
        record = item.stored.record
        if record.late_fact_due:
            tool = await self._tool(record)
            return await self._tell(item.stored, tool)
        tool = await self._tool(record)
        if tool is None or tool.check is None or not tool.effectful:
            # Nobody can ever find out: a person must look, and the session's task says so.
            return True
        execution = self._execution(record, tool)
        asked_ms = self._clock.now_ms()
        verdict, data = await self._writing.verdict(execution)
        if verdict is Verdict.DONE:
            return await self._close(item.stored, self._finisher.ok(execution, data), tool)
        if verdict is Verdict.NOT_DONE and asked_ms >= record.attempt_deadline_ms + tool.check.settle_ms:
            return await self._close(item.stored, self._finisher.not_done(execution), tool)
        return False

    async def _close(self, stored: Stored, result: Result, tool: Tool) -> bool:
        closed = await self._scribe.finish(stored, result, definitive=False, late=True)
        return await self._tell(closed, tool)

    async def _tell(self, stored: Stored, tool: Tool | None) -> bool:
        if tool is not None:
            await self._facts.outcome_known(stored, tool=tool)
        await self._journal.update(stored, told(stored.record, now_ms=self._clock.now_ms()))
        return True

    async def _tool(self, record: OutcomeRecord) -> Tool | None:
        return find(await self._catalogue.tools(record.pack_digest), record.tool, version=record.tool_version)

    def _execution(self, record: OutcomeRecord, tool: Tool) -> Execution:
        request = ActionRequest(
            tenant=record.tenant,
            session_id=record.session_id,
            epoch=record.epoch,
            action_id=record.action_id,
            pack_digest=record.pack_digest,
            tool=record.tool,
            tool_version=record.tool_version,
            arguments_json=record.arguments_json,
            attach_only=True,
        )
        canonical = Canonical(json=record.arguments_json, digest=record.arguments_digest)
        arguments = upgraded(tool, orjson.loads(record.arguments_json), version=record.tool_version)
        checked = Checked(request, tool, arguments, canonical, Permit.LEARN)
        now_ms = self._clock.elapsed_ms()
        execution = Execution(checked, started_ms=now_ms, deadline_ms=now_ms + tool.deadline_ms)
        execution.attempts = record.attempt
        return execution


def _due(item: _Item) -> int:
    return item.due_ms
