"""Owns the key of the second opinion: by reference, and read again when its file changes.

A rotation replaces the file; a question that is on its way keeps the key that it was sent with.
"""

import logging
from pathlib import Path

from ringback_errors import ConfigError

__all__ = ["KeyFile"]

KEY_BYTES_MAX = 16 * 1024
_log = logging.getLogger("ringback.policy.opinion")


class KeyFile:
    """The key as its file has it now. Raises ConfigError when there is none at the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._key = _read(path)

    def __call__(self) -> str:
        """The key; the one before while the file is away or holds none."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._key = _read(self._path)
            except ConfigError as error:
                _log.warning("the key of the second opinion stays the one before: %s", error)
        return self._key


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            key = opened.read(KEY_BYTES_MAX + 1).decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"RINGBACK_OPINION_KEY_FILE: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        key = ""
    # It becomes part of an HTTP header.
    if not key.isprintable() or not 0 < len(key) <= KEY_BYTES_MAX or " " in key:
        raise ConfigError("RINGBACK_OPINION_KEY_FILE: expected one line of printable characters")
    return key
