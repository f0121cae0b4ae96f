"""Owns telling others, for the audit, that a caller was forgotten: a fact of no session, on CONTROL."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ringback.events.v1 import events_pb2 as ev_pb
from ringback_errors import RingbackError
from ringback_events import Bus, control_subject
from ringback_identity import new_id

from ringback_memory.ports import Clock

PRODUCER = "memory"
SESSIONS_MAX = 100

_log = logging.getLogger("ringback.memory.erasure")


class BusErasures:
    """Publishes each erasure; who was forgotten is not said."""

    def __init__(self, bus: Bus, *, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    def forgotten(self, tenant: str, *, sessions: Sequence[str], removed: int, left: int, actor: str) -> None:
        """A caller of this tenant was forgotten on the actor's request."""
        body = ev_pb.CallerForgotten(
            tenant=tenant, session_ids=sessions[:SESSIONS_MAX], removed=removed, left=left, actor=actor
        )
        fact = ev_pb.ControlFact(schema_version=1, producer=PRODUCER, caller_forgotten=body)
        fact.occurred_at.FromMilliseconds(self._clock.now_ms())
        try:
            self._bus.publish(
                control_subject("caller_forgotten"), fact.SerializeToString(), msg_id=new_id("ctl")
            )
        except RingbackError as error:
            _log.error("an erasure could not be published for the audit: %s", error)
