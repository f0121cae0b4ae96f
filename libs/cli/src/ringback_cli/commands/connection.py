"""Owns how a command finds the stack it talks to: options, the environment, then what a running stack left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringback_errors import ConfigError

from ringback_cli.settings import load_settings
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.stack import Reachable, read_reachable

__all__ = ["Target", "find_stack", "find_target"]


@dataclass(frozen=True)
class Target:
    """A Realtime endpoint and the key for it."""

    url: str
    api_key: str


def find_target(*, url: str, api_key: str) -> Target:
    """Where to call, from --url and --key, RINGBACK_URL and RINGBACK_API_KEY, or the stack under ./var."""
    settings = load_settings()
    url, api_key = url or settings.url, api_key or settings.api_key
    if url and not api_key:
        raise ConfigError("a key is needed for another server: --key or RINGBACK_API_KEY")
    if url:
        return Target(url, api_key)
    stack = find_stack()
    return Target(stack.realtime_url, api_key or stack.api_key())


def find_stack(var: Path | None = None) -> Reachable:
    """The stack that runs here."""
    return read_reachable(StackPaths(var or load_settings().var))
