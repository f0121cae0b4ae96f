"""Owns the key of the second opinion: by reference, and read again when its file changes.

A rotation replaces the file; a question that is on its way keeps the key that it was sent with.
"""

import logging
from functools import partial
from pathlib import Path

from ringback_errors import ConfigError
from ringback_identity import FollowedFile, read_secret

__all__ = ["KeyFile"]

_log = logging.getLogger("ringback.policy.opinion")


class KeyFile:
    """The key as its file has it now. Raises ConfigError when there is none at the start."""

    def __init__(self, path: Path) -> None:
        read = partial(read_secret, where="RINGBACK_OPINION_KEY_FILE")
        self._file = FollowedFile(path, read, on_refused=_kept)

    def __call__(self) -> str:
        """The key; the one before while the file is away or holds none."""
        return self._file.content


def _kept(error: ConfigError) -> None:
    _log.warning("the key of the second opinion stays the one before: %s", error)
