"""The Realtime gateway: who may call, with which pack, or which session they come back to."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from picows import WSUpgradeRequest, WSUpgradeResponseWithListener
from ringback_errors import NotFound, RingbackError, Unauthenticated
from ringback_identity import ResumeToken
from ringback_realtime import Close, ProtocolError, closes
from ringback_sockets import Closed, RealtimeLink, accepted, listen, read_upgrade, refusal, text_answer

from ringback_session.domain.model_problem import ModelProblem
from ringback_session.ports import Caller, Tenants
from ringback_session.server.callers import called_by
from ringback_session.server.refusals import as_error, as_http, bad_key, bad_token, no_transcription, tell
from ringback_session.server.secrets_http import SecretsHttp
from ringback_session.usecases.admission import Refused
from ringback_session.usecases.call import Call
from ringback_session.usecases.calls import Calls, fresh_session_id
from ringback_session.usecases.client_secrets import ClientSecrets, tenant_of_secret

__all__ = ["Gateway"]

log: Final = logging.getLogger(__name__)
PING_MS: Final = 20_000
RESUME_HEADER: Final = "Ringback-Resume-Token"
SESSION_HEADER: Final = "Ringback-Session-Id"
_PATH: Final = re.compile(r"(?:/p/(?P<pack>[a-z0-9-]{1,63})|/r/(?P<token>[^/]{1,200}))?/v1/realtime")
_HUNG_UP: Final = (0, 1000, 1005)
_EXPECTED: Final = "expected /v1/realtime, /p/<pack>/v1/realtime or /r/<resume token>/v1/realtime"


@dataclass
class _Visit:
    """One connection before it is a call."""

    session_id: str
    new_token: str
    model: str | None
    caller: Caller | None = None
    pack: str = ""
    old_token: str = ""
    secret: str = ""
    refused: ProtocolError | None = None


class _Client:
    """Implements `ports.ClientSocket` over a link."""

    __slots__ = ("_link", "send")

    def __init__(self, link: RealtimeLink) -> None:
        self._link = link
        # The hot path: no call of ours in between.
        self.send = link.send

    def close(self, code: int, reason: str) -> None:
        self._link.close(Close(code, reason))


class Gateway:
    """Serves the Realtime protocol on one port."""

    def __init__(
        self,
        calls: Calls,
        tenants: Tenants,
        secrets: ClientSecrets | None = None,
        *,
        ping_ms: int = PING_MS,
    ) -> None:
        self._ping_ms = ping_ms
        self._secrets = secrets
        self._calls = calls
        self._tenants = tenants
        self._server: asyncio.Server | None = None
        self._shared = False
        self._visits: set[asyncio.Task[None]] = set()
        calls.on_stop_taking = self._leave_port

    async def open(self, *, host: str, port: int, shared: bool = False) -> int:
        """Listen and return the port; `shared` with other workers of this machine. Raises ConfigError."""
        on_request = None if self._secrets is None else SecretsHttp(self._secrets, self._tenants)
        self._server, bound = await listen(
            self._admit,
            host=host,
            port=port,
            shared=shared,
            ping_ms=self._ping_ms,
            on_request=on_request,
        )
        self._shared = shared
        return bound

    def stop_taking(self) -> None:
        """Take no further call."""
        self._calls.stop_taking()

    async def close(self, *, drain_ms: int) -> None:
        """Take no further call, let those that run finish or be resumed elsewhere, then stop listening."""
        self.stop_taking()
        await self._calls.drain(drain_ms)
        if self._server is not None:
            self._server.close()

    def _leave_port(self) -> None:
        """Alone on the port, go on refusing calls; behind a shared one, leave it to the others."""
        if self._shared and self._server is not None:
            self._server.close()

    def _admit(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        upgrade = read_upgrade(request)
        if upgrade.path == "/healthz":
            status = HTTPStatus.SERVICE_UNAVAILABLE if self._calls.draining else HTTPStatus.OK
            return text_answer("draining\n" if self._calls.draining else "ok\n", status=status)
        path = _PATH.fullmatch(upgrade.path)
        if path is None:
            return refusal(HTTPStatus.NOT_FOUND, code="unknown_url", message=f"Unknown path: {_EXPECTED}.")
        if not upgrade.websocket:
            return refusal(
                HTTPStatus.UPGRADE_REQUIRED, code="websocket_expected", message="Connect with a WebSocket."
            )
        visit = self._identify(upgrade.key, path["pack"] or "", path["token"] or "", upgrade.model)
        visit = _intended(visit, upgrade.intent)
        try:
            self._calls.admission.check(waiting=len(self._visits), resuming=bool(visit.old_token))
            if visit.caller is not None:
                self._calls.admission.check_tenant(visit.caller)
        except Refused as refused:
            return as_http(refused)
        if visit.caller is not None:
            try:
                visit.caller = called_by(visit.caller, request.headers)
            except ProtocolError as error:
                visit = _Visit("", "", None, refused=error)
        link = RealtimeLink(on_open=lambda opened: self._visit(opened, visit))
        headers = {RESUME_HEADER: visit.new_token} if visit.new_token else {}
        if visit.session_id:
            headers[SESSION_HEADER] = visit.session_id
        return accepted(upgrade, link, headers=headers)

    def _identify(self, key: str | None, pack: str, token: str, model: str | None) -> _Visit:
        """Who is it? A wrong key is told after the upgrade: some clients take a refused upgrade for a hiccup."""
        presented = token or (key if key and ResumeToken.tenant_of(key) else "")
        if presented:
            tenant = ResumeToken.tenant_of(presented)
            if tenant is None:
                return _Visit("", "", None, refused=bad_token())
            return _Visit("", ResumeToken.new(tenant=tenant), None, old_token=presented)
        if not key:
            return _Visit("", "", None, refused=bad_key("No API key was given: send it as a bearer token."))
        tenant = tenant_of_secret(key)
        if tenant is not None and self._secrets is not None:
            token = ResumeToken.new(tenant=tenant)
            return _Visit(fresh_session_id(), token, model, pack=pack, secret=key)
        try:
            caller = self._tenants.authenticate(key)
        except Unauthenticated as error:
            return _Visit("", "", None, refused=bad_key(str(error)))
        chosen = pack or caller.default_pack
        if chosen not in caller.packs:
            allowed = ", ".join(caller.packs)
            message = f"This key may not use the pack '{chosen}'; it may use: {allowed}."
            return _Visit("", "", None, refused=ProtocolError("pack_not_allowed", message, "path"))
        return _Visit(fresh_session_id(), ResumeToken.new(tenant=caller.tenant), model, caller, chosen)

    def _visit(self, link: RealtimeLink, visit: _Visit) -> None:
        task = asyncio.ensure_future(self._serve(link, visit))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    async def _serve(self, link: RealtimeLink, visit: _Visit) -> None:
        client = _Client(link)
        if visit.refused is not None:
            tell(link, visit.refused)
            return
        try:
            if visit.old_token:
                call = await self._calls.resume(
                    client,
                    tenant=ResumeToken.tenant_of(visit.old_token) or "",
                    token_hash=ResumeToken.hash_of(visit.old_token),
                    new_token_hash=ResumeToken.hash_of(visit.new_token),
                )
            else:
                call = await self._start(client, visit)
        except NotFound as error:
            tell(link, bad_token() if visit.old_token else ProtocolError("not_found", str(error)))
        except (Unauthenticated, ProtocolError) as error:
            tell(link, error if isinstance(error, ProtocolError) else bad_key(str(error)))
        except Refused as refused:
            tell(link, as_error(refused))
        except RingbackError as error:
            log.warning("a call could not start: %s", error, extra={"code": error.code})
            code = error.problem if isinstance(error, ModelProblem) else "service_unavailable"
            tell(link, ProtocolError(code, f"The call could not start: {error}.", kind="server_error"))
        except Exception:
            log.exception("a call could not start")
            link.close(closes.INTERNAL)
        else:
            link.take(call.client_frame, lambda closed: call.client_closed(client, hung_up=_hung_up(closed)))

    async def _start(self, client: _Client, visit: _Visit) -> Call:
        caller, pack, session = visit.caller, visit.pack, None
        if visit.secret and self._secrets is not None:
            caller, secret = await self._secrets.find(visit.secret, pack=visit.pack)
            pack, session = secret.pack, secret.session
            caller = msgspec.structs.replace(caller, caller_id=secret.caller_id)
        if caller is None:
            raise Unauthenticated("The key belongs to nobody.")
        return await self._calls.start(
            client,
            caller=caller,
            pack=pack,
            session_id=visit.session_id,
            token_hash=ResumeToken.hash_of(visit.new_token),
            model=visit.model,
            session=session,
        )


def _intended(visit: _Visit, intent: str | None) -> _Visit:
    """A visit for something else than a conversation is told so; a wrong key before that."""
    if intent == "transcription" and visit.refused is None:
        return _Visit("", "", None, refused=no_transcription())
    return visit


def _hung_up(closed: Closed) -> bool:
    return closed.code in _HUNG_UP
