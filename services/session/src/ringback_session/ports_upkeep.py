"""What looking after all calls of a replica needs of the outside world, in its own words."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Protocol

import msgspec

from ringback_session.domain.usage import Budget, Tokens

__all__ = ["Control", "DaySpend", "Meters", "Presence", "Present", "Spending", "Trace", "Traces"]


class DaySpend(msgspec.Struct, frozen=True):
    """What a tenant used on one day (UTC, YYYY-MM-DD)."""

    tenant: str
    day: str
    tokens: Tokens = Tokens()
    cost_pico: int = 0
    unpriced: int = 0
    reports: int = 0

    def plus(self, tokens: Tokens, *, cost_pico: int, unpriced: int, reports: int = 1) -> DaySpend:
        return msgspec.structs.replace(
            self,
            tokens=self.tokens + tokens,
            cost_pico=self.cost_pico + cost_pico,
            unpriced=self.unpriced + unpriced,
            reports=self.reports + reports,
        )


class Present(msgspec.Struct, frozen=True):
    """A session that has not ended, as its record told last: a watch's delay ago.

    `heard_ms`: when it did, in what this process has heard of itself (`usecases.leases`).
    """

    session_id: str
    tenant: str
    epoch: int
    owner: str
    owner_address: str
    revision: int
    heard_ms: int
    # Of the process that holds it; empty for an owner of a release that renews `lease_until_ms` (unix) instead.
    lease_id: str
    lease_until_ms: int


class Presence(Protocol):
    """Who holds which session, on all replicas, as far as their records have come."""

    def find(self, session_id: str) -> Present | None: ...

    def of_tenant(self, tenant: str) -> Iterable[Present]:
        """The sessions of a tenant, those with a lease that ran out too; of all tenants for an empty one."""
        ...

    def leased(self, present: Present) -> bool:
        """Whether its lease holds. What this very process let go of has it for as long as that of another lasts."""
        ...

    async def expired(self, *, for_ms: int, but: Container[str] = ()) -> list[Present]:
        """Sessions whose lease ran out that long ago and that did not end, but for those named; 100 at most."""
        ...


class Meters(Protocol):
    """The replica's own metrics."""

    def refused(self, reason: str) -> None: ...

    def sessions(self, number: int) -> None: ...

    def loop_lag(self, late_ms: float) -> None: ...

    def spent(self, tenant: str, model: str, tokens: Tokens, *, cost_pico: int, unpriced: int) -> None: ...

    def budget(self, scope: str, level: str) -> None: ...

    def interrupted(self, stop_ms: float) -> None: ...

    def handed_over(self, outcome: str, took_ms: float) -> None: ...


class Spending(Protocol):
    """What tenants spent, by day, as every process of session wrote it down."""

    async def keep(self, sums: DaySpend) -> None:
        """Write down this process's sums of one tenant and day. Raises Unavailable."""
        ...

    def of(self, tenant: str, day: str) -> Iterable[DaySpend]:
        """The sums of all other processes."""
        ...

    def tenants(self, day: str) -> Iterable[str]:
        """Those that the others know to have spent something."""
        ...


class Control(Protocol):
    """Facts of no session."""

    def budget_crossed(self, spent: DaySpend, level: str, budget: Budget) -> None: ...

    def operator_acted(
        self,
        action: str,
        actor: str,
        reason: str,
        *,
        detail: str = "",
        session_id: str = "",
        tenant: str = "",
        outcome: str = "ok",
    ) -> None: ...


class Trace(msgspec.Struct, frozen=True):
    """One entry of the bucket that leads to a session or its caller; `revision` makes its removal a compare-and-set."""

    key: str
    revision: int
    # Not so: the record of a session that has not ended, on any replica.
    removable: bool = True


class Erasures(Protocol):
    """Tells of erasures, for the audit."""

    def session_erased(
        self, *, tenant: str, session_id: str, removed: int, left: int, actor: str
    ) -> None: ...


class Traces(Protocol):
    """Everything that KV `sessions` holds of a session and of its caller, for erasure."""

    async def find(self, *, tenant: str, session_id: str, caller_id: str) -> list[Trace]:
        """Its record, all resume tokens that ever led to it, the caller's client secrets. Raises Unavailable."""
        ...

    async def remove(self, trace: Trace) -> None:
        """Raises Conflict when it has changed since it was found; Unavailable."""
        ...
