"""Owns memory across calls: remembering an ended call, recalling at the next one, consent, retention."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from ringback_errors import Conflict, InvalidInput, NotFound, RingbackError, Unavailable

from ringback_memory.domain import callers
from ringback_memory.domain.callers import Caller, Recall
from ringback_memory.domain.schema import SlotSchema
from ringback_memory.domain.state import State
from ringback_memory.ports import CallerStore, Clock, Gauges, SessionKey

CONFLICTS_MAX = 8
CALLER_ID_CHARS_MAX = 160
RECALL_WAIT_MS = 150
"""How long a context waits for what earlier calls left."""
DAY_MS = 24 * 3_600_000
SWEEP_EVERY_MS = 3_600_000


@dataclass(slots=True)
class Callers:
    """Long-term memory per caller id, for as long as `retention_ms` after each call."""

    store: CallerStore
    clock: Clock
    gauges: Gauges
    retention_ms: int = 90 * DAY_MS

    async def remember(self, key: SessionKey, state: State, schema: SlotSchema) -> None:
        """Merge what a call leaves into what is kept of its caller, if the caller agreed. Raises Unavailable."""
        if not state.caller_id or not state.ended:
            return
        state = state if state.session_id else _named(state, key)
        await self._change(
            key.tenant, state.caller_id, lambda one: callers.with_call(one, state, schema=schema)
        )

    async def recall(self, key: SessionKey, state: State, *, deadline_ms: int) -> Recall | None:
        """What earlier calls left; None without consent, or when it cannot be had in time."""
        if not state.caller_id:
            return None
        wait_ms = max(1, min(RECALL_WAIT_MS, deadline_ms))
        try:
            stored = await self.store.load(key.tenant, state.caller_id, timeout_ms=wait_ms)
        except RingbackError:
            self.gauges.fell_back("caller_recall")
            return None
        if stored is None:
            return None
        kept = self._kept(stored.caller)
        return callers.recall(kept, but=key.session_id) if kept.may_be_kept else None

    async def show(self, tenant: str, caller_id: str) -> Caller:
        """All that is kept. Raises NotFound, InvalidInput, Unavailable."""
        check_caller(tenant, caller_id)
        stored = await self.store.load(tenant, caller_id)
        kept = self._kept(stored.caller) if stored else None
        if kept is None or callers.is_empty(kept):
            raise NotFound(f"caller {caller_id!r}: nothing is kept", field="caller_id")
        return kept

    async def consent(self, tenant: str, caller_id: str, *, consent: str, source: str) -> Caller:
        """Note a decision about consent. Raises InvalidInput, Unavailable."""
        check_caller(tenant, caller_id)
        if consent not in (callers.GIVEN, callers.REFUSED):
            raise InvalidInput("consent: given or refused expected", field="consent")
        now_ms = self.clock.now_ms()
        return await self._change(
            tenant,
            caller_id,
            lambda one: callers.with_consent(one, consent, at_ms=now_ms, source=source[:CALLER_ID_CHARS_MAX]),
        )

    async def sweep(self) -> int:
        """Remove what has outlived its retention, everywhere; the number of callers that this changed."""
        changed = 0
        for stored in await self.store.all_of():
            if self._kept(stored.caller) is not stored.caller:
                await self._change(stored.caller.tenant, stored.caller.caller_id, self._kept)
                changed += 1
        return changed

    async def sweep_forever(self) -> None:
        """Sweep each hour, until cancelled; a sweep that fails is made up for by the next."""
        while True:
            with contextlib.suppress(RingbackError):
                await self.sweep()
            await self.clock.wait(SWEEP_EVERY_MS)

    def _kept(self, caller: Caller) -> Caller:
        return callers.without_expired(caller, now_ms=self.clock.now_ms(), retention_ms=self.retention_ms)

    async def _change(self, tenant: str, caller_id: str, change: Callable[[Caller], Caller]) -> Caller:
        for _ in range(CONFLICTS_MAX):
            stored = await self.store.load(tenant, caller_id)
            before = stored.caller if stored else Caller(tenant, caller_id)
            after = self._kept(change(before))
            if after == before:
                return after
            try:
                if callers.is_empty(after) and stored is not None:
                    await self.store.remove(tenant, caller_id, revision=stored.revision)
                else:
                    await self.store.save(after, revision=stored.revision if stored else None)
            except Conflict:
                await asyncio.sleep(0)
                continue
            return after
        raise Unavailable(f"lost {CONFLICTS_MAX} compare-and-sets in a row to other replicas")


def check_caller(tenant: str, caller_id: str) -> None:
    """Raise InvalidInput for a caller that cannot be named."""
    for field, value in (("tenant", tenant), ("caller_id", caller_id)):
        if not value or len(value) > CALLER_ID_CHARS_MAX:
            raise InvalidInput(f"{field}: 1 to {CALLER_ID_CHARS_MAX} characters expected", field=field)


def _named(state: State, key: SessionKey) -> State:
    return msgspec.structs.replace(state, tenant=key.tenant, session_id=key.session_id)
