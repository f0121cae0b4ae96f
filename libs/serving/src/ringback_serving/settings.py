"""Owns how settings are read from the environment, and the settings that every service has.

A service's own ``settings.py`` extends `CommonSettings`:

    @dataclass(frozen=True, kw_only=True)
    class PolicySettings(CommonSettings):
        mac_keys_file: Path

        @classmethod
        def read(cls, env: Env) -> dict[str, Any]:
            return {**super().read(env), "mac_keys_file": env.path("MAC_KEYS_FILE")}

    settings = PolicySettings.from_env(os.environ, service="policy")

Names are given without their prefix ``RINGBACK_``. What is wrong becomes a ConfigError of one line: which
variable, what was expected. Values are never shown: they may be secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from ringback_errors import ConfigError

PREFIX: Final = "RINGBACK_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):(\d{1,5})")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_T = TypeVar("_T")


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for mutual TLS: our certificate and key, and the CA that must have signed the peer's."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """What `serve` needs to know."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port; it is announced through `ready_file` and ``on_ready``."""
    drain_ms: int = 10_000
    """How long calls in flight may take to finish after the signal."""
    close_ms: int = 5_000
    """How long each closer may take."""
    deadline_floor_ms: int = 5
    """Taken off every caller's deadline (at least 1 % of it is); a call with no more than this is refused."""
    max_message_bytes: int = 4 * 1024 * 1024
    rpcs_max: int = 1_024
    """Calls served at once; more are refused as Overloaded. Health checks do not count."""
    tls: TlsFiles | None = None
    ready_file: Path | None = None
    """Where ``<port>\\n`` is written, whole, once calls are accepted; removed at the end."""

    def __post_init__(self) -> None:
        _in_range("port", self.port, 0, 65_535)
        for name in ("drain_ms", "close_ms", "deadline_floor_ms"):
            _in_range(name, getattr(self, name), 0, 3_600_000)
        _in_range("max_message_bytes", self.max_message_bytes, 1_024, 1 << 30)
        _in_range("rpcs_max", self.rpcs_max, 1, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """The settings that every service has; see the README for the variables."""

    service: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    ready_file: Path | None = None
    nats_url: str = "nats://127.0.0.1:4222"
    otlp_endpoint: str | None = None
    instance: str = ""
    log_level: str = "info"
    state_dir: Path = Path("var/state")
    drain_ms: int = 10_000
    tls: TlsFiles | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, service: str = "") -> Self:
        """Read and validate; raises ConfigError."""
        return cls(**cls.read(Env(environ, service=service)))

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        """The fields' values; a subclass adds its own to those of ``super().read(env)``."""
        return {
            "service": env.service,
            "host": env.text("HOST", default="127.0.0.1"),
            "port": env.integer("PORT", default=0, least=0, most=65_535),
            "ready_file": env.optional_path("READY_FILE"),
            "nats_url": env.url("NATS_URL", default="nats://127.0.0.1:4222", schemes=("nats", "tls")),
            "otlp_endpoint": env.optional_address("OTLP_ENDPOINT"),
            "instance": env.text("INSTANCE", default=""),
            "log_level": env.choice("LOG_LEVEL", default="info", choices=LOG_LEVELS),
            "state_dir": env.path("STATE_DIR", default=Path("var/state") / env.service),
            "drain_ms": env.integer("DRAIN_MS", default=10_000, least=0, most=3_600_000),
            "tls": env.tls(),
        }

    @property
    def serving(self) -> ServingSettings:
        """The part that `serve` takes."""
        return ServingSettings(
            host=self.host,
            port=self.port,
            drain_ms=self.drain_ms,
            tls=self.tls,
            ready_file=self.ready_file,
        )


