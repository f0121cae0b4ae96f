"""Short-lived keys for browsers and other clients that must not hold an API key: made, kept, found again.

`ek_<tenant>.<26 base32 characters>`, 128 random bits. Only the hash is stored, where every replica finds it, with what
a session that it starts is configured with.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from ringback_errors import Unauthenticated
from ringback_identity import ResumeToken
from ringback_realtime import ProtocolError, SessionConfig, invalid_value
from ringback_realtime.validation import convert

from ringback_session.ports import Caller, Clock, Secret, Secrets, Tenants
from ringback_session.views.sizes import check_size

__all__ = ["ClientSecrets", "tenant_of_secret"]

MODEL_CHARS_MAX: Final = 128
_FORM: Final = re.compile(r"ek_(?P<tenant>[a-z0-9][a-z0-9-]{0,62})\.[a-z2-7]{26}")


class _Expiry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Annotated[int, msgspec.Meta(ge=10, le=7_200)] = 600
    anchor: Literal["created_at"] = "created_at"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expires_after: _Expiry | None = None
    session: dict[str, Any] | None = None


def tenant_of_secret(key: str) -> str | None:
    """The tenant that a client secret claims; None where the text is none."""
    found = _FORM.fullmatch(key)
    return found["tenant"] if found else None


class ClientSecrets:
    """The life of a secret gates the start of sessions; those that run go on."""

    def __init__(self, *, secrets: Secrets, tenants: Tenants, clock: Clock, model: str) -> None:
        self._secrets = secrets
        self._tenants = tenants
        self._clock = clock
        self._model = model

    async def make(self, body: bytes, *, caller: Caller, pack: str) -> dict[str, Any]:
        """The answer to `POST /v1/realtime/client_secrets`. Raises ProtocolError, Overloaded, Unavailable."""
        asked = _read(body)
        seconds = (asked.expires_after or _Expiry()).seconds
        session = asked.session or {"type": "realtime"}
        expires_at = self._clock.now_ms() // 1000 + seconds
        value = f"ek_{caller.tenant}.{ResumeToken.new(tenant=caller.tenant).rpartition('.')[2]}"
        base = SessionConfig.defaults(id="", model=_model_of(session) or self._model, expires_at=0)
        config = base.merge(session)
        check_size(config)
        shown = config.to_wire()
        secret = Secret(
            tenant=caller.tenant,
            pack=pack,
            session=session,
            expires_at_ms=expires_at * 1000,
            caller_id=caller.caller_id,
        )
        await self._secrets.keep(_hash(value), secret)
        return {"value": value, "expires_at": expires_at, "session": shown}

    async def find(self, value: str, *, pack: str) -> tuple[Caller, Secret]:
        """Whose secret it is, and what it starts. Raises Unauthenticated, ProtocolError (pack), Unavailable."""
        secret = await self._secrets.find(_hash(value))
        if secret is None or secret.tenant != tenant_of_secret(value):
            raise Unauthenticated("The client secret is unknown or has expired.")
        if secret.expires_at_ms <= self._clock.now_ms():
            raise Unauthenticated("The client secret has expired.")
        caller = self._tenants.find(secret.tenant)
        if caller is None or secret.pack not in caller.packs:
            raise Unauthenticated("The client secret is no longer valid.")
        if pack not in ("", secret.pack):
            message = f"This client secret is for the pack '{secret.pack}'."
            raise ProtocolError("pack_not_allowed", message, "path")
        return caller, secret


def _read(body: bytes) -> _Body:
    try:
        data = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, RecursionError):
        raise invalid_value("body", "expected JSON") from None
    return convert(data, _Body, param="")


def _model_of(session: dict[str, Any]) -> str:
    model = session.get("model")
    return model[:MODEL_CHARS_MAX] if isinstance(model, str) else ""


def _hash(value: str) -> bytes:
    return ResumeToken.hash_of(value)
