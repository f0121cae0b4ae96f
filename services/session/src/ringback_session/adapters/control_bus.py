"""Session's facts of no session, on the CONTROL stream."""

from __future__ import annotations

import logging

from google.protobuf.message import Message
from ringback.events.v1 import events_pb2
from ringback_calling import BreakerState
from ringback_errors import RingbackError
from ringback_events import Bus, control_subject
from ringback_identity import new_id

from ringback_session import wire
from ringback_session.adapters.upstream_spec import Upstream
from ringback_session.domain.usage import Budget
from ringback_session.ports import Clock
from ringback_session.ports_upkeep import DaySpend

__all__ = ["ControlOnBus"]

log = logging.getLogger(__name__)

_NANO_IN_PICO = 1_000


class ControlOnBus:
    """Implements `ports.Control`; while the bus is away facts wait on the disk."""

    def __init__(self, bus: Bus, clock: Clock, *, replica: str) -> None:
        self._bus = bus
        self._clock = clock
        self._replica = replica

    def budget_crossed(self, spent: DaySpend, level: str, budget: Budget) -> None:
        body = events_pb2.BudgetCrossed(
            scope="tenant",
            level=level,
            cost_nano_usd=spent.cost_pico // _NANO_IN_PICO,
            tokens=spent.tokens.total,
            limit_nano_usd=getattr(budget, f"{level}_pico") // _NANO_IN_PICO,
            limit_tokens=getattr(budget, f"{level}_tokens"),
            tenant=spent.tenant,
            day=spent.day,
            replica=self._replica,
        )
        self._publish("budget_crossed", body)

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
    ) -> None:
        body = events_pb2.OperatorActed(
            action=action,
            actor=actor,
            reason=reason,
            detail=detail,
            tenant=tenant,
            session_id=session_id,
            replica=self._replica,
            outcome=outcome,
        )
        self._publish("operator_acted", body)

    def breaker_changed(self, upstream: Upstream, state: BreakerState) -> None:
        """A breaker of ours before a realtime model; a half-open one has not decided yet."""
        self._breaker(f"model.{upstream.name}", state, upstream.open_ms)

    def text_breaker_changed(self, state: BreakerState, open_ms: int) -> None:
        """A breaker of ours before the text model."""
        self._breaker("text_model", state, open_ms)

    def voice_breaker_changed(self, state: BreakerState, open_ms: int) -> None:
        """A breaker of ours before the text-to-speech port."""
        self._breaker("text_to_speech", state, open_ms)

    def session_erased(self, *, tenant: str, session_id: str, removed: int, left: int, actor: str) -> None:
        body = events_pb2.SessionErased(
            tenant=tenant, session_id=session_id, removed=removed, left=left, actor=actor
        )
        self._publish("session_erased", body)

    def _breaker(self, dependency: str, state: BreakerState, open_ms: int) -> None:
        named = {"dependency": dependency, "replica": self._replica}
        if state is BreakerState.OPEN:
            reason = "it failed too often"
            opened = events_pb2.BreakerOpened(**named, reason=reason, open_ms=open_ms)
            self._publish("breaker_opened", opened)
        elif state is BreakerState.CLOSED:
            self._publish("breaker_closed", events_pb2.BreakerClosed(**named))

    def _publish(self, kind: str, body: Message) -> None:
        fact = events_pb2.ControlFact(
            schema_version=wire.SCHEMA_VERSION,
            producer="session",
            occurred_at=wire.timestamp(self._clock.now_ms()),
        )
        getattr(fact, kind).CopyFrom(body)
        try:
            self._bus.publish(control_subject(kind), fact.SerializeToString(), msg_id=new_id("ctl"))
        except RingbackError as error:
            log.error("a fact could not be published: %s", error.code, extra={"kind": kind})
