"""WebSocket close codes and reasons that the protocol documents or that clients react to."""

from typing import Final, NamedTuple

__all__ = [
    "BUSY",
    "FRAME_TOO_BIG",
    "GOING_AWAY",
    "INTERNAL",
    "NORMAL",
    "SESSION_EXPIRED",
    "SLOW_READER",
    "Close",
    "invalid_request",
]


class Close(NamedTuple):
    """A close code with its reason (≤ 123 bytes of UTF-8 by RFC 6455)."""

    code: int
    reason: str


NORMAL: Final = Close(1000, "")
GOING_AWAY: Final = Close(1001, "The server is shutting down.")
SESSION_EXPIRED: Final = Close(1001, "Your session hit the maximum duration of 60 minutes.")
SLOW_READER: Final = Close(1008, "slow_reader: the client does not read its events fast enough.")
FRAME_TOO_BIG: Final = Close(1009, "frame_too_big: a message may have at most 16 MiB.")
INTERNAL: Final = Close(1011, "internal_error")
BUSY: Final = Close(1013, "too_many_sessions: try again later.")


def invalid_request(code: str) -> Close:
    """The close that follows a fatal ``error`` event: 3000 for a bad key, else 4000."""
    return Close(3000 if code == "invalid_api_key" else 4000, f"invalid_request_error.{code}"[:123])
