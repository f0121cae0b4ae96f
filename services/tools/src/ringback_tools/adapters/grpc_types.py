"""Owns where a gRPC method's types come from: the pack's descriptor file, else the server by reflection."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)
from ringback_errors import InvalidInput
from ringback_packs import described, pool_of, unary_method

__all__ = ["method_types"]

FILES_MAX: Final = 256


async def method_types(
    channel: grpc.aio.Channel, method: str, *, descriptor: bytes, timeout_s: float
) -> MethodDescriptor:
    """The unary method's types; InvalidInput if it is not there or streams, AioRpcError if the server cannot tell."""
    if descriptor:
        return unary_method(described(descriptor), method)
    service, _, _ = method.rpartition("/")
    return unary_method(await _reflected(channel, service, timeout_s=timeout_s), method)


async def _reflected(channel: grpc.aio.Channel, service: str, *, timeout_s: float) -> DescriptorPool:
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
                raise InvalidInput("expected a service that the server has", field="method")
            for raw in reply.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(raw)
                files[file.name] = file
            wanted = [
                reflection_pb2.ServerReflectionRequest(file_by_filename=name)
                for name in sorted({name for file in files.values() for name in file.dependency} - set(files))
            ]
    finally:
        stream.cancel()
    return pool_of(files.values())
