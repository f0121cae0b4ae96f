"""Owns what a tool is: the rules that its pack declares, and which version and which tools somebody gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ringback_tools.domain.breaker import BreakerRule
from ringback_tools.domain.results import ErrorCode, FallbackKind

__all__ = [
    "CheckRule",
    "Condition",
    "ConnectorSpec",
    "FallbackRule",
    "Limits",
    "MessageRule",
    "RetryRule",
    "SideEffect",
    "Tool",
    "Upgrade",
    "find",
    "visible",
]


class SideEffect(StrEnum):
    """What a call may do to the world."""

    READ = "read"
    WRITE = "write"
    IRREVERSIBLE = "irreversible"


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """Which connector runs the tool, and that connector's own options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryRule:
    """Attempts in all, the full-jitter window (uniform in [0, min(cap, base · 2^(n-1))]), and after what."""

    attempts_max: int = 1
    base_ms: int = 100
    cap_ms: int = 2_000
    codes: frozenset[ErrorCode] = frozenset(
        {ErrorCode.TIMEOUT, ErrorCode.TOOL_UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED}
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tool runs and waits at once on one replica, and how large its result may be."""

    concurrency_max: int = 16
    concurrency_min: int = 1
    queue_max: int = 32
    result_bytes_max: int = 16_384


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of a system's answer: its status is one of these (if any), the value at `path` is one of `equals`.

    With `codes` instead: the system's own refusal has one of them.
    """

    status: tuple[int, ...] = ()
    codes: tuple[ErrorCode, ...] = ()
    path: str = ""
    equals: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckRule:
    """How to find out whether a write took effect. Neither condition met: the system could not say.

    "Not done" counts only `settle_ms` after the attempt's deadline: until then a late request may still
    arrive.
    """

    connector: ConnectorSpec
    done_when: Condition
    not_done_when: Condition | None = None
    timeout_ms: int = 1_500
    settle_ms: int = 3_000


@dataclass(frozen=True, slots=True)
class FallbackRule:
    """What the caller gets when the tool cannot be had."""

    kind: FallbackKind = FallbackKind.NONE
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    age_max_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class MessageRule:
    """A sentence for results whose fields have these values; no condition: for all. See `templates`."""

    say: str
    when: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How arguments made for an older version become this one's: rename, drop, then set what is absent."""

    from_version: str
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """One version of a tool, ready to run."""

    name: str
    version: str
    description: str
    side_effect: SideEffect
    parameters: Mapping[str, Any]
    connector: ConnectorSpec
    result: Mapping[str, Any] = field(default_factory=dict)
    deadline_ms: int = 10_000
    attempt_timeout_ms: int = 5_000
    slow_after_ms: int = 800
    dependency: str = ""
    internal: bool = False
    scopes: frozenset[str] = frozenset()
    retry: RetryRule = field(default_factory=RetryRule)
    # Where the backend takes its idempotency key (for http a header's name); empty: it has none.
    key_field: str = ""
    check: CheckRule | None = None
    limits: Limits = field(default_factory=Limits)
    fallback: FallbackRule = field(default_factory=FallbackRule)
    breaker: BreakerRule = field(default_factory=BreakerRule)
    ok_messages: tuple[MessageRule, ...] = ()
    # Name of an error code, not_done or accepted → sentence.
    error_messages: Mapping[str, str] = field(default_factory=dict)
    # Taken on at once and done later; refused while the oldest that waits has waited longer than the window.
    background: bool = False
    backlog_window_ms: int = 60_000
    upgrades: tuple[Upgrade, ...] = ()

    @property
    def effectful(self) -> bool:
        """Whether it needs a proof, a journal and care."""
        return self.side_effect is not SideEffect.READ

    @property
    def journalled(self) -> bool:
        """Whether its states are stored: what changes the world, and work that nobody waits for."""
        return self.effectful or self.background

    @property
    def keyed(self) -> bool:
        """Whether the backend itself refuses to do the same thing twice."""
        return bool(self.key_field)

    @property
    def may_retry(self) -> bool:
        """Only what can be repeated without harm: reads, and writes that the backend recognises."""
        return not self.effectful or self.keyed

    @property
    def major(self) -> str:
        """The part of the version that belongs to an action's identity."""
        return self.version.partition(".")[0]


def find(tools: Iterable[Tool], name: str, *, version: str) -> Tool | None:
    """The tool in exactly this version, else one that upgrades from it, else the newest of the same major."""
    named = [tool for tool in tools if tool.name == name]
    for tool in named:
        if tool.version == version:
            return tool
    upgrading = [tool for tool in named if any(each.from_version == version for each in tool.upgrades)]
    major = version.partition(".")[0]
    fitting = upgrading or [tool for tool in named if not version or tool.major == major]
    return max(fitting, key=_order, default=None)


def visible(
    tools: Iterable[Tool], *, allowed: Collection[tuple[str, str]], scopes: Iterable[str]
) -> list[Tool]:
    """What an agent may use: its own tools (name and version) and the internal ones, as far as the scopes reach.

    Of each name one version, whatever else stands beside it: the one that the agent names, or the newest.
    """
    listed, granted = tuple(tools), frozenset(scopes)
    internal = {tool.name: tool for tool in sorted(listed, key=_order) if tool.internal}
    return [
        tool
        for tool in listed
        if ((tool.name, tool.version) in allowed or internal.get(tool.name) is tool)
        and tool.scopes <= granted
    ]


def _order(tool: Tool) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in tool.version.split("."))
