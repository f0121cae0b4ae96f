"""Owns the key of the second opinion: by reference, and read again when its file changes.

A rotation replaces the file; a question that is on its way keeps the key that it was sent with.
"""

import logging
from pathlib import Path

from ringback_errors import ConfigError
from ringback_identity import FollowedFile

__all__ = ["KeyFile"]

KEY_BYTES_MAX = 16 * 1024
_log = logging.getLogger("ringback.policy.opinion")


class KeyFile:
    """The key as its file has it now. Raises ConfigError when there is none at the start."""

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path, _read, on_refused=_kept)

    def __call__(self) -> str:
        """The key; the one before while the file is away or holds none."""
        return self._file.content


def _kept(error: ConfigError) -> None:
    _log.warning("the key of the second opinion stays the one before: %s", error)


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
