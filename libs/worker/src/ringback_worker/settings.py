"""Owns the settings of a worker: RINGBACK_NATS_URL and RINGBACK_WORKER_CALLS_MAX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ringback_errors import ConfigError

__all__ = ["WorkerSettings", "read_settings"]

CALLS_MAX = 1_000


@dataclass(frozen=True)
class WorkerSettings:
    """Where NATS is, and how many calls run at once."""

    nats_url: str = "nats://127.0.0.1:4222"
    calls_max: int = 32


def read_settings(environ: Mapping[str, str] | None = None) -> WorkerSettings:
    """The settings of this process; ConfigError names the variable and what was expected."""
    source = os.environ if environ is None else environ
    standard = WorkerSettings()
    text = source.get("RINGBACK_WORKER_CALLS_MAX") or str(standard.calls_max)
    if not text.isdigit() or not 1 <= int(text) <= CALLS_MAX:
        raise ConfigError(
            f"RINGBACK_WORKER_CALLS_MAX: a whole number from 1 to {CALLS_MAX} expected, got {text!r}"
        )
    return WorkerSettings(source.get("RINGBACK_NATS_URL") or standard.nats_url, int(text))
