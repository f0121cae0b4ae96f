"""The part of `bootstrap` for all calls of a replica: who holds which, what was spent, what is measured.

Also what they ask of models beside the realtime one: to think, and to say words as they are.
"""

from __future__ import annotations

from typing import NamedTuple

from ringback_events import Bus, Subscription

from ringback_session.adapters.control_bus import ControlOnBus
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.adapters.handover_spans import hand_over_spans
from ringback_session.adapters.leases_kv import LeasesInBucket
from ringback_session.adapters.meters_otel import MetersWithOtel
from ringback_session.adapters.prices_file import load_prices
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.adapters.spending_kv import SpendingInBucket
from ringback_session.adapters.text_source import configured_text
from ringback_session.adapters.traces_kv import TracesInBucket
from ringback_session.adapters.voice_source import configured_voice
from ringback_session.domain.prices import PriceTable
from ringback_session.ports import Clock, Packs, Tenants, TextModel
from ringback_session.ports_voice import Voice
from ringback_session.server.admin import AdminServicer
from ringback_session.server.background import Background
from ringback_session.server.peers import Peers
from ringback_session.settings import SessionSettings, variable
from ringback_session.usecases.calls import Calls
from ringback_session.usecases.erasing import Erase
from ringback_session.usecases.gathering import GatheredFacts
from ringback_session.usecases.ledger import Ledger
from ringback_session.usecases.measuring import Measuring
from ringback_session.usecases.observing import ObservedFacts
from ringback_session.usecases.operators import Operators
from ringback_session.usecases.watching import Watchers

__all__ = ["Upkeep", "make_upkeep"]


class Upkeep(NamedTuple):
    """What all calls of a replica share, beside the platform's services and the realtime model."""

    # Goes on while calls drain: they are held until they are over.
    renewing: Background
    records: RecordsInBucket
    facts: ObservedFacts
    control: ControlOnBus
    meters: MetersWithOtel
    prices: PriceTable
    ledger: Ledger
    watchers: Watchers
    peers: Peers
    erase: Erase
    text: TextModel | None
    voice: Voice | None
    watches: tuple[Subscription, ...]

    def admin(self, calls: Calls, packs: Packs, *, drain_ms: int) -> AdminServicer:
        return AdminServicer(
            calls,
            drain_ms=drain_ms,
            operators=Operators(calls, self.control, packs),
            watchers=self.watchers,
            peers=self.peers,
            presence=self.records,
            records=self.records,
            ledger=self.ledger,
            erase=self.erase,
        )

    async def close(self) -> None:
        for asked in (self.text, self.voice):
            if asked is not None:
                await asked.close()
        await self.renewing.stop()
        await self.peers.close()
        for watch in self.watches:
            await watch.close()


async def make_upkeep(
    settings: SessionSettings, bus: Bus, *, clock: Clock, tenants: Tenants, owner: str
) -> Upkeep:
    """Raises ConfigError for a table of prices that cannot be read."""
    prices = load_prices(settings.prices_file)
    leases = LeasesInBucket(bus, clock, owner=owner, lease_ms=settings.lease_ms)
    records, spending = RecordsInBucket(bus, clock, leases.known), SpendingInBucket(bus)
    control, meters = ControlOnBus(bus, clock, replica=owner), MetersWithOtel()
    ledger = Ledger(spending=spending, tenants=tenants, control=control, clock=clock, meters=meters)
    facts = ObservedFacts(GatheredFacts(FactsOnBus(bus), clock))
    watchers = Watchers()
    facts.listen(ledger.fact)
    facts.listen(watchers.fact)
    facts.listen(Measuring(meters))
    facts.listen(hand_over_spans)
    watches = (await leases.watch(), await records.watch(), await spending.watch())
    peers, erase = Peers(tls=settings.tls), Erase(TracesInBucket(bus), told=control)
    return Upkeep(
        Background(leases.renew_forever()),
        records,
        facts,
        control,
        meters,
        prices,
        ledger,
        watchers,
        peers,
        erase,
        configured_text(settings, variable=variable, on_breaker=control.text_breaker_changed),
        configured_voice(settings, variable=variable, on_breaker=control.voice_breaker_changed),
        watches,
    )
