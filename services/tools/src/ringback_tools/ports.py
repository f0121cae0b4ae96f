"""What the use cases need from outside, in their own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct
from ringback_errors import Fenced, Unavailable
from ringback_identity import Proof

from ringback_tools.domain.alerts import Alert
from ringback_tools.domain.breaker import Breaker
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect, Tool
from ringback_tools.domain.notes import Note
from ringback_tools.domain.outcomes import OutcomeRecord
from ringback_tools.domain.requests import ActionRequest
from ringback_tools.domain.results import Answer, Result

__all__ = [
    "Call",
    "Catalogue",
    "Clock",
    "Connectors",
    "Facts",
    "Fenced",
    "JobQueue",
    "Journal",
    "JournalAway",
    "LostRace",
    "Pauses",
    "Proofs",
    "Siblings",
    "Stored",
    "Tracing",
    "Waiting",
]


class Clock(Protocol):
    """Time and waiting; in tests virtual."""

    def now_ms(self) -> int:
        """Unix time."""

    def elapsed_ms(self) -> float:
        """Monotonic time, from any origin."""

    async def sleep(self, wait_ms: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record and the revision that a compare-and-set must name."""

    record: OutcomeRecord
    revision: int


class JournalAway(Unavailable):
    """The journal cannot be reached, or did not answer in time: nothing may start."""


class LostRace(Exception):  # noqa: N818 - reads as what happened
    """Somebody else changed the record first."""


class Journal(Protocol):
    """The stored outcomes and epochs. Every write is a compare-and-set; each call may raise JournalAway."""

    async def fence(self, session_id: str, *, epoch: int) -> None:
        """Remember the epoch as the highest seen; raises Fenced if a higher one is."""

    async def get(self, session_id: str, action_id: str) -> Stored | None:
        """What is stored of an action."""

    async def create(self, record: OutcomeRecord) -> Stored:
        """Store the first record of an action; raises LostRace if there is one."""

    async def update(self, stored: Stored, record: OutcomeRecord) -> Stored:
        """Replace what was read; raises LostRace if it has changed since."""

    async def follow(self, handler: Callable[[Stored], None]) -> None:
        """Hand over every record that there is, return, and go on with every change."""

    async def of_session(self, session_id: str) -> list[Stored]:
        """Every record of a session, for erasure."""

    async def remove(self, stored: Stored) -> None:
        """Remove what was read; raises LostRace if it has changed since."""

    async def has_epoch(self, session_id: str) -> bool:
        """Whether an epoch of the session is remembered."""

    async def forget_epoch(self, session_id: str) -> None:
        """Remember no epoch of a session that is over."""


class Call(Struct, frozen=True):
    """One attempt for a connector. `key` is the action's id where the backend takes one (in `key_field`)."""

    spec: ConnectorSpec
    arguments: Mapping[str, Any]
    timeout_ms: int
    bytes_max: int
    tenant: str
    session_id: str
    action_id: str
    side_effect: SideEffect
    key_field: str = ""
    key: str = ""
    # Takes what the system says of its progress while it works; never waits. None: nobody listens.
    progress: Callable[[str], None] | None = None


class Connectors(Protocol):
    """All connectors, by the kind that the call names."""

    async def call(self, call: Call) -> Answer:
        """Run one attempt; every failure of the system behind it is a `Failed`, not an exception."""

    def lacking(self, spec: ConnectorSpec) -> str:
        """Why such a call could not go out now, empty if it could; asks nobody."""


class Catalogue(Protocol):
    """Tools by pack digest; immutable, so they may be cached for good."""

    async def tools(self, pack_digest: str) -> tuple[Tool, ...]:
        """Every tool of a pack; raises NotFound for an unknown digest."""

    async def agent_tools(self, pack_digest: str, agent: str) -> frozenset[tuple[str, str]]:
        """Name and version of each tool that an agent declares; raises NotFound for an unknown agent."""


class Proofs(Protocol):
    """The decision's MAC."""

    def verify(
        self,
        proof: Proof,
        *,
        now_ms: int,
        tenant: str,
        session_id: str,
        action_id: str,
        tool: str,
        tool_version: str,
        arguments_digest: str,
    ) -> None:
        """Raise Forbidden unless policy allowed exactly this action."""


class Facts(Protocol):
    """What others are told."""

    def breaker_changed(self, dependency: str, breaker: Breaker) -> None:
        """A breaker opened or closed; never waits."""

    def session_erased(self, tenant: str, session_id: str, *, removed: int, left: int, actor: str) -> None:
        """What was kept of a session was erased on request; never waits."""

    def alert_changed(self, alert: Alert) -> None:
        """Something needs an operator, or does not any more; never waits."""

    async def outcome_known(self, stored: Stored, *, tool: Tool) -> None:
        """An outcome that was told as not known yet is known; returns when the stream has it, else JournalAway."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Background work that nobody has begun: how much, and for how long the oldest of it has waited."""

    count: int = 0
    oldest_ms: int = 0


class JobQueue(Protocol):
    """Background work, kept until it is done."""

    async def put(self, request: ActionRequest) -> None:
        """Take it on, once however often it is put; raises Overloaded when full, JournalAway when unreachable."""

    async def waiting(self) -> Waiting:
        """What waits now; raises JournalAway."""


class Siblings(Protocol):
    """The other replicas."""

    def tell(self, note: Note) -> None:
        """Tell all of them; never waits, and may be lost."""


class Tracing(Protocol):
    """Spans and figures of an execution."""

    def execution(self, record: Mapping[str, Any]) -> AbstractContextManager[Callable[[Result], None]]:
        """A span around an execution; the callable tells it the result."""

    def attempt(self, record: Mapping[str, Any]) -> AbstractContextManager[Callable[[Answer], None]]:
        """A span around one attempt; the callable tells it the answer."""

    def check(self, record: Mapping[str, Any]) -> AbstractContextManager[Callable[[Answer], None]]:
        """A span around one check."""

    def trace_id(self) -> str:
        """The current trace, or nothing."""


class Pauses(Protocol):
    """Named states at which a test may hold the process; in service nothing happens there."""

    async def at(self, state: str) -> None:
        """Pass the state."""
