"""Owns what memory asks of the world outside, in its own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ringback_memory.domain.callers import Caller
from ringback_memory.domain.drafts import Draft, Source
from ringback_memory.domain.events import Event, LateFact
from ringback_memory.domain.schema import SlotSchema
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

    async def remove(self, key: SessionKey) -> None:
        """Remove the record. Raises Unavailable."""

    async def keys(self, tenant: str) -> list[SessionKey]:
        """Every session of a tenant that has a record. Raises Unavailable."""

    async def save(self, key: SessionKey, record: Record, *, revision: int | None) -> int:
        """Store the record if its revision is still `revision` (None: if there is none) and return the new
        one.

        Raises Conflict when another replica was faster, Unavailable when it is unknown what happened.
        """


@dataclass(frozen=True, slots=True)
class StoredCaller:
    """A caller as it was read; `revision` is what a compare-and-set must name."""

    caller: Caller
    revision: int


class CallerStore(Protocol):
    """What is kept of callers, with compare-and-set. Everything raises Unavailable."""

    async def load(
        self, tenant: str, caller_id: str, *, timeout_ms: int | None = None
    ) -> StoredCaller | None:
        """What is kept of a caller, or None."""

    async def save(self, caller: Caller, *, revision: int | None) -> int:
        """Store, if the revision is still `revision` (None: if there is none); else Conflict."""

    async def remove(self, tenant: str, caller_id: str, *, revision: int | None = None) -> None:
        """Remove what is kept; with `revision`, only if that is still its revision (else Conflict)."""

    async def all_of(self) -> list[StoredCaller]:
        """Every caller that is kept."""


class Found(NamedTuple):
    """A place that may hold traces, and how many of the asked kind it holds."""

    place: str
    facts: int


class Traces(Protocol):
    """Where facts of sessions lie. Everything raises Unavailable."""

    async def sessions_of(self, tenant: str, caller_id: str) -> set[str]:
        """The sessions that began with this caller, as far as the streams reach back."""

    async def count(self, key: SessionKey) -> list[Found]:
        """How many facts each place holds of a session."""

    async def remove(self, key: SessionKey) -> None:
        """Remove every fact of a session from every place; doing it again is safe."""


class Erasures(Protocol):
    """Tells the rest of the system, for the audit, that traces were erased; never waits, never raises."""

    def forgotten(self, tenant: str, *, sessions: Sequence[str], removed: int, left: int, actor: str) -> None:
        """A caller of this tenant was forgotten on the actor's request."""


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


class UnusableSummaryError(Exception):
    """The text model answered with something that is no summary; `reason` is a short code."""


class TextModel(Protocol):
    """Writes a draft of a summary. Costs time and tokens, may fail, and is not trusted."""

    async def draft(self, source: Source, *, deadline_ms: int) -> Draft:
        """The draft. Raises UnusableSummaryError, Unavailable, DeadlineExceeded."""


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


class Alarms(Protocol):
    """Tells the rest of the system that this replica works in another way than usual."""

    def degraded(self, reason: str, *, retry_in_ms: int) -> None:
        """The embedded summariser took over."""

    def recovered(self, *, degraded_ms: int) -> None:
        """The text model writes again."""


class NeedsRebuildError(Exception):
    """What is stored cannot be used: the state has to be folded anew. `revision` names what to replace."""

    def __init__(self, reason: str, *, revision: int) -> None:
        super().__init__(reason)
        self.revision = revision
