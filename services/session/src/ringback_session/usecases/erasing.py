"""Erasure of what this service keeps of a session that has ended, and of its caller's client secrets."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from ringback_errors import Conflict, InvalidInput

from ringback_session.ports_upkeep import Erasures, Traces

__all__ = ["ACTOR_CHARS_MAX", "Erase", "Erased"]

ACTOR_CHARS_MAX = 128


class Erased(msgspec.Struct, frozen=True):
    """What a first look found, what was removed, what a second look found."""

    found: int
    removed: int
    left: int


class Erase:
    """Any replica may do it, and again; the compare-and-set of each removal decides against a late write."""

    def __init__(self, traces: Traces, *, told: Erasures) -> None:
        self._traces = traces
        self._told = told

    async def __call__(
        self, *, tenant: str, session_id: str = "", caller_id: str = "", actor: str = ""
    ) -> Erased:
        """What was removed is told for the audit.

        Raises InvalidInput; Conflict for a session that has not ended, before anything is removed; Unavailable.
        """
        if not tenant:
            raise InvalidInput("the tenant of the session expected", field="tenant")
        if len(actor) > ACTOR_CHARS_MAX:
            raise InvalidInput(f"at most {ACTOR_CHARS_MAX} characters expected", field="actor")
        if not session_id and not caller_id:
            raise InvalidInput("a session or a caller expected", field="session_id")
        before = await self._traces.find(tenant=tenant, session_id=session_id, caller_id=caller_id)
        if not all(trace.removable for trace in before):
            raise Conflict("the session has not ended", field="session_id")
        for trace in before:
            # Changed since: the second look finds it.
            with suppress(Conflict):
                await self._traces.remove(trace)
        left = len(await self._traces.find(tenant=tenant, session_id=session_id, caller_id=caller_id))
        erased = Erased(found=len(before), removed=len(before) - min(len(before), left), left=left)
        if before:
            self._told.session_erased(
                tenant=tenant, session_id=session_id, removed=erased.removed, left=left, actor=actor
            )
        return erased
