"""Who may open a session: the path, the key in its header or subprotocol, and the answers to those who may not."""

import hmac
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson
from picows import WSUpgradeRequest, WSUpgradeResponse

__all__ = ["REALTIME_PATH", "model_of", "path_of", "presented_key", "refusal", "subprotocol"]

REALTIME_PATH: Final = "/v1/realtime"
_SUBPROTOCOL: Final = "realtime"
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."


def path_of(request: WSUpgradeRequest) -> str:
    return urlsplit(request.path.decode("latin-1")).path.rstrip("/")


def model_of(request: WSUpgradeRequest) -> str | None:
    """The model in the query; None when the client leaves the choice to us."""
    values = parse_qs(urlsplit(request.path.decode("latin-1")).query).get("model")
    return values[0][:128] if values else None


def presented_key(request: WSUpgradeRequest) -> str | None:
    """The key of the ``Authorization`` header or, from a browser, of the offered subprotocols."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    offered = (name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(","))
    return next(
        (name.removeprefix(_KEY_SUBPROTOCOL) for name in offered if name.startswith(_KEY_SUBPROTOCOL)), None
    )


def key_fits(presented: str | None, *, expected: str | None) -> bool:
    """Without an expected key everybody may come in; else only who shows it."""
    if expected is None:
        return True
    return presented is not None and hmac.compare_digest(presented.encode(), expected.encode())


def subprotocol(request: WSUpgradeRequest) -> dict[str, str]:
    """The response header that a browser insists on: exactly ``realtime``, if it was offered."""
    offered = [name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",")]
    return {"Sec-WebSocket-Protocol": _SUBPROTOCOL} if _SUBPROTOCOL in offered else {}


def refusal(
    status: HTTPStatus, *, code: str, message: str, retry_after_s: int | None = None
) -> WSUpgradeResponse:
    """An HTTP answer in place of the upgrade, its body shaped like the protocol's errors."""
    body = orjson.dumps({"error": {"type": "invalid_request_error", "code": code, "message": message}})
    headers = {"Content-Type": "application/json"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    response: WSUpgradeResponse = WSUpgradeResponse.create_error_response(status, body, headers)
    return response
