"""Owns the secrets of a stack on one machine: the tenant `local` with its key, and the keys of decision proofs."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from ringback_identity import MacKeys, hash_key, new_api_key

from ringback_cli.stack.paths import StackPaths

__all__ = ["LOCAL_TENANT", "PACKS", "ensure_local_tenant", "ensure_proof_keys", "ensure_tenant"]

LOCAL_TENANT = "local"
PACKS = ("airline", "passthrough")
SESSIONS_MAX = 64


def ensure_local_tenant(paths: StackPaths) -> str:
    """Make what is missing of the tenant's key, its tenants.yaml and the proof keys; return the API key."""
    ensure_proof_keys(paths.mac_keys)
    return ensure_tenant(api_key=paths.api_key, tenants=paths.tenants)


def ensure_proof_keys(path: Path) -> None:
    """Make the keys that policy signs with and tools check, unless they are there."""
    if not path.exists():
        MacKeys.generate(path)


def ensure_tenant(*, api_key: Path, tenants: Path) -> str:
    """Make the key unless it is there, and a tenants file that knows its hash alone; return the key.

    A tenants file that knows the key is left as it is: what was added to it stays.
    """
    if not api_key.exists():
        _write_private(api_key, new_api_key() + "\n")
    key = api_key.read_text().strip()
    if tenants.exists() and hash_key(key) in tenants.read_text():
        return key
    tenant = {
        "tenant": LOCAL_TENANT,
        "key_hashes": [hash_key(key)],
        "packs": list(PACKS),
        "default_pack": PACKS[0],
        "quotas": {"sessions_max": SESSIONS_MAX},
    }
    _write_private(tenants, yaml.safe_dump({"tenants": [tenant]}, sort_keys=False))
    return key


def _write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner alone."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    partial.replace(path)
