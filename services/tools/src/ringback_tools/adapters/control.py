"""Owns what operators say on the bus: which tools are switched off."""

from __future__ import annotations

import logging
from typing import Final

from google.protobuf.message import DecodeError
from ringback.events.v1 import events_pb2
from ringback_events import ALL_CONTROL, Bus, Delivery, Tail

from ringback_tools.usecases.switches import Switches

__all__ = ["follow_switches"]

_log = logging.getLogger(__name__)
CAUGHT_UP_MS: Final = 10_000


async def follow_switches(bus: Bus, switches: Switches) -> Tail:
    """Apply every switch that the stream holds, return, and go on with each new one; raises Unavailable."""

    async def seen(delivery: Delivery) -> None:
        try:
            fact = events_pb2.ControlFact.FromString(delivery.payload)
        except DecodeError:
            _log.error("a control fact is not readable (seq %d)", delivery.stream_seq)
            return
        if fact.WhichOneof("body") != "tool_disabled":
            return
        said = fact.tool_disabled
        switches.turn(said.tool, off=said.disabled, reason=said.reason)
        state = "off" if said.disabled else "on"
        _log.warning("%s is switched %s by %s: %s", said.tool, state, said.actor or "somebody", said.reason)

    tail = await bus.ephemeral(ALL_CONTROL, seen, start="all")
    await tail.wait_caught_up(CAUGHT_UP_MS)
    return tail
