"""Credentials by reference: from a variable, or from a file that is read again when it changes. Never shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

from ringback_errors import ConfigError

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
        self._variable = variable
        self._stamp: tuple[int, int] | None = None
        self._value = self._read()

    def __repr__(self) -> str:
        return f"Secret({self._ref.where})"

    def value(self) -> str:
        """The credential; while its file cannot be read the one before is kept."""
        if self._ref.file is not None and self._changed():
            try:
                self._value = self._read()
            except ConfigError as error:
                log.error("the credential that there was is kept: %s", error)
        return self._value

    def _changed(self) -> bool:
        return self._now() not in (None, self._stamp)

    def _now(self) -> tuple[int, int] | None:
        """What tells one version of the file from the next: mounted secrets are replaced, not written to."""
        assert self._ref.file is not None
        try:
            found = self._ref.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _read(self) -> str:
        ref = self._ref
        if ref.file is None:
            return self._sound(self._variable(ref.variable), f"the variable {ref.variable} to be set")
        self._stamp = self._now()
        try:
            with ref.file.open("rb") as opened:
                text = opened.read(SECRET_BYTES_MAX + 1).decode("ascii")
        except OSError as error:
            raise ConfigError(f"{ref.where}: {ref.file} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            text = ""
        return self._sound(text, f"{ref.file} to hold a credential")

    def _sound(self, text: str, expected: str) -> str:
        value = text.strip()
        if len(value) > SECRET_BYTES_MAX or not _SOUND.match(value):
            raise ConfigError(f"{self._ref.where}: expected {expected}: one line of printable characters")
        return value
