"""What a call needs of the outside world, in the call's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

import msgspec

from ringback_session.domain.agents import Graph
from ringback_session.domain.effects import (
    AskPolicy,
    AskText,
    Execute,
    FetchFact,
    FetchPacket,
    Publish,
    ReadConsent,
)
from ringback_session.domain.inputs import (
    ActionProgressed,
    ActionReconciled,
    ActionResult,
    CompactionPlan,
    ConsentRead,
    Decided,
    FactFetched,
    TextAnswered,
)
from ringback_session.domain.known import StaleValue
from ringback_session.domain.rules import Tool, TurnRules
from ringback_session.domain.state import SlotValue
from ringback_session.domain.upkeep import ToolsSwitched
from ringback_session.domain.usage import Budgets

__all__ = [
    "Caller",
    "ClientSocket",
    "Clock",
    "Facts",
    "LateFacts",
    "Memory",
    "ModelSocket",
    "Models",
    "Owners",
    "PackInfo",
    "Packs",
    "Pinned",
    "Policy",
    "Record",
    "Records",
    "Remembered",
    "Tenants",
    "Term",
    "TextModel",
    "TimerHandle",
    "Tools",
    "Tracing",
]


class Pinned(msgspec.Struct, frozen=True):
    """What a session keeps for its life, and every call to another service names."""

    tenant: str
    session_id: str
    pack_digest: str
    bundle_digest: str
    epoch: int
    agent: str
    scopes: tuple[str, ...] = ()


class PackInfo(msgspec.Struct, frozen=True):
    """A pack as far as a session needs it. `agents` maps an agent to its greeting (may be empty)."""

    name: str
    digest: str
    default_agent: str
    agents: dict[str, str]
    client_tools: str
    client_instructions: bool
    graph: Graph = Graph()


class Caller(msgspec.Struct, frozen=True):
    """Who a key belongs to, what it may use, and the person on the line, if its holder named one."""

    tenant: str
    packs: tuple[str, ...]
    default_pack: str
    sessions_max: int = 0
    caller_id: str = ""
    budgets: Budgets = Budgets()


class Secret(msgspec.Struct, frozen=True):
    """What a client secret starts: sessions of a tenant and pack, with this `session.update` applied."""

    tenant: str
    pack: str
    session: dict[str, Any]
    expires_at_ms: int
    caller_id: str = ""


class Record(msgspec.Struct):
    """The session's record; `revision` is what the next compare-and-set expects."""

    session_id: str
    tenant: str
    epoch: int
    owner: str
    snapshot: bytes = b""
    outbox: list[Publish] = []
    token_hashes: list[bytes] = []
    ended: bool = False
    revision: int = 0
    # Where the owner's admin service answers, host:port; empty: nowhere.
    owner_address: str = ""


class Remembered(msgspec.Struct, frozen=True):
    """Memory's context: text for the model, slots for policy, and up to where it goes."""

    text: str
    slots: tuple[SlotValue, ...]
    as_of_epoch: int
    as_of_seq: int
    plan: CompactionPlan | None = None
    stale: tuple[StaleValue, ...] = ()


class Term(msgspec.Struct, frozen=True):
    """How long a connection to the model lasts, from now on: when to replace it, and when at the latest.

    0: no limit is known.
    """

    rotate_in_ms: int = 0
    last_in_ms: int = 0


class Clock(Protocol):
    """The owner's clock and timers."""

    def now_ms(self) -> int:
        """Unix time."""
        ...

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> TimerHandle: ...


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class Policy(Protocol):
    """Asks policy. With policy away or late the answer has source `fallback`; it does not raise."""

    async def decide(self, question: AskPolicy, pinned: Pinned) -> Decided: ...

    async def read_consent(self, question: ReadConsent, pinned: Pinned) -> ConsentRead:
        """`reading` is `unavailable` when policy is away or late."""
        ...

    async def session_rules(
        self, *, tenant: str, pack: str, bundle_digest: str = "", session_id: str = ""
    ) -> tuple[str, TurnRules]:
        """The pinned bundle's digest and rules. Raises Unavailable, NotFound."""
        ...

    async def instructions(self, pinned: Pinned) -> str:
        """Raises Unavailable, NotFound."""
        ...


class Tools(Protocol):
    """Runs actions."""

    async def list(self, pinned: Pinned) -> tuple[dict[str, Tool], tuple[str, ...]]:
        """The tools of the agent (internal ones too) and the open breakers. Raises Unavailable."""
        ...

    def execute(self, action: Execute, pinned: Pinned) -> AsyncIterator[ActionProgressed | ActionResult]:
        """Ends with exactly one ActionResult.

        With tools away during a write the result is not known here: the stream attaches again (same
        action_id, same proof) until the action's deadline has passed, then ends with status `unknown`. A
        read that cannot be had ends as `failed` with error_code `tool_unavailable`. Never raises, except on
        cancellation.
        """
        ...

    async def fetch(self, need: FetchFact, pinned: Pinned) -> FactFetched:
        """Never raises; what could not be had is `unavailable`."""
        ...


