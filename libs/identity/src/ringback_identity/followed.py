"""Owns how a file of keys or settings is followed: read again when it changes, the last good content kept meanwhile.

Mounted secrets are replaced, others are written to; a file that is half-written or away must not stop what runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ringback_errors import ConfigError

__all__ = ["FollowedFile"]

_T = TypeVar("_T")


class FollowedFile(Generic[_T]):
    """What `read` makes of a file, as fresh as the file. `read` raises ConfigError, and to begin with so does this.

    Later such an error goes to `on_refused`, once for each change of the file, and what was read before stays.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], _T],
        *,
        on_refused: Callable[[ConfigError], object] = lambda error: None,
    ) -> None:
        self._path = path
        self._read = read
        self._on_refused = on_refused
        # Looked at before it is read: what changes in between is read at the next look.
        self._stamp = _stamp(path)
        self._content = read(path)
        self.refusal: ConfigError | None = None
        """Why the file as it is now is not used; None if it is."""

    def __repr__(self) -> str:
        return f"FollowedFile({self._path})"

    @property
    def content(self) -> _T:
        """The content as of now."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._content = self._read(self._path)
                self.refusal = None
            except ConfigError as error:
                self.refusal = error
                self._on_refused(error)
        return self._content


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from the next; None while it is away."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
