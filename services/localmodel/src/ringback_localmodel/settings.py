"""The service's settings; the only place that reads the environment. Every variable begins with ``RINGBACK_``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ringback_serving.settings import LOG_LEVELS, Env

from ringback_localmodel.usecases.limits import SessionLimits

__all__ = ["LocalModelSettings"]


@dataclass(frozen=True, kw_only=True)
class LocalModelSettings:
    """What the process is told.

    ``key`` is None when any bearer key is accepted; ``failing_words`` make replies fail.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    ready_file: Path | None = None
    log_level: str = "info"
    instance: str = ""
    otlp_endpoint: str | None = None
    drain_ms: int = 10_000
    key: str | None = None
    model: str = "ringback-local"
    voice: str | None = None
    sessions_max: int = 64
    session_ms_max: int = 3_600_000
    slow_reader_ms: int = 10_000
    speech_threads: int = 2
    seed: str | None = None
    failing_words: str = ""
    limits: SessionLimits = field(default_factory=SessionLimits)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and validate; raises ConfigError that names the variable and what was expected."""
        env = Env(environ, service="localmodel")
        limits = SessionLimits(
            items_max=env.integer("LOCALMODEL_ITEMS_MAX", default=2_000, least=10, most=100_000),
            audio_buffer_ms_max=env.integer(
                "LOCALMODEL_AUDIO_BUFFER_MS_MAX", default=300_000, least=1_000, most=3_600_000
            ),
        )
        return cls(
            host=env.text("HOST", default="127.0.0.1"),
            port=env.integer("PORT", default=8090, least=0, most=65_535),
            ready_file=env.optional_path("READY_FILE"),
            log_level=env.choice("LOG_LEVEL", default="info", choices=LOG_LEVELS),
            instance=env.text("INSTANCE", default=""),
            otlp_endpoint=env.optional_address("OTLP_ENDPOINT"),
            drain_ms=env.integer("DRAIN_MS", default=10_000, least=0, most=3_600_000),
            key=env.optional("LOCALMODEL_KEY"),
            model=env.text("LOCALMODEL_MODEL", default="ringback-local"),
            voice=env.optional("LOCALMODEL_VOICE"),
            sessions_max=env.integer("LOCALMODEL_SESSIONS_MAX", default=64, least=1, most=10_000),
            session_ms_max=env.integer(
                "LOCALMODEL_SESSION_MS_MAX", default=3_600_000, least=1_000, most=86_400_000
            ),
            slow_reader_ms=env.integer("LOCALMODEL_SLOW_READER_MS", default=10_000, least=100, most=600_000),
            speech_threads=env.integer("LOCALMODEL_SPEECH_THREADS", default=2, least=1, most=64),
            seed=env.optional("LOCALMODEL_SEED"),
            failing_words=env.text("LOCALMODEL_FAIL_ON", default=""),
            limits=limits,
        )
