"""Owns how an execution ends: statuses, the closed list of error codes, results, answers of attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from msgspec import Struct

__all__ = [
    "Answer",
    "Answered",
    "ErrorCode",
    "Failed",
    "FallbackGiven",
    "FallbackKind",
    "Result",
    "Status",
]


class Status(StrEnum):
    """OK; ended without effect; or not known."""

    OK = "ok"
    ERROR = "error"
    UNKNOWN_OUTCOME = "unknown_outcome"


class ErrorCode(StrEnum):
    """Every way to end that is not OK."""

    INVALID_ARGUMENTS = "invalid_arguments"
    UNKNOWN_TOOL = "unknown_tool"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    TOOL_UNAVAILABLE = "tool_unavailable"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    INVALID_RESULT = "invalid_result"
    UNKNOWN_OUTCOME = "unknown_outcome"
    FENCED = "fenced"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    AUTH = "auth"
    NOT_STARTED = "not_started"


class FallbackKind(StrEnum):
    """What is given instead of an answer."""

    NONE = "none"
    CACHED = "cached"
    STATIC = "static"
    CALLBACK = "callback"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class FallbackGiven:
    """The fallback as it was given; `age_ms` of a cached answer."""

    kind: FallbackKind
    message: str = ""
    age_ms: int = 0


class Result(Struct, frozen=True):
    """How an execution ended; `message` is safe to speak."""

    status: Status
    data_json: str = ""
    truncated: bool = False
    confidence: float = 1.0
    error_code: ErrorCode | None = None
    message: str = ""
    retryable: bool = False
    trace_id: str = ""
    attempts: int = 0
    already_done: bool = False
    fallback: FallbackGiven | None = None
    duration_ms: float = 0.0
    open_breakers: tuple[str, ...] = ()
    # What was wrong with a request; not spoken.
    detail: str = ""

    @property
    def known(self) -> bool:
        """Whether the effect is known, be it none."""
        return self.status is not Status.UNKNOWN_OUTCOME


@dataclass(frozen=True, slots=True)
class Answered:
    """An attempt that the system behind the tool answered: the tool's data, and the answer it was made from."""

    data: Any
    status: int = 0
    body: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that did not give data.

    `in_doubt`: the request may have taken effect. `definitive`: the system itself said no, so nothing is in
    doubt. `blames`: it counts against the dependency. `text` is the system's own sentence, cleaned, or
    empty. `detail` is for logs.
    """

    code: ErrorCode
    retryable: bool = False
    in_doubt: bool = False
    definitive: bool = False
    blames: bool = True
    text: str = ""
    retry_after_ms: int = 0
    detail: str = ""
    status: int = 0
    # For a check's conditions; it may repeat what was sent, so no log gets it.
    body: Any = field(default=None, repr=False)


Answer = Answered | Failed


def field_values(data: Any) -> Mapping[str, Any]:
    """The top-level fields of an answer; none if it is not an object."""
    return data if isinstance(data, Mapping) else {}
