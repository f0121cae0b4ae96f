"""Where an upstream is dialled and what is shown to it. What OpenAI and Azure want is taken from the `openai` package.

Azure has two endpoints: `/openai/v1/realtime?model=` speaks the released protocol; the dated one, with `api-version`
and `deployment`, is of the preview (Microsoft, "Use the GPT Realtime API via WebSockets").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from ringback_session.adapters.upstream_secrets import Secret
from ringback_session.adapters.upstream_spec import Upstream

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Endpoint", "Endpoints"]

_SHOWN: Final = ("OpenAI-Organization", "OpenAI-Project")
_SCHEMES: Final = {"https": "wss", "http": "ws"}


@dataclass(frozen=True)
class Endpoint:
    """What to dial. Its headers hold a credential."""

    url: str
    headers: dict[str, str] = field(repr=False)


class Endpoints:
    """The endpoints of one upstream, each made when it is dialled: the credential may have changed."""

    def __init__(self, upstream: Upstream, secret: Secret | None) -> None:
        self._upstream = upstream
        self._secret = secret
        # Slow to make, hence made once; a new key is put into it.
        self._client = _client(upstream) if upstream.kind in ("openai", "azure") else None

    def of(self, model: str) -> Endpoint:
        """The endpoint for a model, by the upstream's own name of it."""
        credential = self._secret.value() if self._secret is not None else ""
        if self._client is None:
            headers = {"Authorization": f"Bearer {credential}"} if credential else {}
            return Endpoint(_with_query(self._upstream.url, {"model": model} if model else {}), headers)
        self._client.api_key = credential
        base = str(self._client.base_url).rstrip("/")
        shown = self._client.default_headers
        headers = dict(self._client.auth_headers)
        headers |= {name: str(shown[name]) for name in _SHOWN if isinstance(shown.get(name), str)}
        return Endpoint(_with_query(f"{base}/realtime", self._query(model)), headers)

    def _query(self, model: str) -> dict[str, str]:
        version = self._upstream.api_version
        return {"api-version": version, "deployment": model} if version else {"model": model}


def _client(upstream: Upstream) -> AsyncOpenAI:
    """A client that knows the base and the headers; it makes no request. Its credential is put in later."""
    # Imported here: it takes a second, and a stack with a local model does not need it.
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    client: AsyncOpenAI
    options: dict[str, Any] = {"api_key": "none yet", "max_retries": 0}
    if upstream.kind == "openai":
        client = AsyncOpenAI(base_url=upstream.url, **options)
    else:
        base = f"{upstream.url.rstrip('/')}/openai{'' if upstream.api_version else '/v1'}"
        if upstream.token:
            client = AsyncOpenAI(base_url=base, **options)
        else:
            client = AsyncAzureOpenAI(base_url=base, api_version=upstream.api_version or "v1", **options)
    # Else the package would take them from variables of its own.
    client.organization = upstream.organization or None
    client.project = upstream.project or None
    return client


def _with_query(url: str, query: dict[str, str]) -> str:
    parts = urlsplit(url)
    joined = "&".join(text for text in (parts.query, urlencode(query)) if text)
    return urlunsplit((_SCHEMES.get(parts.scheme, parts.scheme), parts.netloc, parts.path, joined, ""))
