"""Owns who a command acts for, as the audit names them."""

from __future__ import annotations

import getpass

__all__ = ["operator"]


def operator() -> str:
    """The account that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
