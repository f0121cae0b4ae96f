"""The HTTP connector: a request from the declaration's templates, and what its answer means.

One pool of connections for all addresses, and nothing else that one call could leave for the next: httpx's
transport is used without its client, which would keep a system's cookies and send one caller's with another's
call. What HTTP says about effects (RFC 9110 §9.2, §15): a connection that never
came about and a 4xx changed nothing; anything else that is not a good answer leaves a write in doubt.
"""

from __future__ import annotations

import email.utils
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
from ringback_telemetry import inject

from ringback_tools.adapters.connectors import no_address
from ringback_tools.adapters.credentials import Credentials, sent_in_header
from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.domain.templates import ABSENT, fill, lookup, render, say
from ringback_tools.ports import Call

__all__ = ["HttpConnector"]

CONNECTIONS_MAX: Final = 256
# Below what common servers keep an idle connection for, so that a write does not meet a closing one.
KEEPALIVE_S: Final = 4.0
CONNECT_MS_MAX: Final = 1_000
# The most of an attempt's time that goes into connecting: what was not sent must not read as sent.
_CONNECT_SHARE: Final = 0.8
RETRY_AFTER_MS_MAX: Final = 60_000
# Some systems refuse a request that does not say whose it is.
USER_AGENT: Final = "ringback-tools"
# For how long the answer is waited for; HTTP has no header of its own for that.
TIMEOUT_HEADER: Final = "ringback-timeout-ms"

_BY_STATUS: Final[Mapping[int, ErrorCode]] = {
    400: ErrorCode.INVALID_ARGUMENTS,
    401: ErrorCode.AUTH,
    403: ErrorCode.AUTH,
    404: ErrorCode.NOT_FOUND,
    408: ErrorCode.TIMEOUT,
    410: ErrorCode.NOT_FOUND,
    429: ErrorCode.RATE_LIMITED,
    504: ErrorCode.TIMEOUT,
}
_PASSING: Final = frozenset(
    {ErrorCode.TIMEOUT, ErrorCode.TOOL_UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED}
)
_GZIP: Final = ("gzip", "x-gzip")
_MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}")
# Parts of a path with which it is another one.
_ELSEWHERE: Final = ("", ".", "..")
_SPOKEN_AT: Final = ("error.message", "message", "detail", "error")


