"""The one reader of the environment for the `ringback` command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ringback_errors import ConfigError

__all__ = ["CliSettings", "inherited_environment", "load_settings"]

WORKERS_MAX = 64


@dataclass(frozen=True)
class CliSettings:
    """Where things are. Empty strings mean: ask the description that a running stack leaves in `var`."""

    root: Path
    packs: Path
    var: Path
    url: str
    api_key: str
    workers: int = 1


def load_settings(environ: Mapping[str, str] | None = None) -> CliSettings:
    """RINGBACK_HOME (a checkout; else found from here), _VAR, _PACKS, _URL, _API_KEY and _WORKERS; all optional."""
    source = os.environ if environ is None else environ
    root = _home(source.get("RINGBACK_HOME", ""))
    return CliSettings(
        root=root,
        packs=Path(source.get("RINGBACK_PACKS") or root / "packs"),
        var=Path(source.get("RINGBACK_VAR") or root / "var"),
        url=source.get("RINGBACK_URL", ""),
        api_key=source.get("RINGBACK_API_KEY", ""),
        workers=_workers(source.get("RINGBACK_WORKERS", "")),
    )


def inherited_environment() -> dict[str, str]:
    """What programs of the stack inherit: everything, so that settings given to `ringback up` reach them."""
    return dict(os.environ)


def _workers(number: str) -> int:
    if not number:
        return 1
    if not number.isdecimal() or not 1 <= int(number) <= WORKERS_MAX:
        raise ConfigError(f"RINGBACK_WORKERS: expected a whole number from 1 to {WORKERS_MAX}")
    return int(number)


def _home(named: str) -> Path:
    if named:
        if not _is_home(Path(named)):
            raise ConfigError(f"RINGBACK_HOME: a folder with packs/airline expected, got {named!r}")
        return Path(named).resolve()
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if _is_home(folder):
                return folder
    return Path.cwd()


def _is_home(folder: Path) -> bool:
    return (folder / "packs" / "airline").is_dir()
