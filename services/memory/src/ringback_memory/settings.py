"""Owns memory's settings: the only module that reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from ringback_errors import ConfigError
from ringback_serving import CommonSettings, Env

from ringback_memory.domain.compaction import Rules


@dataclass(frozen=True, kw_only=True)
class MemorySettings(CommonSettings):
    """The common settings and what is memory's own; tokens are o200k tokens as the provider counts them."""

    compact_above_tokens: int = 1_600
    compact_keep_tokens: int = 480
    compact_keep_turns: int = 4
    compact_context_tokens: int = 400
    sessions_held_max: int = 512
    fold_concurrency: int = 32
    gap_wait_ms: int = 8_000
    callers_retention_days: int = 90
    summary_url: str = ""
    summary_model: str = ""
    summary_api_key: str = field(default="", repr=False)
    summary_deadline_ms: int = 8_000
    summary_tokens_per_hour: int = 200_000
    nats_wait_ms: int = 60_000

    def __post_init__(self) -> None:
        if self.compact_keep_tokens >= self.compact_above_tokens:
            raise ConfigError(
                "RINGBACK_COMPACT_KEEP_TOKENS: expected less than RINGBACK_COMPACT_ABOVE_TOKENS"
            )
        if bool(self.summary_url) != bool(self.summary_model):
            raise ConfigError("RINGBACK_SUMMARY_MODEL: expected together with RINGBACK_SUMMARY_URL")
        if self.summary_url and not self.summary_url.startswith(("http://", "https://")):
            raise ConfigError("RINGBACK_SUMMARY_URL: expected http://… or https://…")

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        """The fields' values."""
        return {
            **super().read(env),
            "compact_above_tokens": env.integer(
                "COMPACT_ABOVE_TOKENS", default=1_600, least=200, most=1_000_000
            ),
            "compact_keep_tokens": env.integer("COMPACT_KEEP_TOKENS", default=480, least=0, most=1_000_000),
            "compact_keep_turns": env.integer("COMPACT_KEEP_TURNS", default=4, least=2, most=64),
            "compact_context_tokens": env.integer(
                "COMPACT_CONTEXT_TOKENS", default=400, least=50, most=32_000
            ),
            "sessions_held_max": env.integer("SESSIONS_HELD_MAX", default=512, least=1, most=100_000),
            "fold_concurrency": env.integer("FOLD_CONCURRENCY", default=32, least=1, most=1_024),
            "gap_wait_ms": env.integer("GAP_WAIT_MS", default=8_000, least=0, most=60_000),
            "callers_retention_days": env.integer("CALLERS_RETENTION_DAYS", default=90, least=1, most=3_650),
            "summary_url": env.text("SUMMARY_URL", default=""),
            "summary_model": env.text("SUMMARY_MODEL", default=""),
            "summary_api_key": env.text("SUMMARY_API_KEY", default=""),
            "summary_deadline_ms": env.integer("SUMMARY_DEADLINE_MS", default=8_000, least=100, most=60_000),
            "summary_tokens_per_hour": env.integer(
                "SUMMARY_TOKENS_PER_HOUR", default=200_000, least=0, most=100_000_000
            ),
            "nats_wait_ms": env.integer("NATS_WAIT_MS", default=60_000, least=0, most=3_600_000),
        }

    @property
    def rules(self) -> Rules:
        """When and how far the model's conversation is cut."""
        return Rules(
            above_tokens=self.compact_above_tokens,
            keep_below_tokens=self.compact_keep_tokens,
            keep_turns=self.compact_keep_turns,
        )


def load_settings() -> MemorySettings:
    """The settings of this process; raises ConfigError naming the variable and what was expected."""
    return MemorySettings.from_env(os.environ, service="memory")
