"""Owns the secrets of tools, by reference: one file each in a folder, read again when it changes.

A mounted Kubernetes secret is such a folder. A rotation replaces the file; calls in flight keep what they
were sent with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.results import ErrorCode, Failed

__all__ = ["Credentials", "sent_in_header"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BYTES_MAX: Final = 8_192


def sent_in_header(spec: ConnectorSpec, secret: str) -> dict[str, str]:
    """The header that a declaration sends its secret in."""
    scheme = spec.options.get("credential_scheme", "Bearer")
    return {spec.options.get("credential_header", "Authorization"): f"{scheme} {secret}".strip()}


class Credentials:
    """The secrets below a folder, and those given from the start for names that have no file there."""

    def __init__(self, folder: Path | None, *, given: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._given = dict(given or {})
        self._read: dict[str, tuple[tuple[int, int], str]] = {}

    def get(self, name: str) -> str | None:
        """The secret of that name, as its file has it now; None if there is none."""
        if not _NAME.fullmatch(name):
            return None
        if self._folder is not None and (self._folder / name).exists():
            return self._from_file(self._folder / name, name)
        return self._given.get(name)

    def wanted(self, spec: ConnectorSpec) -> str | Failed:
        """The secret that a declaration names, empty if it names none; what to answer where there is none set."""
        name = str(spec.options.get("credential", ""))
        secret = self.get(name) if name else ""
        if secret is None:
            return Failed(ErrorCode.AUTH, blames=False, detail=f"no secret is set for credential {name}")
        return secret

    def _from_file(self, path: Path, name: str) -> str | None:
        known = self._read.get(name)
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if known is not None and known[0] == stamp:
                return known[1]
            secret = path.read_bytes()[:_BYTES_MAX].decode().strip()
        except (OSError, UnicodeDecodeError):
            return None
        if not secret or not secret.isprintable():
            # Caught while it is being replaced: the one before is still the best there is.
            return known[1] if known else None
        self._read[name] = (stamp, secret)
        return secret

    def __repr__(self) -> str:
        return f"Credentials({len(self._read)} read)"
