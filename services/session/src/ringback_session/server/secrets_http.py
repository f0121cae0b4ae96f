"""`POST /v1/realtime/client_secrets`, the one request with a body that session answers."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from ringback_errors import NotFound, Overloaded, RingbackError, Unauthenticated
from ringback_realtime import ProtocolError
from ringback_sockets import HttpAnswer, HttpRequest, error_answer, json_answer

from ringback_session.ports import Tenants
from ringback_session.server.callers import called_by
from ringback_session.usecases.client_secrets import ClientSecrets

__all__ = ["SecretsHttp"]

_PATH: Final = re.compile(r"(?:/p/(?P<pack>[a-z0-9-]{1,63}))?/v1/realtime/client_secrets")


class SecretsHttp:
    def __init__(self, secrets: ClientSecrets, tenants: Tenants) -> None:
        self._secrets = secrets
        self._tenants = tenants

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Total: what is wrong is said with a status and in the protocol's shape."""
        path = _PATH.fullmatch(request.path)
        if path is None:
            message = "Unknown path: expected /v1/realtime/client_secrets."
            return error_answer(HTTPStatus.NOT_FOUND, code="unknown_url", message=message)
        if request.method != "POST":
            message = "Expected POST."
            return error_answer(HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed", message=message)
        try:
            return json_answer(await self._make(request, path["pack"] or ""))
        except ProtocolError as error:
            return error_answer(
                HTTPStatus.BAD_REQUEST, code=error.code, message=error.message, param=error.param
            )
        except Unauthenticated as error:
            return error_answer(HTTPStatus.UNAUTHORIZED, code="invalid_api_key", message=str(error))
        except NotFound as error:
            return error_answer(HTTPStatus.NOT_FOUND, code="pack_not_allowed", message=str(error))
        except Overloaded as error:
            wait_s = max(1, (error.retry_after_ms or 1_000) // 1_000)
            return error_answer(
                HTTPStatus.TOO_MANY_REQUESTS, code="overloaded", message=str(error), retry_after_s=wait_s
            )
        except RingbackError as error:
            return error_answer(
                HTTPStatus.SERVICE_UNAVAILABLE,
                code="service_unavailable",
                message=str(error),
                retry_after_s=1,
            )

    async def _make(self, request: HttpRequest, pack: str) -> dict[str, object]:
        if not request.key:
            raise Unauthenticated("No API key was given: send it as a bearer token.")
        caller = called_by(self._tenants.authenticate(request.key), request.headers)
        chosen = pack or caller.default_pack
        if chosen not in caller.packs:
            raise NotFound(f"this key may not use the pack '{chosen}'; it may use: {', '.join(caller.packs)}")
        return await self._secrets.make(request.body, caller=caller, pack=chosen)
