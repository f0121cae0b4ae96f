"""The settings of session, read from the environment in this file alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback_errors import ConfigError
from ringback_serving import CommonSettings, Env, ServingSettings

from ringback_session.usecases.admission import AdmissionLimits
from ringback_session.usecases.call import Limits
from ringback_session.usecases.services import CallsSettings

__all__ = ["SessionSettings", "load", "variable"]


@dataclass(frozen=True, kw_only=True)
class SessionSettings(CommonSettings):
    """See README.md for each variable."""

    admin_port: int
    admin_address: str
    shared_port: bool
    client_ping_ms: int
    policy_addr: str
    tools_addr: str
    memory_addr: str
    tenants_file: Path
    prices_file: Path | None
    upstream_url: str
    upstream_model: str
    upstream_kind: str
    upstream_key_variable: str
    upstream_key_file: Path | None
    upstreams_file: Path | None
    calls_max: int
    starts_max: int
    loop_lag_ms_max: int
    supervisor_url: str
    supervisor_model: str
    supervisor_key_variable: str
    speech_url: str
    speech_model: str
    speech_voice: str
    speech_key_variable: str
    speech_timeout_ms: int
    journal_wait_ms: int
    lease_ms: int
    resume_window_ms: int
    record_dir: Path | None
    session_ms_max: int

    def __post_init__(self) -> None:
        if bool(self.supervisor_url) != bool(self.supervisor_model):
            raise ConfigError("RINGBACK_SUPERVISOR_MODEL: expected together with RINGBACK_SUPERVISOR_URL")
        if bool(self.speech_url) != bool(self.speech_model):
            raise ConfigError("RINGBACK_SPEECH_MODEL: expected together with RINGBACK_SPEECH_URL")

    @property
    def peers(self) -> tuple[tuple[str, str], ...]:
        """The services that calls ask, and where."""
        return ("policy", self.policy_addr), ("tools", self.tools_addr), ("memory", self.memory_addr)

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        upstreams_file = env.optional_path("UPSTREAMS_FILE")
        if upstreams_file is not None and env.optional("UPSTREAM_URL"):
            raise ConfigError(
                "RINGBACK_UPSTREAM_URL: expected to be absent, as RINGBACK_UPSTREAMS_FILE is set"
            )
        default_url = None if upstreams_file is None else ""
        return {
            **super().read(env),
            "upstreams_file": upstreams_file,
            "admin_port": env.integer("ADMIN_PORT", default=0, least=0, most=65_535),
            "admin_address": env.optional_address("ADMIN_ADDRESS") or "",
            "shared_port": env.boolean("SHARED_PORT", default=False),
            "client_ping_ms": env.integer("CLIENT_PING_MS", default=20_000, least=100, most=600_000),
            "policy_addr": env.address("POLICY_ADDR"),
            "tools_addr": env.address("TOOLS_ADDR"),
            "memory_addr": env.address("MEMORY_ADDR"),
            "tenants_file": env.path("TENANTS_FILE", default=Path("var/tenants.yaml")),
            "prices_file": env.optional_path("PRICES_FILE"),
            "upstream_url": env.url("UPSTREAM_URL", default=default_url, schemes=("ws", "wss")),
            "upstream_model": env.text("UPSTREAM_MODEL", default=""),
            "upstream_kind": env.choice(
                "UPSTREAM_KIND", default="compatible", choices=("compatible", "local")
            ),
            # Where the key is, not the key: settings may be shown.
            "upstream_key_variable": "RINGBACK_UPSTREAM_KEY" if env.optional("UPSTREAM_KEY") else "",
            "upstream_key_file": env.optional_path("UPSTREAM_KEY_FILE"),
            "supervisor_url": env.url("SUPERVISOR_URL", default="", schemes=("http", "https")),
            "supervisor_model": env.text("SUPERVISOR_MODEL", default=""),
            "supervisor_key_variable": "RINGBACK_SUPERVISOR_KEY" if env.optional("SUPERVISOR_KEY") else "",
            "speech_url": env.url("SPEECH_URL", default="", schemes=("http", "https")),
            "speech_model": env.text("SPEECH_MODEL", default=""),
            "speech_voice": env.text("SPEECH_VOICE", default=""),
            "speech_key_variable": "RINGBACK_SPEECH_KEY" if env.optional("SPEECH_KEY") else "",
            # Before the core takes whoever owes it words for silent.
            "speech_timeout_ms": env.integer("SPEECH_TIMEOUT_MS", default=8_000, least=500, most=25_000),
            "calls_max": env.integer("CALLS_MAX", default=200, least=1, most=100_000),
            "starts_max": env.integer("STARTS_MAX", default=64, least=1, most=10_000),
            "loop_lag_ms_max": env.integer("LOOP_LAG_MS_MAX", default=250, least=0, most=60_000),
            "journal_wait_ms": env.integer("JOURNAL_WAIT_MS", default=10_000, least=0, most=120_000),
            "lease_ms": env.integer("LEASE_MS", default=15_000, least=500, most=600_000),
            "session_ms_max": env.integer("SESSION_MS_MAX", default=14_400_000, least=1_000, most=86_400_000),
            "resume_window_ms": env.integer("RESUME_WINDOW_MS", default=30_000, least=0, most=3_600_000),
            "record_dir": Path(folder) if (folder := env.text("RECORD_DIR", default="")) else None,
        }

    @property
    def calls(self) -> CallsSettings:
        """The part that the use cases need."""
        return CallsSettings(
            model=self.upstream_model or "gpt-realtime",
            admission=AdmissionLimits(
                calls_max=self.calls_max,
                starts_max=self.starts_max,
                loop_lag_ms_max=self.loop_lag_ms_max,
            ),
            limits=Limits(
                journal_wait_ms=self.journal_wait_ms,
                resume_window_ms=self.resume_window_ms,
                session_ms_max=self.session_ms_max,
            ),
        )

    @property
    def admin_serving(self) -> ServingSettings:
        """How the admin service is served; its closers may take as long as calls may drain."""
        return ServingSettings(
            host=self.host,
            port=self.admin_port,
            drain_ms=self.drain_ms,
            close_ms=self.drain_ms + 2_000,
            tls=self.tls,
        )


def variable(name: str) -> str:
    """The value of a variable that a credential names; empty if it is not set."""
    return os.environ.get(name, "")


def load() -> SessionSettings:
    """Raises ConfigError, naming the variable and what was expected."""
    return SessionSettings.from_env(os.environ, service="session")
