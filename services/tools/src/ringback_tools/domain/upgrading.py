"""Owns how arguments of an older version of a tool become arguments of the one that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback_tools.domain.catalogue import Tool

__all__ = ["upgraded"]


def upgraded(tool: Tool, arguments: Mapping[str, Any], *, version: str) -> dict[str, Any]:
    """The arguments for `tool`, made for `version` of it; without a declared upgrade they are kept as they are."""
    rule = next((each for each in tool.upgrades if each.from_version == version), None)
    if rule is None:
        return dict(arguments)
    kept = {rule.rename.get(name, name): value for name, value in arguments.items() if name not in rule.drop}
    return {**rule.given, **kept}
