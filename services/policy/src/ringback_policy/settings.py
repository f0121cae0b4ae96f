"""The settings of policy; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback_serving import CommonSettings, Env

__all__ = ["PolicySettings", "read_settings"]


@dataclass(frozen=True, kw_only=True)
class PolicySettings(CommonSettings):
    """What every service has, the keys for proofs (RINGBACK_MAC_KEYS_FILE), and whether questions are recorded."""

    mac_keys_file: Path
    record_decisions: bool = False
    """RINGBACK_RECORD_DECISIONS: keep what was asked, personal data masked, for replay diffs."""

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        """The fields' values."""
        return {
            **super().read(env),
            "mac_keys_file": env.path("MAC_KEYS_FILE"),
            "record_decisions": env.boolean("RECORD_DECISIONS", default=False),
        }


def read_settings(environ: Mapping[str, str] = os.environ) -> PolicySettings:
    """The settings; raises ConfigError."""
    return PolicySettings.from_env(environ, service="policy")
