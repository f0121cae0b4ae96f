# ruff: noqa: N818 - the vocabulary reads as what happened (`Conflict`, `Behind`), without a suffix
"""Owns the error classes and their codes; the tree is drawn in the package's docstring."""

from __future__ import annotations

from typing import ClassVar, Final


class RingbackError(Exception):
    """The root: an error with a stable code, safe to show to the caller on the other side of a boundary."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        if self.field and not self.message.startswith(self.field):
            return f"{self.field}: {self.message}"
        return self.message

    def __repr__(self) -> str:
        extra = "" if self.retry_after_ms is None else f", retry_after_ms={self.retry_after_ms}"
        return f"{type(self).__name__}({self.message!r}, field={self.field!r}{extra})"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own pickling would lose the keyword-only parts.
        return (_rebuild, (type(self), self.message, self.field, self.retry_after_ms))


class InvalidInput(RingbackError):
    """The request itself is wrong; repeating it cannot help."""

    code = "invalid_input"


class NotFound(RingbackError):
    """The thing named does not exist, or not for this tenant."""

    code = "not_found"


class Conflict(RingbackError):
    """A compare-and-set was lost: read again, then decide again."""

    code = "conflict"


class Fenced(RingbackError):
    """A newer epoch owns the session; whoever gets this must stop acting for it."""

    code = "fenced"


class Forbidden(RingbackError):
    """It is known who asks, and they may not."""

    code = "forbidden"


class Unauthenticated(RingbackError):
    """It is not known who asks."""

    code = "unauthenticated"


class Behind(RingbackError):
    """The state asked for has not been reached yet."""

    code = "behind"
    retryable = True


class Overloaded(RingbackError):
    """A stated limit is reached; ``retry_after_ms`` says when to come back, where that is known."""

    code = "overloaded"
    retryable = True


class Unavailable(RingbackError):
    """A dependency is away, or its breaker is open."""

    code = "unavailable"
    retryable = True


class DeadlineExceeded(RingbackError):
    """The time given is used up; whether the request had an effect is unknown."""

    code = "deadline_exceeded"


class Internal(RingbackError):
    """Our own fault; the cause is in the log of the process that raised it."""

    code = "internal"


class ConfigError(RingbackError):
    """The process cannot start: one line for the operator, then exit code 2."""

    code = "config"


_BY_CODE: Final[dict[str, type[RingbackError]]] = {
    kind.code: kind
    for kind in (
        InvalidInput,
        NotFound,
        Conflict,
        Fenced,
        Forbidden,
        Unauthenticated,
        Behind,
        Overloaded,
        Unavailable,
        DeadlineExceeded,
        Internal,
        ConfigError,
    )
}


def error_for(
    code: str, message: str, *, field: str | None = None, retry_after_ms: int | None = None
) -> RingbackError:
    """The error with this code; a code that this version does not know becomes `Internal`."""
    return _BY_CODE.get(code, Internal)(message, field=field, retry_after_ms=retry_after_ms)


def _rebuild(
    kind: type[RingbackError], message: str, field: str | None, retry_after_ms: int | None
) -> RingbackError:
    return kind(message, field=field, retry_after_ms=retry_after_ms)
