"""Owns which tools an operator has switched off, as this replica knows it."""

from __future__ import annotations

from typing import Final

from ringback_tools.domain.catalogue import Tool

__all__ = ["Switches"]

SWITCHES_MAX: Final = 4_096


class Switches:
    """Names (`tool`, or `tool@MAJOR.MINOR` for one version) that are off, and why."""

    def __init__(self) -> None:
        self._off: dict[str, str] = {}

    def turn(self, name: str, *, off: bool, reason: str) -> None:
        """Take note of what an operator did; the last word counts."""
        if not off:
            self._off.pop(name, None)
        elif name in self._off or len(self._off) < SWITCHES_MAX:
            self._off[name] = reason

    def why_off(self, tool: Tool) -> str | None:
        """Why the tool is switched off; None: it is not."""
        return self._off.get(tool.name, self._off.get(f"{tool.name}@{tool.version}"))
