"""Owns GetHandoffPacket: what whoever takes over needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from ringback_memory.domain.events import Position
from ringback_memory.domain.handoff import Packet, build_packet
from ringback_memory.ports import Clock, SessionKey
from ringback_memory.usecases.reading import read_view
from ringback_memory.usecases.sessions import Sessions, View


@dataclass(frozen=True, slots=True)
class PacketAnswer:
    """What GetHandoffPacket answers."""

    view: View
    packet: Packet
    now_ms: int


@dataclass(slots=True)
class GetHandoff:
    """Reads a session and packs it for an agent or a person."""

    sessions: Sessions
    clock: Clock

    async def __call__(
        self, key: SessionKey, *, at_least: Position, reason: str, deadline_ms: int
    ) -> PacketAnswer:
        """The packet as of `at_least` or later. Raises NotFound, Behind, Unavailable."""
        view = await read_view(
            self.sessions, key, at_least=at_least, deadline_ms=deadline_ms, clock=self.clock
        )
        now_ms = self.clock.now_ms()
        return PacketAnswer(view, build_packet(view.state, reason=reason, now_ms=now_ms), now_ms)
