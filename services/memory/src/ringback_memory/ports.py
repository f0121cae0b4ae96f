"""Owns what memory asks of the world outside, in its own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ringback_memory.domain.events import Event, LateFact
from ringback_memory.domain.schema import SlotSchema
from ringback_memory.domain.state import Summary, Turn
from ringback_memory.domain.timeline import Record


class SessionKey(NamedTuple):
    """One session of one tenant."""

    tenant: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was read; `revision` is what a compare-and-set must name."""

    record: Record
    revision: int


class StateStore(Protocol):
    """Records by session, with compare-and-set."""

    async def load(self, key: SessionKey, *, timeout_ms: int | None = None) -> Stored | None:
        """The record; None if there is none. `timeout_ms` shortens the store's own.

        Raises Unavailable, or NeedsRebuildError when what is stored was folded by an older release or
        cannot be read.
        """

    async def save(self, key: SessionKey, record: Record, *, revision: int | None) -> int:
        """Store the record if its revision is still `revision` (None: if there is none) and return the new
        one.

        Raises Conflict when another replica was faster, Unavailable when it is unknown what happened.
        """


class EventSource(Protocol):
    """The facts of one session from the beginning."""

    def replay(self, key: SessionKey) -> AsyncIterator[Event | LateFact]:
        """Every stored fact of the session, in the stream's order. Raises Unavailable."""


class SchemaSource(Protocol):
    """The slots that a pack's tools take."""

    async def schema(self, pack_digest: str) -> SlotSchema:
        """The schema of a pack; empty for one that does not exist. Raises Unavailable."""


class Tokens(Protocol):
    """Counts o200k tokens."""

    def count(self, text: str) -> int:
        """Tokens in `text`."""


class Summariser(Protocol):
    """Makes a summary out of an older one and the turns that leave the conversation."""

    async def summarise(self, summary: Summary, *, turns: Sequence[Turn], deadline_ms: int) -> str:
        """The new summary's text: lines, oldest first."""


class Clock(Protocol):
    """Time, and waiting for it."""

    def now_ms(self) -> int:
        """Unix time."""

    def monotonic_ms(self) -> int:
        """Time that never goes back."""

    async def wait(self, timeout_ms: int) -> None:
        """Return after that long."""


class Gauges(Protocol):
    """What the use cases count."""

    def fell_back(self, reason: str) -> None:
        """A declared fallback was taken."""


class NeedsRebuildError(Exception):
    """What is stored cannot be used: the state has to be folded anew. `revision` names what to replace."""

    def __init__(self, reason: str, *, revision: int) -> None:
        super().__init__(reason)
        self.revision = revision
