"""Who is let in: bounds of this replica, quotas of a tenant over all replicas, and the health of the event loop.

A call that is in stays in: everything here is about new ones. What a resume brings back was admitted before; it meets
only the bound of the replica that it comes to.

    Overloaded
    └── Refused   `reason` says which bound; `of_tenant` whether another replica would refuse it too
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import msgspec
from ringback_errors import Overloaded

from ringback_session.ports import Caller
from ringback_session.ports_upkeep import Meters, Presence
from ringback_session.usecases.call import Call
from ringback_session.usecases.ledger import Ledger

__all__ = ["Admission", "AdmissionLimits", "LoopLag", "Refused"]

SHORTLY_MS = 1_000
LATER_MS = 5_000
# One collection of garbage is no overload: half of what was seen in about a second must be late.
LAG_SAMPLES = 10


class Refused(Overloaded):
    """A bound is reached; nothing was begun."""

    def __init__(self, message: str, *, reason: str, retry_after_ms: int, of_tenant: bool = False) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.reason = reason
        self.of_tenant = of_tenant


class AdmissionLimits(msgspec.Struct, frozen=True):
    """Bounds of one replica; a `loop_lag_ms_max` of 0 switches shedding off."""

    calls_max: int = 200
    starts_max: int = 64
    loop_lag_ms_max: int = 250


class LoopLag:
    """How late the loop runs its timers, and whether that is too late; it recovers at half the limit."""

    def __init__(self, *, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._late: deque[float] = deque(maxlen=LAG_SAMPLES)
        self.shedding = False

    @property
    def typical_ms(self) -> float:
        """The median of the last samples."""
        return median(self._late) if self._late else 0.0

    def note(self, late_ms: float) -> None:
        self._late.append(max(0.0, late_ms))
        if not self._limit_ms or len(self._late) < LAG_SAMPLES // 2:
            return
        limit_ms = self._limit_ms / 2 if self.shedding else self._limit_ms
        self.shedding = self.typical_ms > limit_ms


class Admission:
    """Decides about each new call, twice: before its upgrade, cheaply, and at its start, without a gap."""

    def __init__(
        self,
        *,
        limits: AdmissionLimits,
        running: Mapping[str, Call],
        presence: Presence,
        meters: Meters,
        ledger: Ledger | None = None,
    ) -> None:
        self.lag = LoopLag(limit_ms=limits.loop_lag_ms_max)
        self.draining = False
        self._limits = limits
        # The calls that this replica holds, by session.
        self._running = running
        self._presence = presence
        self._meters = meters
        self._ledger = ledger
        self._starting: dict[str, str] = {}

    def check(self, *, waiting: int = 0, resuming: bool = False) -> None:
        """Raises Refused when this replica takes no further call. `waiting`: connections that are no call yet."""
        if self.draining:
            self._refuse("draining", "this replica is shutting down: connect again", SHORTLY_MS)
        if waiting >= self._limits.starts_max:
            self._refuse(
                "starts_max",
                f"{self._limits.starts_max} calls are starting here, the limit: try again shortly",
                SHORTLY_MS,
            )
        if resuming:
            # Whether it is one of ours already is known once its token was looked up.
            return
        self._check_room()
        if self.lag.shedding:
            self._refuse("loop_lag", "this replica is too busy for further calls: try again later", LATER_MS)

    def check_resume(self, session_id: str) -> None:
        """Raises Refused when the session would be one too many here; nothing of it has changed then."""
        if session_id not in self._running:
            self._check_room()

    def check_tenant(self, caller: Caller) -> None:
        """Raises Refused when the tenant holds as many calls as it may, on all replicas together."""
        if not caller.sessions_max:
            return
        held = self.held(caller.tenant)
        if held >= caller.sessions_max:
            self._refuse(
                "tenant_quota",
                f"this tenant holds {held} calls, its quota: try again later",
                LATER_MS,
                of_tenant=True,
            )

    def check_budget(self, caller: Caller) -> None:
        """Raises Refused when the tenant has spent what it may today."""
        if self._ledger is not None and self._ledger.level(caller.tenant) == "hard":
            self._refuse(
                "tenant_budget",
                "this tenant's budget for today is used up",
                self._ledger.until_tomorrow_ms(),
                of_tenant=True,
            )

    @contextmanager
    def starting(self, caller: Caller, session_id: str) -> Iterator[None]:
        """A call is being started: it counts from here on. Raises Refused."""
        self.check()
        self.check_tenant(caller)
        self.check_budget(caller)
        self._starting[session_id] = caller.tenant
        try:
            yield
        finally:
            self._starting.pop(session_id, None)

    def held(self, tenant: str) -> int:
        """Calls of a tenant: ours exactly, those of others as their records told last."""
        running, starting = self._running, self._starting
        # Nearly all that is known is ours on a busy replica, and needs no look at its lease.
        others = sum(
            present.session_id not in running
            and present.session_id not in starting
            and self._presence.leased(present)
            for present in self._presence.of_tenant(tenant)
        )
        ours = sum(call.state.tenant == tenant for call in running.values())
        return others + ours + sum(starting[session_id] == tenant for session_id in self._only_starting())

    def _only_starting(self) -> list[str]:
        """Calls that are no running ones yet."""
        return [session_id for session_id in self._starting if session_id not in self._running]

    def _check_room(self) -> None:
        if len(self._running) + len(self._only_starting()) >= self._limits.calls_max:
            self._refuse(
                "calls_max",
                f"this replica holds {self._limits.calls_max} calls, its limit: try again later",
                LATER_MS,
            )

    def _refuse(self, reason: str, message: str, retry_after_ms: int, *, of_tenant: bool = False) -> None:
        self._meters.refused(reason)
        raise Refused(message, reason=reason, retry_after_ms=retry_after_ms, of_tenant=of_tenant)
