"""Owns the way to the other replicas: notes on the stream REPLICAS, heard by all of them, told once and never again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ringback_errors import InvalidInput, RingbackError
from ringback_events import Bus, Delivery, Tail, replica_subject
from ringback_identity import new_id

from ringback_tools.domain.notes import Note
from ringback_tools.wire_notes import note_from_bytes, note_to_bytes

__all__ = ["BusSiblings", "LocalSiblings"]

_log = logging.getLogger(__name__)


class BusSiblings:
    """The other replicas, over the bus; `owner` is this one's name of this start."""

    def __init__(self, bus: Bus, *, owner: str) -> None:
        self._bus = bus
        self._owner = owner

    def tell(self, note: Note) -> None:
        if not self._bus.connected:
            # Kept until later it would be about something that is over.
            return
        payload = note_to_bytes(note, replica=self._owner)
        try:
            self._bus.publish(replica_subject("tools"), payload, msg_id=new_id("note"))
        except RingbackError as error:
            _log.info("a note to the other replicas was not told: %s", error.code)

    async def follow(self, heard: Callable[[Note], None]) -> Tail:
        """Hand over what the others tell from now on; raises Unavailable."""

        async def seen(delivery: Delivery) -> None:
            try:
                owner, note = note_from_bytes(delivery.payload)
            except InvalidInput:
                _log.error("a note is not readable (seq %d)", delivery.stream_seq)
                return
            if note is not None and owner != self._owner:
                heard(note)

        return await self._bus.ephemeral(replica_subject("tools"), seen, start="new")


class LocalSiblings:
    """The other replicas within this process, or nobody."""

    def __init__(self) -> None:
        self.others: list[Callable[[Note], None]] = []

    def tell(self, note: Note) -> None:
        for heard in self.others:
            heard(note)
