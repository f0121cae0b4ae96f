"""The HTTP request that asks for a WebSocket: who asks, for what, and the answers to those who may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, unquote

import orjson
from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

__all__ = ["Upgrade", "accepted", "presented_key", "read_upgrade", "refusal", "text_answer"]

SUBPROTOCOL: Final = "realtime"
KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."


@dataclass(frozen=True)
class Upgrade:
    """What a request asks for. `key` is the bearer's, or a browser's subprotocol's; None: none was shown."""

    path: str
    model: str | None
    key: str | None = field(repr=False)
    subprotocol: bool
    beta_header: bool
    websocket: bool
    # What the session is to be for, where the request says so.
    intent: str | None = None


def read_upgrade(request: WSUpgradeRequest) -> Upgrade:
    """Read a request; total, whatever its bytes are."""
    path, _, query = request.path.decode("latin-1").partition("#")[0].partition("?")
    asked = parse_qs(query)
    models, intents = asked.get("model"), asked.get("intent")
    offered = _offered(request)
    return Upgrade(
        path=unquote(path).rstrip("/"),
        model=models[0][:128] if models else None,
        key=presented_key(request),
        subprotocol=SUBPROTOCOL in offered,
        beta_header="openai-beta" in request.headers,
        websocket=request.headers.get("upgrade", "").lower() == "websocket",
        intent=intents[0][:128] if intents else None,
    )


def presented_key(request: WSUpgradeRequest) -> str | None:
    """The key of the ``Authorization`` header or, from a browser, of the offered subprotocols."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return str(key.strip())
    return next(
        (
            name.removeprefix(KEY_SUBPROTOCOL)
            for name in _offered(request)
            if name.startswith(KEY_SUBPROTOCOL)
        ),
        None,
    )


def accepted(
    upgrade: Upgrade, listener: WSListener, *, headers: Mapping[str, str] | None = None
) -> WSUpgradeResponseWithListener:
    """The 101 answer; a browser that offered ``realtime`` gets exactly that selected."""
    extra = dict(headers or {})
    if upgrade.subprotocol:
        extra["Sec-WebSocket-Protocol"] = SUBPROTOCOL
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(extra), listener)


def refusal(
    status: HTTPStatus, *, code: str, message: str, retry_after_s: int | None = None
) -> WSUpgradeResponseWithListener:
    """An HTTP answer in place of the upgrade, its body shaped like the protocol's errors."""
    body = orjson.dumps({"error": {"type": "invalid_request_error", "code": code, "message": message}})
    headers = {"Content-Type": "application/json"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)


def text_answer(body: str, *, status: HTTPStatus = HTTPStatus.OK) -> WSUpgradeResponseWithListener:
    """A small plain answer, such as a health check's."""
    if status is HTTPStatus.OK:
        response = WSUpgradeResponse.create_ok_response(body.encode())
    else:
        response = WSUpgradeResponse.create_error_response(status, body.encode())
    return WSUpgradeResponseWithListener(response, None)


def _offered(request: WSUpgradeRequest) -> list[str]:
    header = request.headers.get("sec-websocket-protocol", "")
    return [name.strip() for name in header.split(",") if name.strip()]
