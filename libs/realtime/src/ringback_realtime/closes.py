"""WebSocket close codes and reasons that the protocol documents or that clients react to."""

from typing import Final, NamedTuple

__all__ = [
    "BUSY",
    "FRAME_TOO_BIG",
    "GOING_AWAY",
    "INTERNAL",
    "NORMAL",
    "SLOW_READER",
    "Close",
    "invalid_request",
    "session_expired",
    "unavailable",
]


class Close(NamedTuple):
    """A close code with its reason (≤ 123 bytes of UTF-8 by RFC 6455)."""

    code: int
    reason: str


NORMAL: Final = Close(1000, "")
GOING_AWAY: Final = Close(1001, "The server is shutting down.")
SLOW_READER: Final = Close(1008, "slow_reader: the client does not read its events fast enough.")
FRAME_TOO_BIG: Final = Close(1009, "frame_too_big: a message may have at most 16 MiB.")
INTERNAL: Final = Close(1011, "internal_error")
BUSY: Final = Close(1013, "too_many_sessions: try again later.")


def unavailable(code: str) -> Close:
    """The close that follows an ``error`` event of kind ``server_error``: nothing is wrong with the request."""
    return Close(1013, f"{code}: try again later."[:123])


def session_expired(limit_ms: int) -> Close:
    """The close of a session that lasted as long as it may, worded as the protocol words it for its hour."""
    number, unit = (limit_ms // 60_000, "minute") if limit_ms % 60_000 == 0 else (limit_ms / 1000, "second")
    plural = "" if number == 1 else "s"
    return Close(1001, f"Your session hit the maximum duration of {number:g} {unit}{plural}.")


def invalid_request(code: str) -> Close:
    """The close that follows a fatal ``error`` event: 3000 for a bad key, else 4000."""
    return Close(3000 if code == "invalid_api_key" else 4000, f"invalid_request_error.{code}"[:123])