class Env:
    """Typed, checked reading of ``RINGBACK_*`` variables; an empty variable counts as absent."""

    def __init__(self, environ: Mapping[str, str], *, service: str = "") -> None:
        self._environ = environ
        self.service = service

    def optional(self, name: str) -> str | None:
        """The text, or None."""
        return self._environ.get(PREFIX + name, "").strip() or None

    def text(self, name: str, *, default: str | None = None) -> str:
        """Any text."""
        return self._get(name, "a value", default, lambda value: value)

    def integer(self, name: str, *, default: int | None = None, least: int, most: int) -> int:
        """A whole number within bounds."""

        def parse(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._get(name, f"a whole number from {least} to {most}", default, parse)

    def number(self, name: str, *, default: float | None = None, least: float, most: float) -> float:
        """A number within bounds."""

        def parse(value: str) -> float:
            number = float(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._get(name, f"a number from {least} to {most}", default, parse)

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """1, true, yes, on; or 0, false, no, off."""

        def parse(value: str) -> bool:
            if value.lower() not in _TRUE | _FALSE:
                raise ValueError
            return value.lower() in _TRUE

        return self._get(name, "true or false", default, parse)

    def choice(self, name: str, *, default: str | None = None, choices: Sequence[str]) -> str:
        """One of a few words, in any case."""

        def parse(value: str) -> str:
            if value.lower() not in choices:
                raise ValueError
            return value.lower()

        return self._get(name, "one of " + ", ".join(choices), default, parse)

    def path(self, name: str, *, default: Path | None = None) -> Path:
        """A path; whether it exists is for its user to say."""
        return self._get(name, "a path", default, Path)

    def optional_path(self, name: str) -> Path | None:
        """A path, or None."""
        value = self.optional(name)
        return Path(value) if value else None

    def address(self, name: str, *, default: str | None = None) -> str:
        """``host:port``."""

        def parse(value: str) -> str:
            found = _ADDRESS.fullmatch(value)
            if found is None or not 0 < int(found[2]) <= 65_535:
                raise ValueError
            return value

        return self._get(name, "host:port", default, parse)

    def optional_address(self, name: str) -> str | None:
        """``host:port`` or ``http(s)://host:port``, or None."""
        value = self.optional(name)
        if value is None:
            return None
        scheme, mark, rest = value.rpartition("://")
        if mark and scheme not in ("http", "https"):
            raise ConfigError(f"{PREFIX}{name}: expected host:port")
        return scheme + mark + Env({PREFIX + name: rest.rstrip("/")}).address(name)

    def url(self, name: str, *, default: str | None = None, schemes: Sequence[str]) -> str:
        """A URL with a host and one of these schemes."""

        def parse(value: str) -> str:
            found = urlsplit(value)
            if found.scheme not in schemes or not found.hostname:
                raise ValueError
            return value

        expected = "a URL beginning with " + " or ".join(f"{scheme}://" for scheme in schemes)
        return self._get(name, expected, default, parse)

    def tls(self) -> TlsFiles | None:
        """``TLS_CERT_FILE``, ``TLS_KEY_FILE`` and ``TLS_CA_FILE``: all three, or none."""
        found = {name: self.optional_path(f"TLS_{name}_FILE") for name in ("CERT", "KEY", "CA")}
        cert, key, ca = found.values()
        if cert and key and ca:
            return TlsFiles(cert=cert, key=key, ca=ca)
        if cert or key or ca:
            missing = next(name for name, path in found.items() if path is None)
            raise ConfigError(
                f"{PREFIX}TLS_{missing}_FILE: expected a path, as the other TLS files are given"
            )
        return None

    def _get(self, name: str, expected: str, default: _T | None, parse: Callable[[str], _T]) -> _T:
        value = self.optional(name)
        if value is None:
            if default is None:
                raise ConfigError(f"{PREFIX}{name}: expected {expected}, but it is not set")
            return default
        try:
            return parse(value)
        except ValueError:
            raise ConfigError(f"{PREFIX}{name}: expected {expected}") from None


def _in_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{name}: expected a whole number from {least} to {most}")
