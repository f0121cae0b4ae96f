"""Who may open a session: where sessions are, whose key fits, how many there may be."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from picows import WSUpgradeResponseWithListener
from ringback_sockets import Upgrade, refusal

__all__ = ["HEALTH_PATH", "REALTIME_PATH", "Admission"]

HEALTH_PATH: Final = "/healthz"
REALTIME_PATH: Final = "/v1/realtime"
RETRY_AFTER_S: Final = 1


@dataclass(frozen=True)
class Admission:
    """The rules; `key` is None when everybody may come in."""

    key: str | None
    sessions_max: int

    def refuse(self, upgrade: Upgrade, *, ready: bool, sessions: int) -> WSUpgradeResponseWithListener | None:
        """The answer to a request that may not become a session; None for one that may."""
        if upgrade.path != REALTIME_PATH:
            message = f"Nothing is here; sessions are at {REALTIME_PATH}."
            return refusal(HTTPStatus.NOT_FOUND, code="not_found", message=message)
        if not self.fits(upgrade.key):
            message = "The key is missing or wrong."
            return refusal(HTTPStatus.UNAUTHORIZED, code="invalid_api_key", message=message)
        if not ready:
            return not_ready("Not ready for sessions.")
        if sessions >= self.sessions_max:
            message = f"At most {self.sessions_max} sessions at once."
            return _later("too_many_sessions", message)
        return None

    def fits(self, presented: str | None) -> bool:
        """Is this the key, if there is one?"""
        if self.key is None:
            return True
        shown = (presented or "").encode("utf-8", "surrogatepass")
        return presented is not None and hmac.compare_digest(shown, self.key.encode())


def not_ready(message: str) -> WSUpgradeResponseWithListener:
    """The answer while sessions can not be made."""
    return _later("not_ready", message)


def _later(code: str, message: str) -> WSUpgradeResponseWithListener:
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, code=code, message=message, retry_after_s=RETRY_AFTER_S)
