"""Owns the way from a pack's digest to the slots of its tools."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping

import yaml
from ringback_errors import InvalidInput, NotFound
from ringback_events import Bus
from ringback_packs import PackError, PackStore

from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema, ToolOutline, schema_of_tools

HELD_MAX = 64

_log = logging.getLogger("ringback.memory.packs")


class PackSchemas:
    """Schemas by pack digest, from the object store `packs`; a pack never changes, so they are kept."""

    def __init__(self, bus: Bus) -> None:
        self._packs = PackStore(bus)
        self._held: OrderedDict[str, SlotSchema] = OrderedDict()

    async def schema(self, pack_digest: str) -> SlotSchema:
        """The schema of a pack; empty for one that does not exist or cannot be read. Raises Unavailable."""
        if pack_digest in self._held:
            return self._held[pack_digest]
        try:
            pack = await self._packs.get(pack_digest)
        except (NotFound, InvalidInput, PackError) as error:
            _log.warning("no slots are read from transcripts: pack %s: %s", pack_digest, error)
            return EMPTY_SCHEMA
        ttls = fact_ttls(pack.bundle_files)
        schema = schema_of_tools(
            ToolOutline(
                tool.name,
                tool.description,
                tool.parameters,
                tool.side_effect != "read",
                ttls.get(tool.name, 0),
            )
            for tool in pack.tools
            if not tool.internal
        )
        self._held[pack_digest] = schema
        while len(self._held) > HELD_MAX:
            self._held.popitem(last=False)
        return schema


def fact_ttls(bundle_files: Mapping[str, bytes]) -> dict[str, int]:
    """How long the results of each tool hold, ms, by the facts that the bundle declares on it; the shortest wins."""
    ttls: dict[str, int] = {}
    for name, content in sorted(bundle_files.items()):
        try:
            document = yaml.safe_load(content) if name.endswith((".yaml", ".yml")) else None
        except (yaml.YAMLError, UnicodeDecodeError):
            continue
        facts = document.get("facts") if isinstance(document, Mapping) else None
        for fact in facts.values() if isinstance(facts, Mapping) else ():
            tool, ttl_ms = (fact.get("tool"), fact.get("ttl_ms")) if isinstance(fact, Mapping) else ("", 0)
            if isinstance(tool, str) and isinstance(ttl_ms, int) and ttl_ms > 0:
                ttls[tool] = min(ttl_ms, ttls.get(tool, ttl_ms))
    return ttls
