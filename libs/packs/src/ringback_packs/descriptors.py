"""Owns a pack's descriptor files: what the compiler of a gRPC service's protos wrote about its types.

A file is a FileDescriptorSet with all that it imports, as `protoc --include_imports -o` and `buf build -o` write
it. With one, a gRPC tool needs no reflection of its server, and its method is checked when the pack loads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from ringback_errors import InvalidInput

from ringback_packs.findings import Report, near

__all__ = [
    "DESCRIPTORS_MAX",
    "DESCRIPTOR_BYTES_MAX",
    "FILE_NAME",
    "FILE_NAME_FORM",
    "FOLDER",
    "SUFFIX",
    "Descriptors",
    "described",
    "pool_of",
    "unary_method",
]

FOLDER: Final = "descriptors"
SUFFIX: Final = ".binpb"
FILE_NAME: Final = re.compile(r"descriptors/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.binpb\Z")
FILE_NAME_FORM: Final = "a file of the pack, descriptors/NAME.binpb"
DESCRIPTOR_BYTES_MAX: Final = 512 * 1024
DESCRIPTORS_MAX: Final = 16
_COMPLETE: Final = "protoc --include_imports and buf build write complete ones"


def described(data: bytes) -> DescriptorPool:
    """The types in a descriptor file; InvalidInput says why they cannot be used."""
    try:
        files = FileDescriptorSet.FromString(data).file
    except DecodeError:
        raise InvalidInput("a FileDescriptorSet expected, this is none") from None
    if not files:
        raise InvalidInput("a FileDescriptorSet with at least one file expected, it is empty")
    return pool_of(files)


def pool_of(files: Iterable[FileDescriptorProto]) -> DescriptorPool:
    """The files' types, each file added after what it imports; InvalidInput if something is missing or broken."""
    waiting = {file.name: file for file in files}
    pool, added = DescriptorPool(), set[str]()
    while waiting:
        ready = [name for name, file in waiting.items() if added.issuperset(file.dependency)]
        if not ready:
            missing = {name for file in waiting.values() for name in file.dependency} - added - set(waiting)
            what = f"{min(missing)[:120]} is missing" if missing else "its files import each other"
            raise InvalidInput(f"descriptors with all their imports expected, {what} ({_COMPLETE})")
        for name in ready:
            try:
                pool.Add(waiting.pop(name))
            except TypeError as error:
                raise InvalidInput(f"{name[:120]}: {' '.join(str(error).split())[:200]}") from None
            added.add(name)
    return pool


def unary_method(pool: DescriptorPool, method: str) -> MethodDescriptor:
    """The method `package.Service/Method`; InvalidInput if it is not there or streams."""
    service, _, name = method.rpartition("/")
    try:
        found = pool.FindServiceByName(service)
    except KeyError:
        raise InvalidInput(
            f"service {service[:120]} is not among the server's types", field="method"
        ) from None
    known = found.methods_by_name
    if name not in known:
        hint = near(name, sorted(known)) or f" (it has {', '.join(sorted(known)[:8])})"
        raise InvalidInput(f"{service[:120]} has no method {name[:80]}{hint}", field="method")
    if known[name].client_streaming or known[name].server_streaming:
        raise InvalidInput(f"{method[:120]} streams: a unary method expected", field="method")
    return known[name]


class Descriptors:
    """The descriptor files of a pack that is being read."""

    def __init__(self, files: Mapping[str, bytes], *, report: Report) -> None:
        self._pools: dict[str, DescriptorPool | None] = {}
        self._used: set[str] = set()
        self._report = report
        for name in sorted(files):
            self._pools[name] = self._checked(name, files[name])
        if len(files) > DESCRIPTORS_MAX:
            report.error(FOLDER, 0, "", f"at most {DESCRIPTORS_MAX} files expected, got {len(files)}")

    def wrong(self, name: str) -> str:
        """Why no tool can name this file; empty if one can. A file that is broken itself was noted already."""
        if name in self._pools:
            self._used.add(name)
            return ""
        return f"a file of the pack expected, {name} is not there{near(name, sorted(self._pools))}"

    def wrong_method(self, name: str, method: str) -> str:
        """Why the method cannot be called by this file; empty if it can."""
        pool = self._pools.get(name)
        if pool is None or not method:
            return ""
        try:
            unary_method(pool, method)
        except InvalidInput as error:
            return error.message
        return ""

    def done(self) -> None:
        """Note files that no tool names."""
        for name in sorted(set(self._pools) - self._used):
            self._report.warning(name, 0, "", "no tool names this file as its 'descriptor'")

    def _checked(self, name: str, data: bytes) -> DescriptorPool | None:
        if len(data) > DESCRIPTOR_BYTES_MAX:
            self._report.error(name, 0, "", f"at most {DESCRIPTOR_BYTES_MAX} bytes expected")
            return None
        try:
            return described(data)
        except InvalidInput as error:
            self._report.error(name, 0, "", error.message)
            return None
