"""Tenants and their keys from `tenants.yaml`; read again when the file changes."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path
from typing import Any

import yaml
from ringback_errors import ConfigError, Unauthenticated
from ringback_identity import FollowedFile, hash_key

from ringback_session.adapters.budgets_file import read_budgets
from ringback_session.ports import Caller

__all__ = ["TenantsInFile"]

log = logging.getLogger(__name__)

FILE_BYTES_MAX = 1024 * 1024


class TenantsInFile:
    """Implements `ports.Tenants`.

    Shape: `tenants: [{tenant, key_hashes: [sha256:…], packs: [name], default_pack: name, quotas: {sessions_max},
    budgets: {session: {soft_usd, hard_usd, soft_tokens, hard_tokens}, day: {the same}, on_hard: end|refuse, say,
    instruction}}]`.
    """

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path, _read, on_refused=_kept)

    def find(self, tenant: str) -> Caller | None:
        return next((caller for caller in self._file.content.values() if caller.tenant == tenant), None)

    def authenticate(self, api_key: str) -> Caller:
        presented = hash_key(api_key)
        for known, caller in self._file.content.items():
            if hmac.compare_digest(known, presented):
                return caller
        raise Unauthenticated("Incorrect API key provided.")


def _kept(error: ConfigError) -> None:
    # Half-written, perhaps: the keys that there were hold until it is right again.
    log.error("the tenants that there were are kept: %s", error)


def _read(path: Path) -> dict[str, Caller]:
    """Who calls, by the hash of each key."""
    try:
        data = yaml.safe_load(path.read_bytes()[:FILE_BYTES_MAX])
    except OSError as error:
        raise ConfigError(
            f"RINGBACK_TENANTS_FILE: {path} can not be read ({error.strerror}); expected a tenants.yaml"
        ) from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: expected YAML") from None
    callers: dict[str, Caller] = {}
    for number, entry in enumerate(_list(data, "tenants", path)):
        caller = _caller(entry, number, path)
        for key_hash in _list(entry, "key_hashes", path):
            callers[str(key_hash)] = caller
    return callers


def _caller(entry: Any, number: int, path: Path) -> Caller:
    where = f"{path}: tenants[{number}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("tenant"), str):
        raise ConfigError(f"{where}.tenant: expected a slug")
    packs = tuple(str(pack) for pack in _list(entry, "packs", path))
    default = str(entry.get("default_pack") or (packs[0] if packs else ""))
    if default not in packs:
        raise ConfigError(f"{where}.default_pack: expected one of its packs")
    quotas = entry.get("quotas") or {}
    if not isinstance(quotas, dict):
        raise ConfigError(f"{where}.quotas: expected a mapping")
    sessions_max = quotas.get("sessions_max", 0)
    if not isinstance(sessions_max, int) or sessions_max < 0:
        raise ConfigError(f"{where}.quotas.sessions_max: expected a number, 0 for no bound")
    return Caller(
        tenant=entry["tenant"],
        packs=packs,
        default_pack=default,
        sessions_max=sessions_max,
        budgets=read_budgets(entry.get("budgets") or {}, f"{where}.budgets"),
    )


def _list(data: Any, key: str, path: Path) -> list[Any]:
    found = data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise ConfigError(f"{path}: {key}: expected a list")
    return found
