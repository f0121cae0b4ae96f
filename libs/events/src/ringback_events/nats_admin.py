"""Makes what topology.yaml declares exist on JetStream, however many do so at once."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from ringback_errors import ConfigError, Unavailable

from ringback_events.failures import BusAway
from ringback_events.nats_link import ApiError, NatsLink
from ringback_events.topology import BucketSpec, ObjectsSpec, StreamSpec, Topology

__all__ = ["ensure_topology", "stream_config"]

API_TIMEOUT_MS = 5_000
NAME_IN_USE = 10058
_log = logging.getLogger("ringback.events.admin")


async def ensure_topology(link: NatsLink, topology: Topology, owner: str, *, timeout_ms: int) -> None:
    """Create or adjust what `owner` owns or needs; BusAway when NATS does not answer until `timeout_ms`."""
    deadline = asyncio.get_running_loop().time() + timeout_ms / 1000
    for spec in topology.of(owner):
        config = stream_config(spec, replicas=topology.replicas)
        await _ensure_one(link, config, deadline=deadline)


def stream_config(spec: StreamSpec | BucketSpec | ObjectsSpec, *, replicas: int) -> dict[str, Any]:
    """Return the JetStream configuration of a stream, a bucket or an object store."""
    common: dict[str, Any] = {
        "description": spec.description,
        "storage": "file",
        "num_replicas": replicas,
        "max_bytes": spec.bytes_max,
        "max_msgs": -1,
        "max_consumers": -1,
    }
    match spec:
        case StreamSpec():
            return common | {
                "name": spec.name,
                "subjects": list(spec.subjects),
                "retention": "workqueue" if spec.work_queue else "limits",
                "discard": "new" if spec.append_only or spec.work_queue else "old",
                "max_msgs": spec.messages_max or -1,
                "max_age": spec.age_max_ms * 1_000_000,
                "max_msg_size": _with_headers(spec.message_bytes_max),
                "duplicate_window": spec.duplicate_window_ms * 1_000_000,
                "deny_delete": spec.append_only,
                "deny_purge": spec.append_only,
                "allow_direct": False,
            }
        case BucketSpec():
            return common | {
                "name": f"KV_{spec.name}",
                "subjects": [f"$KV.{spec.name}.>"],
                "discard": "new",
                "max_age": spec.age_max_ms * 1_000_000,
                "max_msgs_per_subject": spec.history,
                "max_msg_size": _with_headers(spec.value_bytes_max),
                "duplicate_window": _within(spec.age_max_ms, 120_000) * 1_000_000,
                "deny_delete": True,
                "allow_rollup_hdrs": True,
                # Direct reads may come from a follower that is behind; a compare-and-set needs the leader's
                # word.
                "allow_direct": False,
            }
        case ObjectsSpec():
            return common | {
                "name": f"OBJ_{spec.name}",
                "subjects": [f"$O.{spec.name}.C.>", f"$O.{spec.name}.M.>"],
                "discard": "new",
                "allow_rollup_hdrs": True,
                "allow_direct": True,
            }


async def _ensure_one(link: NatsLink, config: dict[str, Any], *, deadline: float) -> None:
    name = config["name"]
    attempt = 0
    while True:
        try:
            left_ms = int((deadline - asyncio.get_running_loop().time()) * 1000)
            await _create_or_update(link, name, config, timeout_ms=max(1, min(API_TIMEOUT_MS, left_ms)))
            return
        except ApiError as error:
            if error.code < 500 and not _may_pass(error):
                raise ConfigError(f"NATS refuses {name}: {error}") from error
            reason = str(error)
        except Unavailable as error:
            reason = str(error)
        attempt += 1
        wait_s = min(2.0, 0.1 * 2 ** min(attempt, 8)) * random.uniform(0.5, 1.0)
        if asyncio.get_running_loop().time() + wait_s >= deadline:
            raise BusAway(f"NATS at {link.url} does not give {name}: {reason}")
        if attempt in (1, 5) or attempt % 20 == 0:
            _log.warning("waiting for NATS at %s to give %s: %s", link.url, name, reason)
        await asyncio.sleep(wait_s)


async def _create_or_update(link: NatsLink, name: str, config: dict[str, Any], *, timeout_ms: int) -> None:
    try:
        await link.api(f"STREAM.CREATE.{name}", config, timeout_ms=timeout_ms)
    except ApiError as error:
        if error.err_code != NAME_IN_USE:
            raise
        await link.api(f"STREAM.UPDATE.{name}", config, timeout_ms=timeout_ms)
        _log.info("adjusted %s to its declaration", name)


def _may_pass(error: ApiError) -> bool:
    """Whether waiting can help: no leader or peers yet, or another creation is under way."""
    return error.err_code in (10005, 10008, 10009, 10074, 10114)


def _with_headers(bytes_max: int) -> int:
    return bytes_max + 16 * 1024


def _within(age_max_ms: int, window_ms: int) -> int:
    return min(age_max_ms, window_ms) if age_max_ms else window_ms
