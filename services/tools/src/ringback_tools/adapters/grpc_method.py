"""The gRPC connector: one unary method, its types learnt by server reflection.

What a status says about effects: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION and their like are the
server's own no. UNAVAILABLE, DEADLINE_EXCEEDED, UNKNOWN and INTERNAL leave a write in doubt: gRPC cannot
tell whether it ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)
from ringback_errors import NotFound
from ringback_telemetry import inject

from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.domain.templates import ABSENT, fill
from ringback_tools.ports import Call

__all__ = ["GrpcConnector"]

FILES_MAX: Final = 256
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
_Unary = Callable[..., Any]


class GrpcConnector:
    """Calls methods; one channel per address, types kept once learnt."""

    def __init__(self, *, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._methods: dict[tuple[str, str], tuple[_Unary, type[Message]]] = {}

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        options = call.spec.options
        reference, method = str(options.get("target_ref", "")), str(options.get("method", ""))
        address = self._addresses.get(reference, "").removeprefix("grpc://")
        if not address:
            detail = f"no address is set for connector {reference}"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
        timeout_s = call.timeout_ms / 1000
        try:
            unary, request_type = await self._method(address, method, timeout_s=timeout_s)
        except grpc.aio.AioRpcError as error:
            # Only asked for its types: nothing was done.
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=f"reflection: {error.code().name}"
            )
        except (NotFound, TypeError, ValueError) as error:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=f"{method}: {error}"[:200])
        request = _request(call, request_type)
        if isinstance(request, Failed):
            return request
        try:
            reply = await unary(request, timeout=timeout_s, metadata=_metadata(call))
        except grpc.aio.AioRpcError as error:
            return _failed(error)
        return _answer(call, reply)

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()
        self._methods.clear()

    async def _method(self, address: str, method: str, *, timeout_s: float) -> tuple[_Unary, type[Message]]:
        known = self._methods.get((address, method))
        if known is not None:
            return known
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = grpc.aio.insecure_channel(address)
        service, _, name = method.rpartition("/")
        pool = await _described(channel, service, timeout_s=timeout_s)
        try:
            found = pool.FindServiceByName(service).FindMethodByName(name)
        except KeyError:
            raise NotFound("expected a method that the server has", field="method") from None
        if found is None or found.client_streaming or found.server_streaming:
            raise NotFound("expected a unary method that the server has", field="method")
        request_type = message_factory.GetMessageClass(found.input_type)
        reply_type = message_factory.GetMessageClass(found.output_type)
        unary = channel.unary_unary(
            f"/{method}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=reply_type.FromString,
        )
        self._methods[address, method] = (unary, request_type)
        return unary, request_type


async def _described(
    channel: grpc.aio.Channel, service: str, *, timeout_s: float
) -> descriptor_pool.DescriptorPool:
    """The service's file and all that it imports, asked for by reflection; FILES_MAX at most."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    stream = stub.ServerReflectionInfo(timeout=timeout_s)
    try:
        wanted = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)]
        while wanted and len(files) < FILES_MAX:
            await stream.write(wanted.pop())
            reply = await stream.read()
            if reply is grpc.aio.EOF or not reply.HasField("file_descriptor_response"):
                raise NotFound("expected a service that the server has", field="method")
            for raw in reply.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(raw)
                files[file.name] = file
            wanted = [
                reflection_pb2.ServerReflectionRequest(file_by_filename=name)
                for name in sorted({name for file in files.values() for name in file.dependency} - set(files))
            ]
    finally:
        stream.cancel()
    pool = descriptor_pool.DescriptorPool()
    _add(pool, files, set())
    return pool


def _add(
    pool: descriptor_pool.DescriptorPool,
    files: Mapping[str, descriptor_pb2.FileDescriptorProto],
    added: set[str],
) -> None:
    """Add files to the pool, each after what it imports."""
    waiting = list(files)
    while waiting:
        ready = [name for name in waiting if set(files[name].dependency) <= added]
        if not ready:
            raise ValueError("the server's descriptors are not complete")
        for name in ready:
            pool.Add(files[name])
            added.add(name)
        waiting = [name for name in waiting if name not in added]


def _request(call: Call, request_type: type[Message]) -> Message | Failed:
    template = call.spec.options.get("request")
    scope = {
        "arguments": call.arguments,
        "action_id": call.action_id,
        "session_id": call.session_id,
        "tenant": call.tenant,
    }
    values = dict(call.arguments) if template is None else fill(template, scope)
    try:
        return json_format.ParseDict({} if values is ABSENT else values, request_type())
    except json_format.ParseError as error:
        return Failed(ErrorCode.INVALID_ARGUMENTS, blames=False, detail=str(error)[:200])


def _metadata(call: Call) -> tuple[tuple[str, str], ...]:
    headers = {call.key_field.lower(): call.key} if call.key else {}
    inject(headers)
    return tuple(headers.items())


def _answer(call: Call, reply: Message) -> Answer:
    body = json_format.MessageToDict(
        reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
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
