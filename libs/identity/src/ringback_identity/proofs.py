"""Owns the proof that a decision allowed an action: an HMAC-SHA-256 whose keys only policy and tools hold.

The key file is JSON with mode 0600: ``{"current": "<key id>", "keys": {"<key id>": "<base64 of at least 32
bytes>"}}``, at most two keys, so that a rotation never refuses a proof that is still on its way. It is read
again when it changes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ringback_errors import ConfigError, Forbidden

from ringback_identity.followed import FollowedFile
from ringback_identity.ids import framed

_LABEL: Final = "ringback-proof-v1"
_KEYS_MAX: Final = 2
_KEY_BYTES_MIN: Final = 32
_FILE_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """What travels from policy over the session to tools; worthless for any other action."""

    key_id: str
    mac: bytes = field(repr=False)
    decision_id: str
    consent_id: str
    expires_at_ms: int


class MacKeys:
    """The keys of a file, followed as the file changes."""

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path, _read)

    @property
    def reload_error(self) -> str | None:
        """Why the last changed file was refused (the keys before it stay in use), or None."""
        return self._file.refusal.message if self._file.refusal else None

    @classmethod
    def load(cls, path: Path | str) -> MacKeys:
        """Read the key file; raises ConfigError saying what is wrong with it."""
        return cls(Path(path))

    @staticmethod
    def generate(path: Path | str) -> None:
        """Write a file with one fresh key, mode 0600; an existing file is left alone (FileExistsError)."""
        key_id = "mac_" + secrets.token_hex(4)
        key = base64.b64encode(secrets.token_bytes(_KEY_BYTES_MIN)).decode()
        _write_private(Path(path), {"current": key_id, "keys": {key_id: key}}, exclusive=True)

    @staticmethod
    def rotate(path: Path | str) -> None:
        """Put a fresh key first and keep the one before it valid; the oldest goes."""
        current, keys = _read(Path(path))
        key_id = "mac_" + secrets.token_hex(4)
        encoded = {
            key_id: base64.b64encode(secrets.token_bytes(_KEY_BYTES_MIN)).decode(),
            current: base64.b64encode(keys[current]).decode(),
        }
        _write_private(Path(path), {"current": key_id, "keys": encoded}, exclusive=False)

    def sign(
        self,
        *,
        tenant: str,
        session_id: str,
        action_id: str,
        tool: str,
        tool_version: str,
        arguments_digest: str,
        decision_id: str,
        consent_id: str,
        expires_at_ms: int,
    ) -> Proof:
        """A proof for exactly this action, under the current key."""
        current, keys = self._file.content
        mac = _mac(
            keys[current],
            current,
            tenant,
            session_id,
            action_id,
            tool,
            tool_version,
            arguments_digest,
            decision_id,
            consent_id,
            expires_at_ms,
        )
        return Proof(
            key_id=current,
            mac=mac,
            decision_id=decision_id,
            consent_id=consent_id,
            expires_at_ms=expires_at_ms,
        )

    def verify(
        self,
        proof: Proof,
        *,
        now_ms: int,
        tenant: str,
        session_id: str,
        action_id: str,
        tool: str,
        tool_version: str,
        arguments_digest: str,
    ) -> None:
        """Raise Forbidden, saying which check failed, unless the proof was signed for exactly this action."""
        _, keys = self._file.content
        key = keys.get(proof.key_id)
        if key is None:
            raise Forbidden("the decision's key is not known here", field="proof.key_id")
        expected = _mac(
            key,
            proof.key_id,
            tenant,
            session_id,
            action_id,
            tool,
            tool_version,
            arguments_digest,
            proof.decision_id,
            proof.consent_id,
            proof.expires_at_ms,
        )
        if not hmac.compare_digest(expected, proof.mac):
            raise Forbidden("the decision's proof does not belong to this action", field="proof.mac")
        if now_ms >= proof.expires_at_ms:
            raise Forbidden("the decision has expired", field="proof.expires_at_ms")


def _mac(key: bytes, *parts: str | int) -> bytes:
    return hmac.digest(key, framed(_LABEL, *parts), hashlib.sha256)


def _read(path: Path) -> tuple[str, dict[str, bytes]]:
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()[: _FILE_BYTES_MAX + 1]
    except OSError as error:
        raise ConfigError(f"MAC key file {path}: expected a readable file ({error.strerror})") from None
    if mode & 0o077:
        raise ConfigError(f"MAC key file {path}: expected mode 0600, found {mode:04o}")
    try:
        content = json.loads(text)
        current = content["current"]
        keys = {str(name): base64.b64decode(value, validate=True) for name, value in content["keys"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        expected = '{"current": key id, "keys": {key id: base64}}'
        raise ConfigError(f"MAC key file {path}: expected {expected}") from None
    if not 1 <= len(keys) <= _KEYS_MAX:
        raise ConfigError(f"MAC key file {path}: expected one or two keys, found {len(keys)}")
    if current not in keys:
        raise ConfigError(f"MAC key file {path}: expected 'current' to name one of the keys")
    if any(len(key) < _KEY_BYTES_MIN for key in keys.values()):
        raise ConfigError(f"MAC key file {path}: expected keys of at least {_KEY_BYTES_MIN} bytes")
    return current, keys


def _write_private(path: Path, content: object, *, exclusive: bool) -> None:
    """Write with mode 0600, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(content, indent=1).encode()
    if exclusive and path.exists():
        raise FileExistsError(f"MAC key file {path} exists already")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(partial, path)  # fails if somebody else was first
        else:
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