class HttpConnector:
    """Calls over HTTP. `addresses` gives the base address of each reference."""

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        credentials: Credentials,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._addresses = addresses
        self._credentials = credentials
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_S,
        )
        self._transport = transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        request = self._request(call)
        if isinstance(request, Failed):
            return request
        try:
            response = await self._transport.handle_async_request(request)
            try:
                raw = await _body(response, bytes_max=call.bytes_max)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            detail = f"no connection to the system ({type(error).__name__})"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=detail)
        except httpx.TimeoutException as error:
            detail = f"no answer in time ({type(error).__name__})"
            return Failed(ErrorCode.TIMEOUT, retryable=True, in_doubt=True, detail=detail)
        except httpx.HTTPError as error:
            detail = f"the connection broke, or what came is no HTTP ({type(error).__name__})"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True, detail=detail)
        return _answer(call, response, raw)

    def lacking(self, spec: ConnectorSpec) -> str:
        """The address or the secret that is not set."""
        reference = spec.options.get("base_url_ref", "")
        if reference and not self._addresses.get(reference):
            return no_address(reference).detail
        return self._credentials.lacking(spec)

    def described(self, call: Call) -> str:
        """The request's line, without the user's part of an address, which may be a password."""
        request = self._request(call)
        if isinstance(request, Failed):
            return request.detail
        return f"{request.method} {request.url.copy_with(username=None, password=None)}"

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Nothing: there is nothing to wait for."""

    async def close(self) -> None:
        """Close the pool."""
        await self._transport.aclose()

    def _request(self, call: Call) -> httpx.Request | Failed:
        try:
            return self._made(call)
        except (ValueError, ArithmeticError, httpx.InvalidURL) as error:
            # The text of the error may hold what the caller said.
            detail = f"no request can be made of these arguments ({type(error).__name__})"
            return Failed(ErrorCode.INVALID_ARGUMENTS, blames=False, detail=detail)

    def _made(self, call: Call) -> httpx.Request | Failed:
        options = call.spec.options
        scope = _scope(call)
        url = self._url(options, scope)
        headers = self._headers(call, scope)
        if isinstance(url, Failed):
            return url
        if isinstance(headers, Failed):
            return headers
        body = fill(options.get("body"), scope)
        query = {name: _text(value) for name, value in fill(options.get("query") or {}, scope).items()}
        seconds = call.timeout_ms / 1000
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_SHARE * seconds, CONNECT_MS_MAX / 1000))
        request = httpx.Request(
            options.get("method", "GET"),
            url,
            params=query or None,
            headers=headers,
            content=orjson.dumps(body) if body is not None and body is not ABSENT else None,
            extensions={"timeout": timeout.as_dict()},
        )
        if request.url.userinfo:
            next(httpx.BasicAuth(request.url.username, request.url.password).auth_flow(request))
        return request

    def _url(self, options: Mapping[str, Any], scope: Mapping[str, Any]) -> str | Failed:
        reference = options.get("base_url_ref", "")
        base = self._addresses.get(reference, "") if reference else ""
        if reference and not base:
            return no_address(reference)
        try:
            path = render(options["url"], scope, quote=lambda value: quote(value, safe=""))
        except KeyError as missing:
            return Failed(ErrorCode.INVALID_ARGUMENTS, blames=False, detail=f"nothing fills {missing}")
        if _leads_elsewhere(options["url"], path):
            detail = "expected arguments that leave the path what it is, got one that is empty, '.' or '..'"
            return Failed(ErrorCode.INVALID_ARGUMENTS, blames=False, detail=detail)
        return base.rstrip("/") + path

    def _headers(self, call: Call, scope: Mapping[str, Any]) -> httpx.Headers | Failed:
        options = call.spec.options
        headers = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": USER_AGENT}
        for name, template in (options.get("headers") or {}).items():
            value = say(template, scope)
            if value is not None and value.isprintable():
                headers[name] = value
        if options.get("body") is not None:
            headers["content-type"] = "application/json"
        headers[TIMEOUT_HEADER] = str(call.timeout_ms)
        if call.key:
            headers[call.key_field] = call.key
        secret = self._credentials.wanted(call.spec)
        if isinstance(secret, Failed):
            return secret
        if secret:
            headers.update(sent_in_header(call.spec, secret))
        inject(headers)
        # What callers are called is not ASCII alone.
        return httpx.Headers(headers, encoding="utf-8")


def _leads_elsewhere(template: str, made: str) -> bool:
    """Whether an argument made the path another one: all orders for one order, or what stands above them."""
    declared, parts = (path.partition("?")[0].split("/") for path in (template, made))
    return any(part in _ELSEWHERE and part != own for own, part in zip(declared, parts, strict=True))


async def _body(response: httpx.Response, *, bytes_max: int) -> bytes | None:
    """The answer's body; None if it is larger than anybody wants, packed or not."""
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > bytes_max:
            return None
        parts.append(part)
    return _unpacked(b"".join(parts), response.headers.get("content-encoding", ""), bytes_max=bytes_max)


def _unpacked(raw: bytes, encoding: str, *, bytes_max: int) -> bytes | None:
    """Not left to the client, which unpacks whatever comes: a few packed kilobytes can be gigabytes."""
    if encoding.strip().lower() not in _GZIP:
        return raw
    try:
        plain = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(raw, bytes_max + 1)
    except zlib.error:
        return raw
    return None if len(plain) > bytes_max else plain


