"""Owns the secrets of tools, by reference: one file each in a folder, read again when it changes.

A mounted Kubernetes secret is such a folder. A rotation replaces the file; calls in flight keep what they
were sent with.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["Credentials"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BYTES_MAX: Final = 8_192


class Credentials:
    """The secrets below a folder; without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int], str]] = {}

    def get(self, name: str) -> str | None:
        """The secret of that name, as its file has it now; None if there is none."""
        if self._folder is None or not _NAME.fullmatch(name):
            return None
        path = self._folder / name
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            known = self._read.get(name)
            if known is None or known[0] != stamp:
                secret = path.read_bytes()[:_BYTES_MAX].decode().strip()
                if not secret or not secret.isprintable():
                    return None
                known = self._read[name] = (stamp, secret)
        except (OSError, UnicodeDecodeError):
            return None
        return known[1]

    def __repr__(self) -> str:
        return f"Credentials({len(self._read)} read)"
