"""What policy needs of the world, in its own words."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ringback_policy.domain.auditing import AuditRecord, DecisionRecord
from ringback_policy.domain.instructions import AgentRole
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.rollout import Rollout
from ringback_policy.domain.subjects import ActionSubject, Request
from ringback_policy.domain.vocabulary import Reading, SideEffect

__all__ = [
    "AgentRoles",
    "AuditTrail",
    "Bundles",
    "Clock",
    "ControlFacts",
    "Proof",
    "SecondOpinion",
    "Signer",
    "UnusableOpinionError",
    "ValueFinder",
    "ValueSpeaker",
]


class Clock(Protocol):
    """Unix time."""

    def __call__(self) -> int:
        """Now, ms."""


class Proof(Protocol):
    """A signed proof, as it travels."""

    @property
    def key_id(self) -> str: ...
    @property
    def mac(self) -> bytes: ...
    @property
    def decision_id(self) -> str: ...
    @property
    def consent_id(self) -> str: ...
    @property
    def expires_at_ms(self) -> int: ...


class Signer(Protocol):
    """Signs proofs with the key that policy and tools share."""

    def sign(self, request: Request, action: ActionSubject, *, consent_id: str, expires_at_ms: int) -> Proof:
        """A proof for exactly this action and decision."""


class Bundles(Protocol):
    """Compiled bundles, kept up to date by watch."""

    def get(self, digest: str) -> Bundle:
        """The bundle; raises NotFound, or Unavailable while bundles have never been read."""

    async def fetch(self, digest: str) -> Bundle:
        """The bundle, read from the store when the watch has not brought it yet; raises NotFound or Unavailable."""

    def active(self, pack: str) -> Bundle:
        """The bundle that new sessions of a pack get; raises NotFound or Unavailable as `get` does."""

    def for_session(self, pack: str, *, tenant: str, session_id: str) -> str:
        """The digest of what this new session gets: the active bundle, or the candidate inside a canary."""

    def deciding(self, digest: str) -> Bundle:
        """The bundle that decides for sessions which pinned this one: itself, or a stricter one promoted since."""

    async def rollout(self, pack: str) -> Rollout:
        """Where the pack's rollout stands in the store; an empty one when it has none."""

    async def change(
        self, pack: str, expected_revision: int, step: Callable[[Rollout], Rollout]
    ) -> tuple[Rollout, Rollout]:
        """One step by compare-and-set: before and after; Conflict when the rollout is at another revision."""

    def active_digests(self) -> Mapping[str, str]:
        """Pack → digest."""

    def all(self) -> tuple[Bundle, ...]:
        """All bundles that are loaded, by pack and digest."""

    async def store(
        self, bundle: Bundle, files: Mapping[str, bytes], tools: Mapping[str, SideEffect]
    ) -> None:
        """Keeps a bundle under its digest; storing it again changes nothing."""

    async def activate(self, pack: str, digest: str, *, expected: str) -> str:
        """Compare-and-set of the active digest; returns the previous one, Conflict when it is not the expected."""


class AuditTrail(Protocol):
    """The append-only audit."""

    def append(self, record: AuditRecord, *, happened: bool = False) -> None:
        """Takes an entry for delivery and returns at once.

        Raises Overloaded when nothing more can be kept, InvalidInput for what is no tenant; what has `happened`, and
        for which `check_room` was asked before, is taken all the same.
        """

    def check_room(self, tenant: str) -> None:
        """Raises as `append` does: for what must not be done unless it can be audited."""

    def append_later(self, tenant: str, made: Callable[[], DecisionRecord]) -> None:
        """As `append`, of an entry that nobody waits for: it is made, in its order, when entries are handed on."""


class ControlFacts(Protocol):
    """Facts of no session."""

    def bundle_activated(self, pack: str, digest: str, *, previous: str, actor: str) -> None:
        """Tells all services."""


class AgentRoles(Protocol):
    """Agents of packs."""

    async def role(self, pack_digest: str, agent: str) -> AgentRole:
        """The agent's role; raises NotFound."""


class ValueSpeaker(Protocol):
    """How a value sounds."""

    def __call__(self, value: str, kind: str, currency: str) -> str:
        """The spoken form."""


class ValueFinder(Protocol):
    """Whether a transcript says a value."""

    def __call__(self, transcript: str, value: str, kind: str) -> bool:
        """True when it does, in whatever spoken form."""


class UnusableOpinionError(Exception):
    """The text model answered, but with no reading: refused, cut off, or in another form."""


class SecondOpinion(Protocol):
    """Somebody else's reading of an answer that reads as a yes."""

    async def read(self, *, read_back: str, utterance: str, irreversible: bool, timeout_ms: int) -> Reading:
        """The reading, within the time; raises UnusableOpinionError, Unavailable or DeadlineExceeded."""

    async def close(self) -> None:
        """Give back what it holds."""
