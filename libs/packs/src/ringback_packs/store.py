"""Packs on the bus: published under their digest, immutable, found by name through a head."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from ringback_errors import InvalidInput, NotFound
from ringback_events import Bus

from ringback_packs import forms
from ringback_packs.loading import load_files, pack_digest
from ringback_packs.model import Pack

__all__ = ["PackStore", "publish_pack"]

STORE: Final = "packs"
CACHED_MAX: Final = 16
_PREFIX: Final = "sha256:"


class _Archive(msgspec.Struct, frozen=True):
    """A pack as it is stored."""

    format: int
    name: str
    version: str
    files: dict[str, bytes]


async def publish_pack(bus: Bus, pack: Pack) -> str:
    """Store the pack, point its name at it, and return its digest.

    The pack is validated again from its files, so that nothing broken is ever published (PackError).
    """
    checked = load_files(pack.files, label=pack.name)
    objects = bus.objects(STORE)
    digest = checked.digest
    if await objects.get(_object_name(digest)) is None:
        archive = _Archive(format=1, name=checked.name, version=checked.version, files=dict(checked.files))
        await objects.put(_object_name(digest), msgspec.msgpack.encode(archive, order="deterministic"))
    await objects.put(f"head.{checked.name}", digest.encode("ascii"))
    return digest


class PackStore:
    """Reads published packs; the last few stay in memory, for a digest never changes its meaning."""

    def __init__(self, bus: Bus) -> None:
        self._objects = bus.objects(STORE)
        self._cached: OrderedDict[str, Pack] = OrderedDict()

    async def get(self, digest: str, *, timeout_ms: int = 10_000) -> Pack:
        """Return the pack; NotFound if it was never published, InvalidInput if what is stored is not it."""
        if digest in self._cached:
            self._cached.move_to_end(digest)
            return self._cached[digest]
        data = await self._objects.get(_object_name(digest), timeout_ms=timeout_ms)
        if data is None:
            raise NotFound(f"pack_digest: a published pack expected, got {digest}", field="pack_digest")
        pack = _unpacked(data, digest)
        self._cached[digest] = pack
        if len(self._cached) > CACHED_MAX:
            self._cached.popitem(last=False)
        return pack

    async def resolve(self, name: str, *, timeout_ms: int = 10_000) -> str:
        """Return the digest that was published last under a pack's name; NotFound if there is none."""
        if not forms.SLUG.match(name):
            raise InvalidInput(f"pack: {forms.SLUG_FORM} expected", field="pack")
        data = await self._objects.get(f"head.{name}", timeout_ms=timeout_ms)
        if data is None:
            raise NotFound(f"pack: a published pack expected, got {name!r}", field="pack")
        return data.decode("ascii")

    async def names(self, *, timeout_ms: int = 10_000) -> list[str]:
        """Return the names that have been published."""
        listed = await self._objects.list(timeout_ms=timeout_ms)
        return sorted(name.removeprefix("head.") for name in listed if name.startswith("head."))


def _object_name(digest: str) -> str:
    hex_part = digest.removeprefix(_PREFIX)
    if not digest.startswith(_PREFIX) or len(hex_part) != 64 or not set(hex_part) <= set("0123456789abcdef"):
        raise InvalidInput("pack_digest: sha256:<64 hex digits> expected", field="pack_digest")
    return hex_part


def _unpacked(data: bytes, digest: str) -> Pack:
    try:
        archive = msgspec.msgpack.decode(data, type=_Archive)
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            f"pack_digest: the object stored under {digest} is not a pack", field="pack_digest"
        ) from error
    if pack_digest(archive.files) != digest:
        raise InvalidInput(
            f"pack_digest: the object stored under {digest} has another digest", field="pack_digest"
        )
    return load_files(archive.files, label=archive.name)