def _answer(call: Call, response: httpx.Response, raw: bytes | None) -> Answer:
    status = response.status_code
    body = _parsed(raw)
    if 200 <= status < 300:
        return _good(call, response, raw, body)
    if 300 <= status < 400:
        return _led_away(response)
    declared = _declared(call.spec.options.get("errors") or {}, status)
    code = ErrorCode(declared["code"]) if declared else _code(status)
    body = None if body is ABSENT else body
    text = _declared_text(declared, call, status, body) or _own_text(status, body)
    return Failed(
        code,
        retryable=code in _PASSING,
        in_doubt=status >= 500,
        definitive=400 <= status < 500 and code not in _PASSING,
        blames=status >= 500,
        text=text,
        retry_after_ms=_retry_after_ms(response.headers.get("retry-after", "")),
        detail=f"HTTP {status}",
        status=status,
        body=body,
    )


def _led_away(response: httpx.Response) -> Failed:
    """Where a redirect leads nobody declared, so no request and no secret goes there; it may follow an effect (303)."""
    detail = f"HTTP {response.status_code}: expected an answer of the address itself; no redirect is followed"
    return Failed(
        ErrorCode.TOOL_UNAVAILABLE,
        in_doubt=True,
        blames=False,
        detail=detail,
        status=response.status_code,
    )


def _good(call: Call, response: httpx.Response, raw: bytes | None, body: Any) -> Answer:
    status = response.status_code
    if raw is None:
        detail = f"more than {call.bytes_max} bytes"
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail=detail)
    if body is ABSENT:
        # Cut off or garbled on the way, perhaps; for a write the key or the check tells.
        return Failed(ErrorCode.INVALID_RESULT, retryable=True, in_doubt=True, detail=_no_json(response))
    template = call.spec.options.get("result")
    if template is None:
        return Answered(body, status=status, body=body)
    data = fill(template, {**_scope(call), "body": body, "status": status})
    return Answered(None if data is ABSENT else data, status=status, body=body)


def _no_json(response: httpx.Response) -> str:
    """What came instead, as far as its sender says it in a form that can be repeated."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        return "no JSON"
    return "broken JSON" if kind.endswith("json") else f"no JSON, but {kind}"


def _parsed(raw: bytes | None) -> Any:
    if raw is None:
        return ABSENT
    if not raw.strip():
        return {}
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ABSENT


def _scope(call: Call) -> dict[str, Any]:
    return {
        "arguments": call.arguments,
        "action_id": call.action_id,
        "session_id": call.session_id,
        "tenant": call.tenant,
    }


def _declared(errors: Mapping[str, Any], status: int) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = errors.get(str(status)) or errors.get(f"{status // 100}xx")
    return found


def _declared_text(declared: Mapping[str, Any] | None, call: Call, status: int, body: Any) -> str:
    if not declared or not declared.get("message"):
        return ""
    said = say(declared["message"].strip(), {**_scope(call), "body": body, "status": status})
    return clean_text(said) if said else ""


def _own_text(status: int, body: Any) -> str:
    """The system's own words count only where it speaks about the matter, not about its health."""
    if not 400 <= status < 500 or status in (401, 403, 408, 429):
        return ""
    texts = (clean_text(lookup(body, path)) for path in _SPOKEN_AT)
    return next((text for text in texts if text), "")


def _code(status: int) -> ErrorCode:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorCode.REJECTED if 400 <= status < 500 else ErrorCode.TOOL_UNAVAILABLE


def _retry_after_ms(value: str) -> int:
    """Seconds or a date (RFC 9110 §10.2.3), bounded."""
    if not value:
        return 0
    if (seconds := value.strip()).isascii() and seconds.isdigit():
        # What has more digits is longer in any case, and may be too long for a number.
        return min(RETRY_AFTER_MS_MAX, int(seconds[:9]) * 1000)
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(min(RETRY_AFTER_MS_MAX, max(0.0, at - time.time()) * 1000))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
