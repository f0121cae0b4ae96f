"""Owns one channel to one peer: every call through it has a deadline, a span, a breaker and our errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import grpc
from grpc import aio
from ringback_errors import ConfigError, DeadlineExceeded, RingbackError, Unavailable
from ringback_telemetry import (
    Span,
    SpanKind,
    add_event,
    counter,
    current_traceparent,
    mark_error,
    names,
    start_span,
)

from ringback_calling.breaker import Breaker, BreakerState
from ringback_calling.breaker_gauge import show_breaker
from ringback_calling.leaving import leave, next_reply, reply_of
from ringback_calling.retry import RetryBudget, may_repeat, retry_after
from ringback_calling.statuses import peer_failed, to_error

_log: Final = logging.getLogger(__name__)
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
# How long the probe of a half-open breaker waits for the connection: a pause between two attempts, and one attempt.
PROBE_CONNECT_MS: Final = 1_000
_METHODS_MAX: Final = 512

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")
_Metadata = tuple[tuple[str, str], ...] | None


class Tls(Protocol):
    """PEM files for mutual TLS, as the settings hold them."""

    @property
    def cert(self) -> Path: ...
    @property
    def key(self) -> Path: ...
    @property
    def ca(self) -> Path: ...


class Channel:
    """A warm channel to one service; make stubs with ``XStub(channel.grpc)``."""

    def __init__(
        self,
        target: str,
        *,
        name: str,
        breaker: Breaker | None = None,
        tls: Tls | None = None,
        retry_budget: RetryBudget | None = None,
    ) -> None:
        self.name = name
        self.breaker = breaker or Breaker(name=name)
        if breaker is None:
            self.breaker.on_change = self._publish_state
        self._retries = retry_budget or RetryBudget()
        self._methods: dict[Any, tuple[str, dict[str, str]]] = {}  # by multi-callable
        options = _options()
        if tls is None:
            self._channel = aio.insecure_channel(target, options=options)
        else:
            self._channel = aio.secure_channel(target, _credentials(tls), options=options)

    @property
    def grpc(self) -> aio.Channel:
        """The gRPC channel, for making stubs."""
        return self._channel

    async def warm(self, timeout_ms: int = 2_000) -> bool:
        """Connect ahead of the first call; whether that succeeded in time."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._channel.channel_ready()
        except TimeoutError:
            return False
        return True

    async def probe(self) -> None:
        """For a health check: raise Unavailable unless the channel is connected, or can be within 300 ms."""
        if not await self.warm(300):
            raise Unavailable(f"{self.name} is not reachable")

    async def close(self) -> None:
        """Close; calls in flight are cancelled."""
        await self._channel.close()

    async def unary(
        self,
        method: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
        *,
        deadline_ms: int,
        idempotent: bool,
        attempts_max: int = 3,
    ) -> _Reply:
        """One call and its reply.

        Repeated with full jitter, within the deadline, only if `idempotent` and only where the peer was away,
        full or behind. Raises the RingbackError that the peer meant; Unavailable at once while the breaker is
        open; DeadlineExceeded at once where no time is left.
        """
        if deadline_ms <= 0:
            raise DeadlineExceeded(f"no time left to call {self.name}")
        ends_at = time.monotonic() + deadline_ms / 1000
        span = self._span(method)
        try:
            metadata = _metadata(span)
            try:
                return await self._attempt(method, request, deadline_ms / 1000, metadata)
            except RingbackError as error:
                if not (idempotent and attempts_max > 1 and may_repeat(error)):
                    raise
                first = error
            return await self._again(first, method, request, span, attempts_max, ends_at)
        except BaseException as error:
            mark_error(span, error)
            raise
        finally:
            span.end()

    async def stream(
        self,
        method: aio.UnaryStreamMultiCallable[_Request, _Reply],
        request: _Request,
        *,
        deadline_ms: int | None,
    ) -> AsyncGenerator[_Reply, None]:
        """One call and the replies as they come; never repeated.

        Cancelled when the caller is cancelled, or closes the iterator: leave the loop early only inside
        ``async with contextlib.aclosing(…)``. Errors as with `unary`. `deadline_ms` None is for watches that
        have no end.
        """
        if deadline_ms is not None and deadline_ms <= 0:
            raise DeadlineExceeded(f"no time left to call {self.name}")
        # Not made current: between two replies the caller's own code runs.
        span = self._span(method)
        try:
            self.breaker.allow()
            try:
                timeout_s = await self._reach_for_probe(None if deadline_ms is None else deadline_ms / 1000)
            except BaseException:
                self.breaker.record_abandoned()
                raise
            call = method(request, timeout=timeout_s, metadata=_metadata(span))
            answered = False
            try:
                replies = aiter(call)
                while (reply := await next_reply(call, replies)) is not aio.EOF:
                    if not answered:
                        answered = True
                        self._answered()
                    yield reply
            except aio.AioRpcError as error:
                raise self._judged(error) from None
            finally:
                self._ended(call, answered)
        except BaseException as error:
            mark_error(span, error)
            raise
        finally:
            span.end()

    async def _attempt(
        self,
        method: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
        timeout_s: float,
        metadata: _Metadata,
    ) -> _Reply:
        self.breaker.allow()
        try:
            left_s = await self._reach_for_probe(timeout_s)
            reply = await reply_of(method(request, timeout=left_s, metadata=metadata))
        except aio.AioRpcError as error:
            raise self._judged(error) from None
        except BaseException:
            self.breaker.record_abandoned()
            raise
        self._answered()
        return reply

    async def _reach_for_probe(self, timeout_s: float | None) -> float | None:
        """A probe is to learn whether the peer is there, not whether gRPC rests between two attempts to connect.

        Returns the time that is left.
        """
        if self.breaker.state is not BreakerState.HALF_OPEN:
            return timeout_s
        began_at = time.monotonic()
        half_ms = PROBE_CONNECT_MS if timeout_s is None else int(timeout_s * 500)
        await self.warm(min(PROBE_CONNECT_MS, half_ms))
        return None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - began_at))

    async def _again(
        self,
        first: RingbackError,
        method: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
        span: Span,
        attempts_max: int,
        ends_at: float,
    ) -> _Reply:
        async def attempt(number: int) -> _Reply:
            rest_s = ends_at - time.monotonic()
            if rest_s <= 0:
                raise first
            add_event(span, names.Event.RETRY, {names.Attr.ATTEMPT: number})
            counter(names.Metric.RETRIES).add(1, {names.Attr.DEPENDENCY: self.name})
            return await self._attempt(method, request, rest_s, _metadata(span))

        return await retry_after(
            first, attempt, attempts_max=attempts_max, left_s=ends_at - time.monotonic(), budget=self._retries
        )

    def _span(self, method: Any) -> Span:
        found = self._methods.get(method)
        if found is None:
            if len(self._methods) >= _METHODS_MAX:
                self._methods.clear()  # somebody makes a stub for every call
            found = self._methods[method] = _described(method)
        return start_span(found[0], attributes=found[1], kind=SpanKind.CLIENT)

    def _answered(self) -> None:
        self.breaker.record_success()
        self._retries.succeeded()

    def _judged(self, error: aio.AioRpcError) -> RingbackError:
        """Our error for theirs, after breaker and retry budget have heard of it."""
        found = to_error(error, name=self.name)
        if peer_failed(found):
            self.breaker.record_failure()
            self._retries.failed()
        else:
            self._answered()
        return found

    def _ended(self, call: Any, answered: bool) -> None:
        """Let go of a stream: cancel what still runs, and give a probe's place back."""
        if not call.done():
            leave(call)
            if not answered:
                self.breaker.record_abandoned()
        elif not answered and call.cancelled():
            self.breaker.record_abandoned()

    def _publish_state(self, state: BreakerState) -> None:
        show_breaker(self.name, state)
        _log.warning("breaker of %s is %s", self.name, state.value)


def _metadata(span: Span) -> _Metadata:
    header = current_traceparent(span)
    return None if header is None else (("traceparent", header),)


def _described(method: Any) -> tuple[str, dict[str, str]]:
    # The path is in no public attribute of a multi-callable; a call has it, but only once it is under way.
    path = method._method
    path = path.decode() if isinstance(path, bytes) else path
    return names.grpc_span(path), {
        names.Attr.RPC_SYSTEM_NAME: "grpc",
        names.Attr.RPC_METHOD: path.lstrip("/"),
    }


def _options() -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        # One retry rule, ours: gRPC's transparent retries would hide attempts from breaker and budget.
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # gRPC's own default waits up to two minutes before it tries a lost peer again; no call can.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 250),
    ]


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca), private_key=_pem(tls.key), certificate_chain=_pem(tls.cert)
    )


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"TLS file {path}: expected a readable file ({error.strerror})") from None
