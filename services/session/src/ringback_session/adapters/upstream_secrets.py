"""Credentials by reference: from a variable, or from a file that is read again when it changes. Never shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ringback_errors import ConfigError
from ringback_identity import FollowedFile

from ringback_session.adapters.upstream_spec import SecretRef

__all__ = ["Secret"]

log: Final = logging.getLogger(__name__)
SECRET_BYTES_MAX: Final = 16 * 1024
# It becomes part of an HTTP header.
_SOUND: Final = re.compile(r"[\x21-\x7e]+\Z")


class Secret:
    """One credential; `value` is as fresh as its file. Raises ConfigError if there is none to begin with."""

    def __init__(self, ref: SecretRef, variable: Callable[[str], str]) -> None:
        self._ref = ref
        self._file = FollowedFile(ref.file, self._read, on_refused=_kept) if ref.file is not None else None
        self._set = "" if ref.file is not None else self._variable(variable)

    def __repr__(self) -> str:
        return f"Secret({self._ref.where})"

    def value(self) -> str:
        """The credential; while its file cannot be read the one before is kept."""
        return self._file.content if self._file is not None else self._set

    def _variable(self, variable: Callable[[str], str]) -> str:
        name = self._ref.variable
        return self._sound(variable(name), f"the variable {name} to be set")

    def _read(self, path: Path) -> str:
        try:
            with path.open("rb") as opened:
                text = opened.read(SECRET_BYTES_MAX + 1).decode("ascii")
        except OSError as error:
            raise ConfigError(f"{self._ref.where}: {path} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            text = ""
        return self._sound(text, f"{path} to hold a credential")

    def _sound(self, text: str, expected: str) -> str:
        value = text.strip()
        if len(value) > SECRET_BYTES_MAX or not _SOUND.match(value):
            raise ConfigError(f"{self._ref.where}: expected {expected}: one line of printable characters")
        return value


def _kept(error: ConfigError) -> None:
    log.error("the credential that there was is kept: %s", error)
