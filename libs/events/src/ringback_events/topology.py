"""What exists on NATS: streams, buckets and object stores as topology.yaml declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, TypeVar

import yaml
from ringback_errors import InvalidInput

__all__ = ["BucketSpec", "ObjectsSpec", "StreamSpec", "Topology", "load_topology"]

_HOUR_MS = 3_600_000
_MIB = 1024 * 1024
_KIB = 1024

_S = TypeVar("_S", "StreamSpec", "BucketSpec", "ObjectsSpec")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream; an age of 0 means for ever."""

    name: str
    subjects: tuple[str, ...]
    owner: str
    needed_by: tuple[str, ...]
    description: str
    age_max_ms: int
    bytes_max: int
    message_bytes_max: int
    duplicate_window_ms: int
    append_only: bool
    # A message goes when it is acknowledged; a full stream refuses new ones.
    work_queue: bool = False
    # 0: only the size is bounded.
    messages_max: int = 0


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """One key-value bucket."""

    name: str
    owner: str
    needed_by: tuple[str, ...]
    description: str
    history: int
    age_max_ms: int
    bytes_max: int
    value_bytes_max: int


@dataclass(frozen=True, slots=True)
class ObjectsSpec:
    """One object store."""

    name: str
    owner: str
    needed_by: tuple[str, ...]
    description: str
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that exists on the bus."""

    streams: tuple[StreamSpec, ...]
    buckets: tuple[BucketSpec, ...]
    objects: tuple[ObjectsSpec, ...]
    replicas: int = 1

    def with_replicas(self, replicas: int) -> Topology:
        """Return the same topology with 1, 3 or 5 copies of everything."""
        if replicas not in (1, 3, 5):
            raise InvalidInput(f"replicas: 1, 3 or 5 expected, got {replicas}", field="replicas")
        return replace(self, replicas=replicas)

    def of(self, service: str) -> Iterator[StreamSpec | BucketSpec | ObjectsSpec]:
        """Yield what a service owns or needs."""
        specs: list[StreamSpec | BucketSpec | ObjectsSpec] = [*self.streams, *self.buckets, *self.objects]
        for spec in specs:
            if service == spec.owner or service in spec.needed_by:
                yield spec

    def stream(self, name: str) -> StreamSpec:
        """Return the stream of that name; InvalidInput if none is declared."""
        return _named(self.streams, name, "stream")

    def bucket(self, name: str) -> BucketSpec:
        """Return the bucket of that name; InvalidInput if none is declared."""
        return _named(self.buckets, name, "bucket")

    def object_store(self, name: str) -> ObjectsSpec:
        """Return the object store of that name; InvalidInput if none is declared."""
        return _named(self.objects, name, "objects")

    def stream_of(self, subject: str) -> StreamSpec:
        """Return the stream that takes a subject or a filter; InvalidInput if none does."""
        for spec in self.streams:
            if any(covers(pattern, subject) for pattern in spec.subjects):
                return spec
        declared = ", ".join(pattern for spec in self.streams for pattern in spec.subjects)
        raise InvalidInput(f"subject: one of {declared} expected, got {subject[:80]!r}", field="subject")


def load_topology(text: str | None = None) -> Topology:
    """Return the topology that ships with this package, or the one in `text`."""
    return _shipped() if text is None else _parse(text)


def covers(pattern: str, subject: str) -> bool:
    """Tell whether a subject (or a narrower filter) falls under a NATS pattern with `*` and a last `>`."""
    given = subject.split(".")
    wanted = _tokens(pattern)
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or given[index] == ">" or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


@lru_cache(maxsize=256)
def _tokens(pattern: str) -> tuple[str, ...]:
    """Of the few patterns that everything that is published is held against."""
    return tuple(pattern.split("."))


@cache
def _shipped() -> Topology:
    return _parse(resources.files("ringback_events").joinpath("topology.yaml").read_text("utf-8"))


def _parse(text: str) -> Topology:
    data: Mapping[str, Mapping[str, Mapping[str, Any]]] = yaml.safe_load(text)
    return Topology(
        streams=tuple(_stream(name, body) for name, body in (data.get("streams") or {}).items()),
        buckets=tuple(_bucket(name, body) for name, body in (data.get("buckets") or {}).items()),
        objects=tuple(_objects(name, body) for name, body in (data.get("objects") or {}).items()),
    )


def _stream(name: str, body: Mapping[str, Any]) -> StreamSpec:
    return StreamSpec(
        name=name,
        subjects=tuple(body["subjects"]),
        owner=body["owner"],
        needed_by=tuple(body["needed_by"]),
        description=body["description"],
        age_max_ms=body["age_max_hours"] * _HOUR_MS,
        bytes_max=body["bytes_max_mib"] * _MIB,
        message_bytes_max=body["message_max_kib"] * _KIB,
        duplicate_window_ms=body["duplicate_window_s"] * 1000,
        append_only=bool(body.get("append_only", False)),
        work_queue=bool(body.get("work_queue", False)),
        messages_max=int(body.get("messages_max", 0)),
    )


def _bucket(name: str, body: Mapping[str, Any]) -> BucketSpec:
    return BucketSpec(
        name=name,
        owner=body["owner"],
        needed_by=tuple(body["needed_by"]),
        description=body["description"],
        history=body["history"],
        age_max_ms=body["age_max_hours"] * _HOUR_MS,
        bytes_max=body["bytes_max_mib"] * _MIB,
        value_bytes_max=body["value_max_kib"] * _KIB,
    )


def _objects(name: str, body: Mapping[str, Any]) -> ObjectsSpec:
    return ObjectsSpec(
        name=name,
        owner=body["owner"],
        needed_by=tuple(body["needed_by"]),
        description=body["description"],
        bytes_max=body["bytes_max_mib"] * _MIB,
    )


def _named(specs: tuple[_S, ...], name: str, kind: str) -> _S:
    for spec in specs:
        if spec.name == name:
            return spec
    raise InvalidInput(
        f"{kind}: one of {', '.join(s.name for s in specs)} expected, got {name[:40]!r}", field=kind
    )