class TextModel(Protocol):
    """The text model that supervisors think with."""

    async def answer(self, question: AskText) -> TextAnswered:
        """One request. Never raises; without an answer `error` says why."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Memory(Protocol):
    """Never raises for memory being away; the answer is then None."""

    async def packet(self, question: FetchPacket, pinned: Pinned) -> str | None:
        """The handoff packet as JSON."""
        ...

    async def context(self, pinned: Pinned, *, min_epoch: int, min_seq: int) -> Remembered | None: ...

    async def recall(self, pinned: Pinned, *, min_epoch: int, min_seq: int, budget_tokens: int) -> str | None:
        """What earlier calls of this caller left, for the model; None also when nothing is, or may be, told."""
        ...


class Records(Protocol):
    """KV `sessions`. Every write is a compare-and-set on the record's revision."""

    async def create(self, record: Record) -> Record: ...

    async def save(self, record: Record) -> Record:
        """Raises Fenced when another replica owns the session, Unavailable when the store is away.

        A write that timed out is unknown: the implementation reads before it decides.
        """
        ...

    async def claim(self, record: Record) -> Record:
        """The first write of a new owner, to the revision that it read.

        Raises Conflict when any other write came between, also one of this replica's that had no answer: two
        claims must never both hold. Raises Unavailable.
        """
        ...

    async def load(self, session_id: str) -> Record | None: ...

    async def find_by_token(self, token_hash: bytes) -> str | None:
        """The session of a resume token."""
        ...

    async def bind_token(self, token_hash: bytes, session_id: str) -> None: ...


class Owners(Protocol):
    """The other replicas."""

    async def release(self, record: Record, *, token_hash: bytes, heir: str) -> bool:
        """Have the owner that a record names write down what it lacks, and let the session go.

        Within a short deadline. False, and nothing was let go, when the token was spent meanwhile. Raises NotFound
        when it does not hold the session so, Unavailable or DeadlineExceeded when it is away or late.
        """
        ...


class Facts(Protocol):
    """Publishes the session's facts on EVENTS, in order. Never blocks, never drops silently."""

    def publish(self, fact: Publish, pinned: Pinned, on_ack: Callable[[], None]) -> None: ...

    def hurry(self, session_id: str) -> None:
        """Somebody is about to ask for what these facts tell: none of the session's may wait for others."""
        ...


class LateFacts(Protocol):
    """Facts that others learnt after their RPC had answered, or that concern every call."""

    async def follow(
        self, pinned: Pinned, on_fact: Callable[[ActionReconciled | ToolsSwitched], None]
    ) -> Callable[[], Awaitable[None]]:
        """Deliver this session's late facts, those of before too, and which tools are switched off, at each change.

        Returns how to stop. Raises Unavailable.
        """
        ...

    async def tools_off(self) -> tuple[str, ...]:
        """Tools that operators have switched off, for a call that begins; none while that cannot be found out soon."""
        ...


class ModelSocket(Protocol):
    """One connection to the realtime model."""

    @property
    def term(self) -> Term:
        """How long it may still serve."""
        ...

    def send(self, frame: bytes) -> None: ...

    def close(self) -> None: ...


class Models(Protocol):
    """Connects to the realtime model."""

    async def connect(
        self,
        *,
        model: str,
        purpose: Literal["start", "reconnect", "rotation"],
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> ModelSocket:
        """Connect to whatever answers for this `model` of the client's.

        Raises Unavailable, as ModelProblem where it is known what is wrong.
        """
        ...


class ClientSocket(Protocol):
    """The caller's connection. `send` closes a slow reader rather than dropping silently."""

    def send(self, frame: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Packs(Protocol):
    async def resolve(self, name: str) -> PackInfo:
        """The newest published version. Raises NotFound, Unavailable."""
        ...

    async def pinned(self, digest: str) -> PackInfo:
        """The version that a session keeps for its life. Raises NotFound, Unavailable."""
        ...


class Tenants(Protocol):
    def authenticate(self, api_key: str) -> Caller:
        """Raises Unauthenticated."""
        ...

    def find(self, tenant: str) -> Caller | None:
        """The tenant itself, for a credential that session made for it."""
        ...


class Secrets(Protocol):
    """Client secrets by their hash, where every replica finds them."""

    async def keep(self, secret_hash: bytes, secret: Secret) -> None:
        """Raises Overloaded, Unavailable."""
        ...

    async def find(self, secret_hash: bytes) -> Secret | None:
        """One that has expired may still be there. Raises Unavailable."""
        ...


class Tracing(Protocol):
    """Spans of the call, one trace per turn."""

    def begin_turn(self, attributes: Mapping[str, Any]) -> None:
        """End the turn's span before, if any, and start a new trace."""
        ...

    def end_turn(self) -> None: ...

    def traceparent(self) -> str | None:
        """The current turn as a W3C traceparent; None outside any turn."""
        ...

    def failed(self, error: Exception) -> None:
        """A defect of ours ended a call: log it with its trace, without what was said."""
        ...

    def bad_model_frame(self) -> None:
        """Count a frame of the model that could not be understood."""
        ...

    def in_turn(self) -> AbstractContextManager[Any]:
        """Makes the turn's span the current one without a new span."""
        ...
