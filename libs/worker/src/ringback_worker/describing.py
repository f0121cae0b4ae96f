"""Owns the entry of tools.yaml for a function."""

from __future__ import annotations

from typing import Any

import yaml

from ringback_worker.declaring import ToolFunction

__all__ = ["entry_of", "entry_text"]


def entry_of(tool: ToolFunction, *, entry_point: str = "") -> dict[str, Any]:
    """The tool as tools.yaml declares it: reached in the tools service by `entry_point`, else as a worker."""
    connector = (
        {"kind": "function", "entry_point": entry_point}
        if entry_point
        else {"kind": "nats", "subject": tool.subject}
    )
    entry: dict[str, Any] = {
        "name": tool.name,
        "version": tool.version,
        "description": tool.description,
        "side_effect": tool.side_effect,
        "parameters": tool.parameters,
        "connector": connector,
    }
    if tool.result is not None:
        entry["result"] = tool.result
    if tool.side_effect != "read":
        # The worker gets the action's id with every call; say so only if it drops repetitions of one.
        entry["idempotency"] = {"kind": "none"}
    return entry


def entry_text(entry: dict[str, Any]) -> str:
    """The entry as a list item of tools.yaml."""
    return yaml.dump([entry], sort_keys=False, allow_unicode=True, width=110, Dumper=_Plain)


class _Plain(yaml.SafeDumper):
    """Packs know no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
