"""Which tools operators have switched off, as the CONTROL stream tells it: one tail for all calls of a replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ringback.events.v1 import events_pb2
from ringback_errors import Unavailable
from ringback_events import Bus, Delivery, Tail, control_subject

from ringback_session.domain.upkeep import ToolsSwitched

__all__ = ["SwitchesOnBus"]

# As many as the tools service keeps.
SWITCHES_MAX: Final = 4_096
READ_MS_MAX: Final = 5_000
# A call that begins waits no longer for it: it is told of a switch a moment later then.
SOON_MS: Final = 500


class SwitchesOnBus:
    """Reads what the stream holds once, and goes on with each change."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._opening = asyncio.Lock()
        self._tail: Tail | None = None
        self._off: set[str] = set()
        self._moved = False
        # Bounded by the replica's calls.
        self._listeners: list[Callable[[ToolsSwitched], None]] = []

    async def follow(self, on_change: Callable[[ToolsSwitched], None], *, heir: bool) -> Callable[[], None]:
        """Tell what is off now if anything ever was, an heir in any case, and each change; returns how to stop.

        Raises Unavailable.
        """
        await self._read(within_ms=READ_MS_MAX)
        # A call may have begun with what was off a moment before.
        if self._moved or heir:
            on_change(self._now())
        self._listeners.append(on_change)

        def stop() -> None:
            if on_change in self._listeners:
                self._listeners.remove(on_change)

        return stop

    async def off(self) -> tuple[str, ...]:
        """What is off now; nothing while that cannot be found out soon."""
        with suppress(Unavailable):
            await self._read(within_ms=SOON_MS)
        return self._now().off

    async def _read(self, *, within_ms: int) -> None:
        async with self._opening:
            if self._tail is None:
                self._tail = await self._bus.ephemeral(
                    control_subject("tool_disabled"), self._heard, start="all"
                )
        await self._tail.wait_caught_up(within_ms)

    async def _heard(self, delivery: Delivery) -> None:
        said = events_pb2.ControlFact.FromString(delivery.payload).tool_disabled
        self._moved = True
        before = len(self._off)
        if not said.disabled:
            self._off.discard(said.tool)
        elif before < SWITCHES_MAX:
            self._off.add(said.tool)
        if len(self._off) != before:
            for tell in list(self._listeners):
                tell(self._now())

    def _now(self) -> ToolsSwitched:
        return ToolsSwitched(off=tuple(sorted(self._off)))
