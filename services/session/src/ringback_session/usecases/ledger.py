"""What each tenant has spent today, counted over all replicas, and what happens at its limits.

Every process keeps its own sums under a key of its own, so nobody writes over anybody; all of them watch all keys. What
a process counts is known to the others a flush and a watch later; a killed one loses at most what it had not flushed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from ringback_errors import RingbackError

from ringback_session.domain.effects import Publish
from ringback_session.domain.usage import Budget, Tokens, crossed
from ringback_session.ports import Clock, Pinned, Tenants
from ringback_session.ports_upkeep import Control, DaySpend, Meters, Spending

__all__ = ["FLUSH_MS", "Ledger"]

log = logging.getLogger(__name__)

FLUSH_MS = 2_000
DAYS_KEPT = 7
_PICO_IN_NANO = 1_000
_KINDS = Tokens.__struct_fields__
# (tenant, level): a limit of the tenant's day is reached.
OnReached = Callable[[str, str], None]


class Ledger:
    """Sums of this process by tenant and day, beside those that the others wrote down."""

    def __init__(
        self, *, spending: Spending, tenants: Tenants, control: Control, clock: Clock, meters: Meters
    ) -> None:
        self._spending = spending
        self._tenants = tenants
        self._control = control
        self._clock = clock
        self._meters = meters
        self._own: dict[tuple[str, str], DaySpend] = {}
        self._unwritten: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str, str]] = set()
        self.on_reached: OnReached = lambda tenant, level: None

    def fact(self, fact: Publish, pinned: Pinned) -> None:
        """A fact of one of our calls; those of usage are added up."""
        if fact.kind == "budget_crossed":
            self._meters.budget(fact.body["scope"], fact.body["level"])
        if fact.kind != "usage_reported":
            return
        body = fact.body
        tokens = Tokens(**{kind: body[kind] for kind in _KINDS})
        cost_pico, unpriced = body["cost_nano_usd"] * _PICO_IN_NANO, body["unpriced"]
        self._meters.spent(pinned.tenant, body["model"], tokens, cost_pico=cost_pico, unpriced=unpriced)
        key = (pinned.tenant, self._today())
        sums = self._own.setdefault(key, DaySpend(tenant=key[0], day=key[1]))
        self._own[key] = sums.plus(tokens, cost_pico=cost_pico, unpriced=unpriced)
        self._unwritten.add(key)
        self.judge(pinned.tenant)

    def spent(self, tenant: str, day: str) -> DaySpend:
        """What a tenant has spent on a day, as far as this replica knows."""
        total = self._own.get((tenant, day), DaySpend(tenant=tenant, day=day))
        for other in self._spending.of(tenant, day):
            total = total.plus(
                other.tokens, cost_pico=other.cost_pico, unpriced=other.unpriced, reports=other.reports
            )
        return total

    def days(self, tenant: str) -> Iterable[DaySpend]:
        """The days that are remembered, the newest first; those without spending are left out."""
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date()
        for back in range(DAYS_KEPT):
            found = self.spent(tenant, (today - timedelta(days=back)).isoformat())
            if found.reports:
                yield found

    def level(self, tenant: str) -> str:
        """The highest limit of the tenant's day that is reached: hard, soft or none (empty)."""
        found = self.spent(tenant, self._today())
        return crossed(self._budget(tenant), cost_pico=found.cost_pico, tokens=found.tokens.total)

    def until_tomorrow_ms(self) -> int:
        """When the tenant's day is over."""
        day_ms = 86_400_000
        return day_ms - self._clock.now_ms() % day_ms

    def judge(self, tenant: str) -> None:
        """Has a limit of the tenant's day been reached? Told once a day by each replica."""
        level = self.level(tenant)
        if not level or (tenant, self._today(), level) in self._told:
            return
        self._told.add((tenant, self._today(), level))
        found, budget = self.spent(tenant, self._today()), self._budget(tenant)
        self._meters.budget("tenant", level)
        self._control.budget_crossed(found, level, budget)
        self.on_reached(tenant, level)

    async def flush(self) -> None:
        """Write down what was added since the last time. Raises Unavailable; nothing is forgotten then."""
        for key in list(self._unwritten):
            self._unwritten.discard(key)
            try:
                await self._spending.keep(self._own[key])
            except RingbackError:
                self._unwritten.add(key)
                raise

    async def flush_forever(self) -> None:
        """Write down and judge what others wrote, until cancelled; while the store is away it waits."""
        while True:
            await asyncio.sleep(FLUSH_MS / 1000)
            try:
                await self.flush()
            except RingbackError as error:
                log.info("what was spent is written down later: %s", error.code)
            for tenant in self._spending.tenants(self._today()):
                self.judge(tenant)
            self._forget()

    def _budget(self, tenant: str) -> Budget:
        caller = self._tenants.find(tenant)
        return Budget() if caller is None else caller.budgets.day

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date().isoformat()

    def _forget(self) -> None:
        oldest = (
            datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date() - timedelta(days=DAYS_KEPT)
        ).isoformat()
        for key in [key for key in self._own if key[1] < oldest]:
            del self._own[key]
            self._unwritten.discard(key)
        self._told = {told for told in self._told if told[1] >= oldest}
