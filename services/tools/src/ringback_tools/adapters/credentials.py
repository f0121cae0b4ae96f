"""Owns the secrets of tools, by reference: one file each in a folder, read again when it changes.

A mounted Kubernetes secret is such a folder. A rotation replaces the file; calls in flight keep what they
were sent with.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from ringback_errors import ConfigError
from ringback_identity import FollowedFile, read_secret

from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.results import ErrorCode, Failed

__all__ = ["Credentials", "sent_in_header"]

_log = logging.getLogger(__name__)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def sent_in_header(spec: ConnectorSpec, secret: str) -> dict[str, str]:
    """The header that a declaration sends its secret in."""
    scheme = spec.options.get("credential_scheme", "Bearer")
    return {spec.options.get("credential_header", "Authorization"): f"{scheme} {secret}".strip()}


class Credentials:
    """The secrets below a folder, and those given from the start for names that have no file there."""

    def __init__(self, folder: Path | None, *, given: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._given = dict(given or {})
        self._files: dict[str, FollowedFile[str]] = {}

    def get(self, name: str) -> str | None:
        """The secret of that name, as its file has it now; None if there is none."""
        if not _NAME.fullmatch(name):
            return None
        if self._folder is not None and (self._folder / name).exists():
            return self._from_file(self._folder / name)
        return self._given.get(name)

    def wanted(self, spec: ConnectorSpec) -> str | Failed:
        """The secret that a declaration names, empty if it names none; what to answer where there is none set."""
        name = str(spec.options.get("credential", ""))
        secret = self.get(name) if name else ""
        if secret is None:
            return Failed(ErrorCode.AUTH, blames=False, detail=f"no secret is set for credential {name}")
        return secret

    def lacking(self, spec: ConnectorSpec) -> str:
        """What is to be set of the secret that a declaration names; empty: nothing."""
        found = self.wanted(spec)
        return found.detail if isinstance(found, Failed) else ""

    def _from_file(self, path: Path) -> str | None:
        followed = self._files.get(path.name)
        if followed is None:
            try:
                read = partial(read_secret, where=f"credential {path.name}", spaces=True)
                followed = self._files[path.name] = FollowedFile(path, read, on_refused=_kept)
            except ConfigError as error:
                _log.error("%s", error)
                return None
        return followed.content

    def __repr__(self) -> str:
        return f"Credentials({len(self._files)} read)"


def _kept(error: ConfigError) -> None:
    # Caught while it is being replaced, perhaps.
    _log.error("the one before is kept: %s", error)
