"""The one error vocabulary: the few errors that cross a boundary between services.

    RingbackError
    ├── InvalidInput       the request itself is wrong; ``field`` names the part
    ├── NotFound           the thing named does not exist (here, or for this tenant)
    ├── Conflict           a compare-and-set was lost: read again, then decide
    ├── Fenced             a newer epoch owns this session; the caller must stop
    ├── Forbidden          known who asks, and may not (also: a decision's proof does not hold)
    ├── Unauthenticated    not known who asks
    ├── Behind             the state asked for has not been reached yet           (retryable)
    ├── Overloaded         a stated limit is reached; see ``retry_after_ms``      (retryable)
    ├── Unavailable        a dependency is away, or a breaker is open             (retryable)
    ├── DeadlineExceeded   the time given is used up; whether it had effect is unknown
    ├── Internal           our fault; the cause is in the log, never in the message
    └── ConfigError        the process cannot start; never crosses a wire

Raise these with messages that name the field and what was expected, and no secret: they are logged, traced
and sent. ``retryable`` says that the same request may succeed a little later; whether repeating is *safe* is
the caller's to know.
"""

from ringback_errors.detail import DETAIL_KEY, decode_detail, encode_detail
from ringback_errors.tree import (
    Behind,
    ConfigError,
    Conflict,
    DeadlineExceeded,
    Fenced,
    Forbidden,
    Internal,
    InvalidInput,
    NotFound,
    Overloaded,
    RingbackError,
    Unauthenticated,
    Unavailable,
    error_for,
)

__all__ = [
    "DETAIL_KEY",
    "Behind",
    "ConfigError",
    "Conflict",
    "DeadlineExceeded",
    "Fenced",
    "Forbidden",
    "Internal",
    "InvalidInput",
    "NotFound",
    "Overloaded",
    "RingbackError",
    "Unauthenticated",
    "Unavailable",
    "decode_detail",
    "encode_detail",
    "error_for",
]
