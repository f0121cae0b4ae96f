"""The session's facts on the EVENTS stream: in order, never blocking, spooled while the bus is away."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ringback_errors import RingbackError
from ringback_events import Bus, event_subject
from ringback_telemetry import counter, names

from ringback_session import wire
from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned

__all__ = ["FactsOnBus"]

log = logging.getLogger(__name__)


class FactsOnBus:
    """Implements `ports.Facts`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None:
        if fact.kind == "turn_rule_applied":
            of = {names.Attr.RULE: fact.body["rule"], names.Attr.OUTCOME: fact.body["outcome"]}
            counter(names.Metric.TURN_RULES).add(1, of)
        if fact.kind == "action_decided" and fact.body.get("source") == "fallback":
            of = {names.Attr.GATE: fact.body["gate"], names.Attr.REASON: fact.body["rule"]}
            counter(names.Metric.FALLBACKS).add(1, of)
        subject = event_subject(pinned.tenant, pinned.session_id, fact.kind)
        payload = wire.event(fact, pinned.tenant, pinned.session_id).SerializeToString()
        try:
            self._bus.publish(
                subject, payload, msg_id=f"{pinned.session_id}:{fact.epoch}:{fact.seq}", on_ack=on_ack
            )
        except RingbackError as error:
            # It stays in the outbox of the record, from where the next owner publishes it.
            log.error("a fact could not be published: %s", error.code, extra={"kind": fact.kind})

    def hurry(self, session_id: str) -> None:
        """Here nothing waits for anything but the bus."""
