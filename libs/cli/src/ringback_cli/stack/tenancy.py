"""Owns the secrets of a stack on one machine: the tenant `local` with its key, and the keys of decision proofs."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from ringback_identity import MacKeys, hash_key, new_api_key

from ringback_cli.stack.paths import StackPaths

__all__ = ["LOCAL_TENANT", "ensure_local_tenant"]

LOCAL_TENANT = "local"
PACKS = ("airline", "passthrough")
SESSIONS_MAX = 64


def ensure_local_tenant(paths: StackPaths) -> str:
    """Make what is missing of the tenant's key, its tenants.yaml and the proof keys; return the API key."""
    if not paths.mac_keys.exists():
        MacKeys.generate(paths.mac_keys)
    if not paths.api_key.exists():
        _write_private(paths.api_key, new_api_key() + "\n")
    api_key = paths.api_key.read_text().strip()
    tenant = {
        "tenant": LOCAL_TENANT,
        "key_hashes": [hash_key(api_key)],
        "packs": list(PACKS),
        "default_pack": PACKS[0],
        "quotas": {"sessions_max": SESSIONS_MAX},
    }
    _write_private(paths.tenants, yaml.safe_dump({"tenants": [tenant]}, sort_keys=False))
    return api_key


def _write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner alone."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    partial.replace(path)
