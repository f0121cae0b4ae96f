"""Owns telling others that this replica's summariser changed its mode: facts of no session, on CONTROL."""

from __future__ import annotations

import logging

from ringback.events.v1 import events_pb2 as ev_pb
from ringback_errors import RingbackError
from ringback_events import Bus, control_subject
from ringback_identity import new_id

from ringback_memory.ports import Clock

PRODUCER = "memory"

_log = logging.getLogger("ringback.memory.summariser")


class BusAlarms:
    """Publishes each change of mode; never waits, never raises."""

    def __init__(self, bus: Bus, *, clock: Clock, replica: str) -> None:
        self._bus = bus
        self._clock = clock
        self._replica = replica

    def degraded(self, reason: str, *, retry_in_ms: int) -> None:
        """The embedded summariser took over."""
        _log.warning("the embedded summariser writes: the text model is %s", reason)
        body = ev_pb.SummariserDegraded(replica=self._replica, reason=reason, retry_in_ms=retry_in_ms)
        self._publish(ev_pb.ControlFact(summariser_degraded=body))

    def recovered(self, *, degraded_ms: int) -> None:
        """The text model writes again."""
        _log.info("the text model writes again after %d ms", degraded_ms)
        body = ev_pb.SummariserRecovered(replica=self._replica, degraded_ms=degraded_ms)
        self._publish(ev_pb.ControlFact(summariser_recovered=body))

    def _publish(self, fact: ev_pb.ControlFact) -> None:
        fact.schema_version = 1
        fact.producer = PRODUCER
        fact.occurred_at.FromMilliseconds(self._clock.now_ms())
        subject = control_subject(str(fact.WhichOneof("body")))
        try:
            self._bus.publish(subject, fact.SerializeToString(), msg_id=new_id("ctl"))
        except RingbackError as error:
            _log.warning("a change of mode could not be published: %s", error)
