"""Owns the settings of tools; the only reader of its environment.

Besides the settings that every service has: RINGBACK_MAC_KEYS_FILE (the keys shared with policy),
RINGBACK_CONNECTOR_<REF> (the address behind a reference in a pack, `airline_reservations` →
RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS), RINGBACK_CREDENTIALS_DIR (one file per secret), RINGBACK_CREDENTIAL_<REF>
(a secret that has no file), RINGBACK_SETTLE_MS (in place of every check's own `settle_ms`),
RINGBACK_TOOL_MODULES (Python modules whose functions packs may name), RINGBACK_TEST_PAUSE_AT (tests only).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from ringback_errors import ConfigError
from ringback_identity import sound_secret
from ringback_serving import CommonSettings, Env
from ringback_serving.settings import PREFIX

from ringback_tools.domain.holding import ON_REQUEST, STATES

__all__ = ["ToolsSettings", "read_settings"]

_CONNECTOR: Final = re.compile(PREFIX + r"CONNECTOR_([A-Z][A-Z0-9_]{0,63})")
_CREDENTIAL: Final = re.compile(PREFIX + r"CREDENTIAL_([A-Z][A-Z0-9_]{0,63})")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SCHEMES: Final = ("http", "https", "grpc", "grpcs", "stdio")
_LISTED: Final = ", ".join(f"{scheme}://" for scheme in _SCHEMES)


@dataclass(frozen=True, kw_only=True)
class ToolsSettings(CommonSettings):
    """All settings, checked."""

    mac_keys_file: Path
    connectors: Mapping[str, str] = field(default_factory=dict)
    credentials_dir: Path | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    settle_ms: int | None = None
    tool_modules: tuple[str, ...] = ()
    test_pause_at: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, service: str = "tools") -> Self:
        values = cls.read(Env(environ, service=service))
        return cls(**values, connectors=_connectors(environ), credentials=_credentials(environ))

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        return {
            **super().read(env),
            "mac_keys_file": env.path("MAC_KEYS_FILE"),
            "credentials_dir": env.optional_path("CREDENTIALS_DIR"),
            "settle_ms": _settle(env.integer("SETTLE_MS", default=-1, least=-1, most=600_000)),
            "tool_modules": _modules(env.text("TOOL_MODULES", default="")),
            "test_pause_at": _held(
                env.choice("TEST_PAUSE_AT", default="none", choices=("none", ON_REQUEST, *STATES))
            ),
        }


def _settle(settle_ms: int) -> int | None:
    return None if settle_ms < 0 else settle_ms


def _modules(names: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if not all(_MODULE.fullmatch(name) for name in found):
        raise ConfigError(f"{PREFIX}TOOL_MODULES: expected Python modules by commas, such as shop.tools")
    return found


def _held(state: str) -> str:
    return "" if state == "none" else state


def read_settings(**standard: str) -> ToolsSettings:
    """The settings of this process, over those given as `standard`; raises ConfigError."""
    return ToolsSettings.from_env({**standard, **os.environ})


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Secrets by reference, in lower case."""
    found = {}
    for name, value in environ.items():
        match = _CREDENTIAL.fullmatch(name)
        if match is None or name == f"{PREFIX}CREDENTIALS_DIR" or not value.strip():
            continue
        found[match[1].lower()] = sound_secret(value, where=name, spaces=True)
    return found


def _connectors(environ: Mapping[str, str]) -> dict[str, str]:
    """Addresses by reference, in lower case."""
    found = {}
    for name, value in environ.items():
        match = _CONNECTOR.fullmatch(name)
        if match is None or not value.strip():
            continue
        scheme, mark, rest = value.strip().partition("://")
        if not mark or not rest or scheme not in _SCHEMES:
            raise ConfigError(f"{name}: expected an address beginning with {_LISTED}")
        found[match[1].lower()] = value.strip()
    return found
