"""The gRPC connector: one unary method, its types from the pack's descriptor file or by server reflection.

What a status says about effects: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION and their like are the
server's own no. UNAVAILABLE, DEADLINE_EXCEEDED, UNKNOWN and INTERNAL leave a write in doubt: gRPC cannot
tell whether it ran.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
import orjson
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from ringback_calling import reply_of
from ringback_errors import InvalidInput
from ringback_telemetry import inject

from ringback_tools.adapters.connectors import no_address
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.grpc_plain import parser_of, printer_of
from ringback_tools.adapters.grpc_types import method_types
from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.domain.templates import ABSENT, fill
from ringback_tools.ports import Call

__all__ = ["GrpcConnector"]

METHODS_MAX: Final = 1_024
# The most of an attempt's time that goes into asking for types: what was not sent must not read as sent.
_LEARN_SHARE: Final = 0.8
_TLS: Final = "grpcs://"
_CODES: Final[Mapping[grpc.StatusCode, ErrorCode]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ErrorCode.INVALID_ARGUMENTS,
    grpc.StatusCode.OUT_OF_RANGE: ErrorCode.INVALID_ARGUMENTS,
    grpc.StatusCode.NOT_FOUND: ErrorCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: ErrorCode.REJECTED,
    grpc.StatusCode.FAILED_PRECONDITION: ErrorCode.REJECTED,
    grpc.StatusCode.ABORTED: ErrorCode.REJECTED,
    grpc.StatusCode.PERMISSION_DENIED: ErrorCode.AUTH,
    grpc.StatusCode.UNAUTHENTICATED: ErrorCode.AUTH,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorCode.RATE_LIMITED,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorCode.TIMEOUT,
    grpc.StatusCode.UNIMPLEMENTED: ErrorCode.TOOL_UNAVAILABLE,
}
_IN_DOUBT: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.CANCELLED,
    }
)
_PASSING: Final = frozenset({ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED, ErrorCode.TOOL_UNAVAILABLE})
_SPOKEN: Final = frozenset({ErrorCode.INVALID_ARGUMENTS, ErrorCode.NOT_FOUND, ErrorCode.REJECTED})


class _Method(NamedTuple):
    """How to call a method, and how its messages are made and read."""

    unary: Callable[..., Any]
    parse: Callable[[Any], Message]
    show: Callable[[Message], Any]


class GrpcConnector:
    """Calls methods; one channel per address, types kept once learnt."""

    def __init__(self, *, addresses: Mapping[str, str], credentials: Credentials) -> None:
        self._addresses = addresses
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}
        # By address, method and the descriptor that its types came from.
        self._methods: OrderedDict[tuple[str, str, bytes], _Method] = OrderedDict()

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        options = call.spec.options
        reference, method = str(options.get("target_ref", "")), str(options.get("method", ""))
        address = self._addresses.get(reference, "")
        if not address:
            return no_address(reference)
        metadata = self._metadata(call)
        if isinstance(metadata, Failed):
            return metadata
        ends_at = time.monotonic() + call.timeout_ms / 1000
        types = options.get("types", b"")
        try:
            learnt = await self._method(
                address, method, types, timeout_s=_LEARN_SHARE * call.timeout_ms / 1000
            )
        except grpc.aio.AioRpcError as error:
            return _unlearnt(error)
        except (InvalidInput, TypeError, ValueError) as error:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=f"{method}: {error}"[:200])
        request = _request(call, learnt)
        if isinstance(request, Failed):
            return request
        try:
            left_s = max(0.0, ends_at - time.monotonic())
            reply = await reply_of(learnt.unary(request, timeout=left_s, metadata=metadata))
        except grpc.aio.AioRpcError as error:
            return _failed(error)
        if reply is None:
            # What gRPC makes of bytes that are no message of this type.
            return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail="no message of the method's type")
        return _answer(call, learnt.show(reply))

    def lacking(self, spec: ConnectorSpec) -> str:
        """The address or the secret that is not set."""
        reference = str(spec.options.get("target_ref", ""))
        if not self._addresses.get(reference):
            return no_address(reference).detail
        return self._credentials.lacking(spec)

    def described(self, call: Call) -> str:
        """The method and the server's address."""
        address = self._addresses.get(str(call.spec.options.get("target_ref", "")), "")
        return f"{call.spec.options.get('method', '')} at {address or 'no address'}"

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Nothing: there is nothing to wait for."""

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()
        self._methods.clear()

    async def _method(self, address: str, method: str, types: bytes, *, timeout_s: float) -> _Method:
        key = (address, method, types)
        known = self._methods.get(key)
        if known is not None:
            self._methods.move_to_end(key)
            return known
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = _channel(address)
        found = await method_types(channel, method, descriptor=types, timeout_s=timeout_s)
        request_type = message_factory.GetMessageClass(found.input_type)
        reply_type = message_factory.GetMessageClass(found.output_type)
        unary = channel.unary_unary(
            f"/{method}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=reply_type.FromString,
        )
        learnt = self._methods[key] = _Method(unary, parser_of(request_type), printer_of(reply_type))
        if len(self._methods) > METHODS_MAX:
            self._methods.popitem(last=False)
        return learnt

    def _metadata(self, call: Call) -> tuple[tuple[str, str], ...] | Failed:
        headers = {call.key_field.lower(): call.key} if call.key else {}
        secret = self._credentials.wanted(call.spec)
        if isinstance(secret, Failed):
            return secret
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        inject(headers)
        return tuple(headers.items())


def _channel(address: str) -> grpc.aio.Channel:
    if address.startswith(_TLS):
        return grpc.aio.secure_channel(address.removeprefix(_TLS), grpc.ssl_channel_credentials())
    return grpc.aio.insecure_channel(address.removeprefix("grpc://"))


def _unlearnt(error: grpc.aio.AioRpcError) -> Failed:
    """The server was only asked for its types: nothing was done."""
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        detail = "the server has no reflection: name a file of descriptors/ as the connector's 'descriptor'"
        return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
    return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=f"reflection: {error.code().name}")


def _request(call: Call, learnt: _Method) -> Message | Failed:
    template = call.spec.options.get("request")
    values: Any = call.arguments if type(call.arguments) is dict else dict(call.arguments)
    if template is not None:
        scope = {
            "arguments": call.arguments,
            "action_id": call.action_id,
            "session_id": call.session_id,
            "tenant": call.tenant,
        }
        values = fill(template, scope)
    try:
        return learnt.parse({} if values is ABSENT else values)
    except json_format.ParseError as error:
        return Failed(ErrorCode.INVALID_ARGUMENTS, blames=False, detail=str(error)[:200])


def _answer(call: Call, body: Any) -> Answer:
    if len(orjson.dumps(body)) > call.bytes_max:
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail=f"more than {call.bytes_max} bytes")
    template = call.spec.options.get("result")
    if template is None:
        return Answered(body, status=200, body=body)
    data = fill(template, {"arguments": call.arguments, "body": body, "status": 200})
    return Answered(None if data is ABSENT else data, status=200, body=body)


def _failed(error: grpc.aio.AioRpcError) -> Failed:
    status = error.code()
    code = _CODES.get(status, ErrorCode.TOOL_UNAVAILABLE)
    in_doubt = status in _IN_DOUBT
    return Failed(
        code,
        retryable=code in _PASSING and status is not grpc.StatusCode.UNIMPLEMENTED,
        in_doubt=in_doubt,
        definitive=not in_doubt and code not in _PASSING,
        blames=in_doubt,
        text=clean_text(error.details()) if code in _SPOKEN else "",
        detail=status.name,
    )
