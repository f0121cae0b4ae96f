"""Dialling one upstream: within its time, again after a hiccup, and done only when the model has greeted.

A provider may accept the connection and then say in its first event that it does not want us; so the first event is
read before a call is put through. Whatever goes wrong becomes one of the problems that a client may be told.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from ringback_errors import Unavailable
from ringback_sockets import FRAME_BYTES_MAX, Closed, RealtimeLink, UpgradeRefused, dial
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ringback_session.adapters.upstream_endpoints import Endpoint
from ringback_session.adapters.upstream_spec import Upstream
from ringback_session.domain.model_problem import ModelProblem, Problem

__all__ = ["Greeted", "dial_upstream", "problem_of"]

# The largest message of a client, and what may wait behind it.
OUTBOX_BYTES_MAX: Final = FRAME_BYTES_MAX + 8 * 1024 * 1024
# Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
_PAUSE: Final = wait_random_exponential(multiplier=0.05, max=0.5)
_STATUSES: Final[dict[int, Problem]] = {
    401: "upstream_auth_refused",
    403: "upstream_auth_refused",
    404: "upstream_model_unknown",
    429: "upstream_rate_limited",
}
_CODES: Final[dict[str, Problem]] = {
    "invalid_api_key": "upstream_auth_refused",
    "invalid_authentication": "upstream_auth_refused",
    "unauthorized": "upstream_auth_refused",
    "account_deactivated": "upstream_auth_refused",
    "rate_limit_exceeded": "upstream_rate_limited",
    "insufficient_quota": "upstream_quota_exhausted",
    "billing_hard_limit_reached": "upstream_quota_exhausted",
    "invalid_model": "upstream_model_unknown",
    "model_not_found": "upstream_model_unknown",
    "deploymentnotfound": "upstream_model_unknown",
    "too_many_sessions": "upstream_busy",
    "overloaded": "upstream_busy",
}
_WORDS: Final[dict[Problem, str]] = {
    "upstream_unreachable": "cannot be reached",
    "upstream_auth_refused": "refused the credentials that it was shown",
    "upstream_rate_limited": "limits our rate",
    "upstream_quota_exhausted": "says that the quota is used up",
    "upstream_model_unknown": "does not know the model or the path",
    "upstream_busy": "is busy",
    "upstream_refused": "refused the connection",
}


class _Session(msgspec.Struct, frozen=True):
    expires_at: int | None = None


class _First(msgspec.Struct, frozen=True):
    type: str
    error: dict[str, Any] | None = None
    session: Any = None


_first = msgspec.json.Decoder(_First)


@dataclass(frozen=True, eq=False)
class Greeted:
    """A connection whose model is ready since `at_ms`. `expires_at` is what it said of its end (unix s), else 0."""

    link: RealtimeLink
    model: str
    expires_at: int = 0
    # What came first, if it was no greeting.
    early: tuple[bytes, ...] = ()
    at_ms: int = 0


async def dial_upstream(upstream: Upstream, endpoint: Endpoint, *, model: str) -> Greeted:
    """Raises ModelProblem."""
    retrying = AsyncRetrying(
        stop=stop_after_attempt(upstream.dial_attempts),
        wait=_PAUSE,
        retry=retry_if_exception(_is_hiccup),
        reraise=True,
    )
    try:
        async with asyncio.timeout(upstream.dial_timeout_ms / 1000):
            return await retrying(_attempt, upstream, endpoint, model)
    except TimeoutError:
        said = f"no answer within {upstream.dial_timeout_ms} ms"
        raise problem_of(upstream, "upstream_unreachable", said=said) from None


async def _attempt(upstream: Upstream, endpoint: Endpoint, model: str) -> Greeted:
    link = RealtimeLink(outbox_bytes_max=OUTBOX_BYTES_MAX)
    try:
        await dial(
            endpoint.url,
            link=link,
            headers=endpoint.headers,
            timeout_ms=upstream.dial_timeout_ms,
            ping_idle_ms=upstream.ping_idle_ms,
            pong_wait_ms=upstream.pong_wait_ms,
        )
        return await _greeting(upstream, link, model) if upstream.greets else Greeted(link, model)
    except UpgradeRefused as refused:
        known: Problem = "upstream_busy" if refused.status >= 500 else "upstream_refused"
        problem = _STATUSES.get(refused.status, known)
        said = f"HTTP {refused.status}"
        raise problem_of(upstream, problem, said=said, retry_after_ms=refused.retry_after_ms) from None
    except ModelProblem:
        link.abort()
        raise
    except Unavailable as error:
        # Without the address, which is nothing to a client.
        raise problem_of(upstream, "upstream_unreachable", said=error.message.partition(": ")[2]) from None
    except asyncio.CancelledError:
        link.abort()
        raise


async def _greeting(upstream: Upstream, link: RealtimeLink, model: str) -> Greeted:
    async with aclosing(link.messages()) as messages:
        async for message in messages:
            try:
                first = _first.decode(message)
            except msgspec.DecodeError:
                return Greeted(link, model, early=(message,))
            if first.type == "error":
                raise _refused(upstream, first.error or {})
            if first.type != "session.created":
                return Greeted(link, model, early=(message,))
            return Greeted(link, model, expires_at=_expiry(first.session))
    raise _hung_up(upstream, link.closed)


def _expiry(session: Any) -> int:
    try:
        return msgspec.convert(session, _Session).expires_at or 0
    except msgspec.ValidationError:
        return 0


def _refused(upstream: Upstream, error: dict[str, Any]) -> ModelProblem:
    code = str(error.get("code") or error.get("type") or "error")[:80]
    return problem_of(upstream, _CODES.get(code.lower(), "upstream_refused"), said=code)


def _hung_up(upstream: Upstream, closed: Closed | None) -> ModelProblem:
    if closed is None or closed.code == 1006:
        return problem_of(upstream, "upstream_unreachable", said="it hung up")
    code = closed.reason.partition(":")[0].rpartition(".")[2].strip()[:80]
    known: Problem = "upstream_busy" if closed.code in (1012, 1013) else "upstream_refused"
    said = f"close {closed.code}{f' {code}' if code else ''}"
    return problem_of(upstream, _CODES.get(code.lower(), known), said=said)


def problem_of(
    upstream: Upstream, problem: Problem, *, said: str = "", retry_after_ms: int | None = None
) -> ModelProblem:
    """A problem in words. What the other side said in free text is left out: it may repeat a part of the key."""
    after = f", try again in {-(-retry_after_ms // 1000)} s" if retry_after_ms else ""
    return ModelProblem(
        f"upstream '{upstream.name}' {_WORDS[problem]}{f' ({said})' if said else ''}{after}",
        problem=problem,
        retry_after_ms=retry_after_ms,
    )


def _is_hiccup(error: BaseException) -> bool:
    return isinstance(error, ModelProblem) and error.problem == "upstream_unreachable"
