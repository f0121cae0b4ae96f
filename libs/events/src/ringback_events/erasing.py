"""Owns what may be erased: any stream but the append-only ones."""

from __future__ import annotations

from ringback_errors import InvalidInput

from ringback_events.topology import StreamSpec

__all__ = ["ERASE_TIMEOUT_MS", "NO_MESSAGE", "erasable"]

ERASE_TIMEOUT_MS = 10_000
NO_MESSAGE = frozenset({10037, 10043, 10057})
"""JetStream's codes for a message that is not there (nats-server, server/errors.json)."""


def erasable(spec: StreamSpec) -> StreamSpec:
    """`spec`, if messages of it may be removed; else InvalidInput."""
    if spec.append_only:
        raise InvalidInput(f"stream {spec.name}: append-only, nothing of it is removed", field="stream")
    return spec
