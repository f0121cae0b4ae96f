"""Credentials by reference: from a variable, or from a file that is read again when it changes. Never shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from ringback_errors import ConfigError
from ringback_identity import FollowedFile, read_secret, sound_secret

from ringback_session.adapters.upstream_spec import SecretRef

__all__ = ["Secret"]

log: Final = logging.getLogger(__name__)


class Secret:
    """One credential; `value` is as fresh as its file. Raises ConfigError if there is none to begin with."""

    def __init__(self, ref: SecretRef, variable: Callable[[str], str]) -> None:
        self._ref = ref
        self._file: FollowedFile[str] | None = None
        self._set = ""
        if ref.file is not None:
            self._file = FollowedFile(ref.file, partial(read_secret, where=ref.where), on_refused=_kept)
        else:
            holder = f"the variable {ref.variable}"
            self._set = sound_secret(variable(ref.variable), where=ref.where, holder=holder)

    def __repr__(self) -> str:
        return f"Secret({self._ref.where})"

    def value(self) -> str:
        """The credential; while its file cannot be read the one before is kept."""
        return self._file.content if self._file is not None else self._set


def _kept(error: ConfigError) -> None:
    log.error("the credential that there was is kept: %s", error)
