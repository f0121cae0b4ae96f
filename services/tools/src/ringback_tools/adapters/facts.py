"""Owns what tools tell others over the bus: breakers as control facts, reconciled outcomes as late facts."""

from __future__ import annotations

import logging
from typing import Final

from ringback.events.v1 import events_pb2
from ringback_calling import BreakerState as ShownState
from ringback_calling import show_breaker
from ringback_errors import RingbackError, Unavailable
from ringback_events import Bus, control_subject, fact_subject
from ringback_identity import new_id
from ringback_telemetry import gauge
from ringback_telemetry.names import Attr, Metric

from ringback_tools.domain.alerts import Alert
from ringback_tools.domain.breaker import Breaker, BreakerState
from ringback_tools.domain.catalogue import Tool
from ringback_tools.ports import Clock, JournalAway, Stored
from ringback_tools.wire import late_fact, timestamp

__all__ = ["BusFacts", "NoFacts"]

_log = logging.getLogger(__name__)
TIMEOUT_MS: Final = 2_000


class BusFacts:
    """Facts on the bus."""

    def __init__(self, bus: Bus, *, replica: str, clock: Clock) -> None:
        self._bus = bus
        self._replica = replica
        self._clock = clock

    def breaker_changed(self, dependency: str, breaker: Breaker) -> None:
        show_breaker(dependency, ShownState(breaker.state))
        fact = events_pb2.ControlFact(
            schema_version=1, producer="tools", occurred_at=timestamp(self._clock.now_ms())
        )
        if breaker.state is BreakerState.OPEN:
            kind = "breaker_opened"
            opened = events_pb2.BreakerOpened(
                dependency=dependency,
                replica=self._replica,
                reason=breaker.reason,
                open_ms=breaker.rule.open_ms,
            )
            fact.breaker_opened.CopyFrom(opened)
            _log.warning("breaker of %s opened: %s", dependency, breaker.reason)
        else:
            kind = "breaker_closed"
            closed = events_pb2.BreakerClosed(dependency=dependency, replica=self._replica)
            fact.breaker_closed.CopyFrom(closed)
            _log.info("breaker of %s closed", dependency)
        self._tell(kind, fact)

    def alert_changed(self, alert: Alert) -> None:
        gauge(Metric.ALERTS).set(int(alert.open), {Attr.ALERT: alert.name, Attr.DEPENDENCY: alert.subject})
        fact = events_pb2.ControlFact(
            schema_version=1, producer="tools", occurred_at=timestamp(self._clock.now_ms())
        )
        about = {"name": alert.name, "subject": alert.subject, "replica": self._replica}
        if alert.open:
            fact.alert_raised.CopyFrom(events_pb2.AlertRaised(**about, reason=alert.reason))
            _log.error("alert %s for %s: %s", alert.name, alert.subject, alert.reason)
        else:
            fact.alert_cleared.CopyFrom(events_pb2.AlertCleared(**about))
            _log.info("alert %s for %s is over", alert.name, alert.subject)
        self._tell("alert_raised" if alert.open else "alert_cleared", fact)

    def session_erased(self, tenant: str, session_id: str, *, removed: int, left: int, actor: str) -> None:
        fact = events_pb2.ControlFact(
            schema_version=1, producer="tools", occurred_at=timestamp(self._clock.now_ms())
        )
        body = events_pb2.SessionErased(
            tenant=tenant, session_id=session_id, removed=removed, left=left, actor=actor
        )
        fact.session_erased.CopyFrom(body)
        self._tell("session_erased", fact)

    def _tell(self, kind: str, fact: events_pb2.ControlFact) -> None:
        try:
            self._bus.publish(control_subject(kind), fact.SerializeToString(), msg_id=new_id("ctl"))
        except RingbackError as error:
            _log.error("%s was not published: %s", kind, error.code)

    async def outcome_known(self, stored: Stored, *, tool: Tool) -> None:
        record = stored.record
        # The revision grows with every write of the bucket and is the same for whoever tells this outcome.
        fact = late_fact(
            record,
            side_effect=tool.side_effect,
            producer_seq=stored.revision,
            background=tool.background,
        )
        subject = fact_subject("tools", record.tenant, record.session_id)
        msg_id = f"{record.action_id}.reconciled"
        try:
            await self._bus.publish_now(
                subject, fact.SerializeToString(), msg_id=msg_id, timeout_ms=TIMEOUT_MS
            )
        except Unavailable as away:
            raise JournalAway(str(away)) from None


class NoFacts:
    """Nobody to tell; keeps what was said."""

    def __init__(self) -> None:
        self.breakers: list[tuple[str, BreakerState]] = []
        self.reconciled: list[Stored] = []
        self.alerts: list[Alert] = []
        self.erased: list[tuple[str, str, int, int, str]] = []

    def breaker_changed(self, dependency: str, breaker: Breaker) -> None:
        self.breakers.append((dependency, breaker.state))

    def alert_changed(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def session_erased(self, tenant: str, session_id: str, *, removed: int, left: int, actor: str) -> None:
        self.erased.append((tenant, session_id, removed, left, actor))

    async def outcome_known(self, stored: Stored, *, tool: Tool) -> None:
        self.reconciled.append(stored)
