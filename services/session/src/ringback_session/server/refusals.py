"""What a visitor who is not let in is told: HTTP before the upgrade, an error event and a close after it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from picows import WSUpgradeResponseWithListener
from ringback_realtime import EventIds, ProtocolError, ServerEvents, closes, transcription_session
from ringback_sockets import RealtimeLink, refusal

from ringback_session.usecases.admission import Refused

__all__ = ["as_error", "as_http", "bad_key", "bad_token", "no_transcription", "tell"]

# By the reason of a Refused: what clients know it as. All else is ours: a server error that passes.
_CODES: Final = {"tenant_quota": "rate_limit_exceeded", "tenant_budget": "insufficient_quota"}
# Codes whose close says that it is worth coming back.
_PASSING: Final = frozenset({"service_unavailable", "overloaded", "rate_limit_exceeded"})


def as_http(refused: Refused) -> WSUpgradeResponseWithListener:
    """429 where the tenant's own bound is reached, 503 where this replica's is; both say when to come back."""
    return refusal(
        HTTPStatus.TOO_MANY_REQUESTS if refused.of_tenant else HTTPStatus.SERVICE_UNAVAILABLE,
        code=_CODES.get(refused.reason, "overloaded"),
        message=str(refused),
        retry_after_s=max(1, (refused.retry_after_ms or 1000) // 1000),
    )


def as_error(refused: Refused) -> ProtocolError:
    code = _CODES.get(refused.reason, "overloaded")
    kind = "invalid_request_error" if refused.of_tenant else "server_error"
    return ProtocolError(code, f"The call could not start: {refused}.", kind=kind)


def bad_key(message: str) -> ProtocolError:
    return ProtocolError("invalid_api_key", message)


def bad_token() -> ProtocolError:
    return ProtocolError(
        "invalid_resume_token", "The resume token is unknown, spent, or its session has ended."
    )


def no_transcription() -> ProtocolError:
    return transcription_session("intent")


def tell(link: RealtimeLink, error: ProtocolError) -> None:
    """An error event, then the close that clients know as fatal, or as one to come back from."""
    link.send(ServerEvents(EventIds(error.code)).error(error))
    passing = error.code in _PASSING or error.kind == "server_error"
    link.close(closes.unavailable(error.code) if passing else closes.invalid_request(error.code))
