"""The settings of policy; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback_errors import ConfigError
from ringback_serving import CommonSettings, Env

__all__ = ["PolicySettings", "read_settings", "variable"]


@dataclass(frozen=True, kw_only=True)
class PolicySettings(CommonSettings):
    """What every service has, the keys for proofs (RINGBACK_MAC_KEYS_FILE), and what is policy's own."""

    mac_keys_file: Path
    record_decisions: bool = False
    """RINGBACK_RECORD_DECISIONS: keep what was asked, personal data masked, for replay diffs."""
    opinion_url: str = ""
    """RINGBACK_OPINION_URL: a text model that is asked about every yes to a read-back; empty: nobody is."""
    opinion_model: str = ""
    opinion_key_variable: str = ""
    opinion_key_file: Path | None = None
    opinion_timeout_ms: int = 600

    def __post_init__(self) -> None:
        if bool(self.opinion_url) != bool(self.opinion_model):
            raise ConfigError("RINGBACK_OPINION_MODEL: expected together with RINGBACK_OPINION_URL")
        if self.opinion_key_variable and self.opinion_key_file is not None:
            raise ConfigError(
                "RINGBACK_OPINION_KEY: expected to be absent, as RINGBACK_OPINION_KEY_FILE is set"
            )

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        """The fields' values."""
        return {
            **super().read(env),
            "mac_keys_file": env.path("MAC_KEYS_FILE"),
            "record_decisions": env.boolean("RECORD_DECISIONS", default=False),
            "opinion_url": env.url("OPINION_URL", default="", schemes=("http", "https")),
            "opinion_model": env.text("OPINION_MODEL", default=""),
            # Where the key is, not the key: settings may be shown.
            "opinion_key_variable": "RINGBACK_OPINION_KEY" if env.optional("OPINION_KEY") else "",
            "opinion_key_file": env.optional_path("OPINION_KEY_FILE"),
            "opinion_timeout_ms": env.integer("OPINION_TIMEOUT_MS", default=600, least=50, most=10_000),
        }


def variable(name: str) -> str:
    """The value of a variable that a credential names; empty if it is not set."""
    return os.environ.get(name, "")


def read_settings(environ: Mapping[str, str] = os.environ) -> PolicySettings:
    """The settings; raises ConfigError."""
    return PolicySettings.from_env(environ, service="policy")
