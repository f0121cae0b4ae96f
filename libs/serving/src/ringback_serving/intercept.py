"""Owns what happens around every served call: admission, deadline, one span, errors as statuses.

Done by wrapping the handlers once, not by gRPC's interceptors: those build a chain anew for every call.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, Final

import grpc
from ringback_errors import DeadlineExceeded, Overloaded, RingbackError
from ringback_telemetry import Context, SpanKind, counter, extract, names, span, tracing_enabled

from ringback_serving.deadline import set_deadline
from ringback_serving.statuses import abort

_log: Final = logging.getLogger(__name__)
_OVERLOADED_RETRY_MS: Final = 250
# gRPC rounds a deadline up on the wire: 5,000 ms of the caller arrive as up to 5,010 (seen with grpcio 1.85).
_WIRE_ROUNDING: Final = 0.01
_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

_NOTHING: Final = nullcontext()
_ROOT: Final = Context()

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class Guard:
    """The rules that hold for all calls of one server."""

    def __init__(self, *, deadline_floor_ms: int, rpcs_max: int) -> None:
        self._floor_ms = deadline_floor_ms
        self._rpcs_max = rpcs_max
        self.running = 0
        """Calls being served now."""

    def wrap(self, path: str, handler: Any) -> Any:
        """The same handler with the rules around it."""
        kind = next(found for found in _KINDS if getattr(handler, found) is not None)
        inner = getattr(handler, kind)
        if inspect.isasyncgenfunction(inner):
            inner = _pumped(inner)
        elif not inspect.iscoroutinefunction(inner):
            raise TypeError(f"{path}: expected an async handler")
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(self._around(path, inner), handler.request_deserializer, handler.response_serializer)

    def _around(self, path: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        name, attributes = _described(path)

        async def call(request: Any, context: ServicerContext) -> Any:
            try:
                with _scope(name, context, attributes):
                    self._admit(context)
                    try:
                        return await inner(request, context)
                    except Exception as error:
                        _note(path, error)
                        raise
                    finally:
                        self.running -= 1
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                await abort(context, error)

        return call

    def _admit(self, context: ServicerContext) -> None:
        """Count the call in and set its deadline, or refuse it."""
        left_s = context.time_remaining()
        left_ms = None if left_s is None else self._shed(left_s * 1000)
        if left_ms is not None and left_ms <= 0:
            counter(names.Metric.REFUSED).add(1, {names.Attr.REASON: "deadline"})
            raise DeadlineExceeded(f"expected a deadline of more than {self._floor_ms} ms")
        if self.running >= self._rpcs_max:
            counter(names.Metric.REFUSED).add(1, {names.Attr.REASON: "rpcs_max"})
            raise Overloaded(
                f"{self._rpcs_max} calls are being served already", retry_after_ms=_OVERLOADED_RETRY_MS
            )
        set_deadline(left_ms)
        self.running += 1

    def _shed(self, left_ms: float) -> float:
        """What a call may use, so that its answer is back before its caller gives up."""
        return left_ms - max(self._floor_ms, left_ms * _WIRE_ROUNDING)


class GuardedServer:
    """Stands in for the server while servicers register, and wraps what they register."""

    def __init__(self, server: grpc.aio.Server, guard: Guard) -> None:
        self._server = server
        self._guard = guard

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """As the server's own."""
        self._server.add_generic_rpc_handlers([_Guarded(handler, self._guard) for handler in handlers])

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Nothing: generated code offers the same handlers here a second time."""


class _Guarded(grpc.GenericRpcHandler):
    def __init__(self, inner: grpc.GenericRpcHandler, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard
        self._wrapped: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        found = self._wrapped.get(path)
        if found is None:
            handler = self._inner.service(handler_call_details)
            if handler is None:
                return None  # not cached: a stranger may try any number of paths
            found = self._wrapped[path] = self._guard.wrap(path, handler)
        return found


def _pumped(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A generator as a coroutine that writes: a cancellation then ends the generator in its own task."""

    async def pump(request: Any, context: ServicerContext) -> None:
        async with aclosing(inner(request, context)) as replies:
            async for reply in replies:
                await context.write(reply)

    return pump


def _described(path: str) -> tuple[str, dict[str, str]]:
    return names.grpc_span(path), {
        names.Attr.RPC_SYSTEM_NAME: "grpc",
        names.Attr.RPC_METHOD: path.lstrip("/"),
    }


def _scope(name: str, context: ServicerContext, attributes: dict[str, str]) -> AbstractContextManager[Any]:
    """One span, or nothing where none is recorded and none has to be passed on."""
    parent = _parent(context)
    if not parent and not tracing_enabled():
        return _NOTHING
    return span(name, parent=parent, attributes=attributes, kind=SpanKind.SERVER)


def _parent(context: ServicerContext) -> Context:
    carrier = {
        key: value
        for key, value in context.invocation_metadata() or ()
        if key in ("traceparent", "tracestate") and isinstance(value, str)
    }
    return extract(carrier) if carrier else _ROOT


def _note(path: str, error: Exception) -> None:
    """Log what the caller will not be told."""
    if not isinstance(error, RingbackError | grpc.aio.AbortError):
        _log.error("%s failed", path, exc_info=error)
