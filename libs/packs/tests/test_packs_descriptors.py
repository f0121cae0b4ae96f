"""Descriptor files of a pack: what is accepted, and how each thing that is wrong is told."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput
from ringback_events import MemoryBus
from ringback_packs import (
    Finding,
    GrpcConnector,
    PackError,
    PackStore,
    described,
    load_files,
    load_pack,
    publish_pack,
)
from ringback_packs.descriptors import DESCRIPTOR_BYTES_MAX, DESCRIPTORS_MAX

NAME = "descriptors/shop.binpb"
PACK = b"""name: shop
version: 1.0.0
agents: [{name: desk, role: I help., tools: [stock]}]
"""
TOOLS = """tools:
  - name: stock
    version: 1.0
    description: How many are left.
    side_effect: read
    parameters: {type: object, additionalProperties: false, properties: {item: {type: string}}}
    connector:
      kind: grpc
      target_ref: shop
      method: %s
      descriptor: %s
"""


def proto(name: str = "shop.proto", *, imports: tuple[str, ...] = ()) -> FileDescriptorProto:
    file = FileDescriptorProto(name=name, package="shop", syntax="proto3", dependency=imports)
    for message in ("Asked", "Left"):
        file.message_type.add(name=message).field.add(name="item", number=1, type=9, label=1)
    service = file.service.add(name="Stock")
    service.method.add(name="Left", input_type=".shop.Asked", output_type=".shop.Left")
    service.method.add(
        name="Watch", input_type=".shop.Asked", output_type=".shop.Left", server_streaming=True
    )
    return file


def compiled(*files: FileDescriptorProto) -> bytes:
    return FileDescriptorSet(file=files).SerializeToString()


def files_of(
    data: bytes | None = None, *, method: str = "shop.Stock/Left", descriptor: str = NAME
) -> dict[str, bytes]:
    return {
        "pack.yaml": PACK,
        "tools.yaml": (TOOLS % (method, descriptor)).encode(),
        NAME: compiled(proto()) if data is None else data,
    }


def errors_of(files: dict[str, bytes]) -> list[Finding]:
    with pytest.raises(PackError) as caught:
        load_files(files)
    return [found for found in caught.value.findings if found.severity == "error"]


def test_a_tool_names_a_descriptor_file_of_its_pack() -> None:
    tool = load_files(files_of()).tool("stock")
    assert tool is not None
    assert isinstance(tool.connector, GrpcConnector)
    assert tool.connector.descriptor == NAME


def test_a_folder_and_the_store_hold_the_file_under_the_packs_digest(tmp_path: Path) -> None:
    (tmp_path / "descriptors").mkdir()
    for name, data in files_of().items():
        (tmp_path / name).write_bytes(data)
    pack = load_pack(tmp_path)
    assert pack.files == files_of()
    changed = load_files(files_of(compiled(proto(), FileDescriptorProto(name="more.proto"))))
    assert changed.digest != pack.digest


async def test_what_is_published_brings_the_file_along() -> None:
    bus = MemoryBus()
    digest = await publish_pack(bus, load_files(files_of()))
    assert (await PackStore(bus).get(digest)).files[NAME] == compiled(proto())
    await bus.close()


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("shop.Stock/Lefts", "shop.Stock has no method Lefts (did you mean 'Left'?)"),
        ("shop.Stock/Zzz", "shop.Stock has no method Zzz (it has Left, Watch)"),
        ("shop.Stocks/Left", "service shop.Stocks is not among the server's types"),
        ("shop.Asked/Left", "service shop.Asked is not among the server's types"),
        ("shop.Stock/Watch", "shop.Stock/Watch streams: a unary method expected"),
    ],
)
def test_a_method_that_cannot_be_called_is_told_with_its_line(method: str, said: str) -> None:
    assert errors_of(files_of(method=method)) == [
        Finding("tools.yaml", 10, "tools[0].connector.method", said),
    ]


def test_a_file_that_is_not_there_is_told_with_its_line() -> None:
    (found,) = errors_of(files_of(descriptor="descriptors/shops.binpb"))
    assert (found.file, found.line, found.field) == ("tools.yaml", 11, "tools[0].connector.descriptor")
    assert "descriptors/shops.binpb is not there (did you mean 'descriptors/shop.binpb'?)" in found.message
    (odd,) = errors_of(files_of(descriptor="../shop.binpb"))
    assert (odd.line, "descriptors/NAME.binpb expected" in odd.message) == (11, True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xff", "a FileDescriptorSet expected"),
        (b"", "it is empty"),
        (compiled(proto(imports=("google/protobuf/timestamp.proto",))), "timestamp.proto is missing"),
        (compiled(FileDescriptorProto(name="a", dependency=["a"])), "import each other"),
        (compiled(FileDescriptorProto(name="a", message_type=[{"name": "1 2"}])), "a: "),
        (bytes(DESCRIPTOR_BYTES_MAX + 1), "at most"),
    ],
)
def test_a_broken_file_is_told_by_its_name(data: bytes, said: str) -> None:
    (found,) = errors_of(files_of(data))
    assert (found.file, found.line, said in found.message) == (NAME, 0, True), found


def test_only_descriptors_belong_into_their_folder_and_not_too_many() -> None:
    (found,) = errors_of(files_of() | {"descriptors/shop.proto": b""})
    assert (found.file, "NAME.binpb expected" in found.message) == ("descriptors/shop.proto", True)
    many = {f"descriptors/{n}.binpb": compiled(proto()) for n in range(DESCRIPTORS_MAX)}
    assert "at most 16 files" in errors_of(files_of() | many)[0].message


def test_a_file_that_no_tool_names_is_a_warning() -> None:
    warned = load_files(files_of() | {"descriptors/more.binpb": compiled(proto())}).warnings
    assert ("descriptors/more.binpb", 0) in [(each.file, each.line) for each in warned]


@given(st.binary(max_size=200))
def test_any_bytes_are_types_or_a_clear_error(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        described(data)
