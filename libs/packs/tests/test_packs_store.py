"""Packs on the bus: immutable by digest, found by name."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from ringback_errors import InvalidInput, NotFound
from ringback_events import BusAway, MemoryBus
from ringback_packs import PackError, PackStore, load_pack, publish_pack

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus()
    yield made
    await made.close()


async def test_what_is_published_comes_back_the_same(bus: MemoryBus) -> None:
    pack = load_pack(SAMPLE)
    digest = await publish_pack(bus, pack)
    store = PackStore(bus)
    assert digest == pack.digest
    assert await store.resolve("sample") == digest
    assert await store.names() == ["sample"]
    assert await store.get(digest) == pack
    assert await store.get(digest) is await store.get(digest)


async def test_publishing_again_moves_only_the_head(bus: MemoryBus) -> None:
    pack = load_pack(SAMPLE)
    first = await publish_pack(bus, pack)
    files = {**pack.files, "pack.yaml": pack.files["pack.yaml"].replace(b"0.1.0", b"0.2.0")}
    second = await publish_pack(bus, msgspec.structs.replace(pack, files=files))
    store = PackStore(bus)
    assert first != second
    assert await store.resolve("sample") == second
    assert (await store.get(first)).version == "0.1.0"
    assert await publish_pack(bus, pack) == first
    assert await store.resolve("sample") == first


async def test_a_broken_pack_is_not_published(bus: MemoryBus) -> None:
    pack = load_pack(SAMPLE)
    with pytest.raises(PackError):
        await publish_pack(
            bus, msgspec.structs.replace(pack, files={**pack.files, "tools.yaml": b"tools: 1"})
        )
    assert await bus.objects("packs").list() == []


async def test_what_was_never_published_is_not_found(bus: MemoryBus) -> None:
    store = PackStore(bus)
    with pytest.raises(NotFound, match="pack: a published pack expected"):
        await store.resolve("sample")
    with pytest.raises(NotFound, match="pack_digest"):
        await store.get("sha256:" + "0" * 64)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:xyz", "md5:" + "0" * 64, "sha256:" + "0" * 63 + "/"]
)
async def test_a_digest_that_is_none_is_refused(bus: MemoryBus, digest: str) -> None:
    with pytest.raises(InvalidInput, match="64 hex digits> expected"):
        await PackStore(bus).get(digest)


async def test_what_is_stored_must_be_what_its_digest_says(bus: MemoryBus) -> None:
    pack = load_pack(SAMPLE)
    digest = await publish_pack(bus, pack)
    objects = bus.objects("packs")
    other = b"f" * 64
    data = await objects.get(digest.removeprefix("sha256:"))
    assert data is not None
    await objects.put(other.decode(), data)
    with pytest.raises(InvalidInput, match="has another digest"):
        await PackStore(bus).get("sha256:" + other.decode())
    await objects.put(other.decode(), b"garbage")
    with pytest.raises(InvalidInput, match="is not a pack"):
        await PackStore(bus).get("sha256:" + other.decode())


async def test_a_pack_in_memory_is_served_while_the_bus_is_away(bus: MemoryBus) -> None:
    digest = await publish_pack(bus, load_pack(SAMPLE))
    store = PackStore(bus)
    await store.get(digest)
    bus.broker.stop()
    assert (await store.get(digest)).name == "sample"
    with pytest.raises(BusAway):
        await PackStore(bus).get(digest)


def test_a_pack_error_crosses_processes_whole(tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        load_pack(tmp_path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.findings == caught.value.findings
    assert str(again) == str(caught.value)
