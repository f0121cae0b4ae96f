"""Reads the `upgrades` of a tool: how arguments made for an older version become arguments of this one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ringback_packs import forms
from ringback_packs.fields import Fields, Place
from ringback_packs.findings import near
from ringback_packs.model import ToolSpec, Upgrade
from ringback_packs.yaml_tree import Scalar

__all__ = ["check_upgrades", "read_upgrades"]

UPGRADES_MAX = 16
_NAME_CHARS_MAX = 128


def read_upgrades(fields: Fields) -> tuple[Upgrade, ...]:
    """Return the upgrades that the tool declares."""
    place = fields.get("upgrades")
    found = []
    for item in place.items(count_max=UPGRADES_MAX) if place else ():
        inner = item.fields()
        if inner is not None:
            found.append(_upgrade(inner))
    return tuple(found)


def check_upgrades(fields: Fields, tool: ToolSpec, others: Iterable[ToolSpec]) -> None:
    """Note upgrades that can never be taken, or that make arguments which this version does not know."""
    beside = {other.version for other in others if other.name == tool.name}
    known = tool.parameters.get("properties")
    for upgrade in tool.upgrades:
        at = fields.at("upgrades")
        if upgrade.from_version and _key(upgrade.from_version) >= tool.version_key:
            at.error(f"from: a version older than {tool.version} expected, got {upgrade.from_version}")
        if upgrade.from_version in beside:
            at.error(f"from: {upgrade.from_version} stands beside this version and is called itself")
        if isinstance(known, dict):
            _check_names(at, [*upgrade.rename.values(), *upgrade.set], list(known))


def _upgrade(fields: Fields) -> Upgrade:
    rename = fields.below("rename")
    given = fields.below("set")
    upgrade = Upgrade(
        from_version=fields.as_written("from", pattern=forms.TOOL_VERSION, form=forms.TOOL_VERSION_FORM),
        rename=_renamed(rename) if rename else {},
        drop=fields.texts("drop", form="an argument's name"),
        set=_given(fields) if given else {},
    )
    fields.done()
    return upgrade


def _renamed(fields: Fields) -> dict[str, str]:
    found = {}
    for name, place in fields.entries():
        value = place.node.value if isinstance(place.node, Scalar) else None
        if not isinstance(value, str) or not 0 < len(value) <= _NAME_CHARS_MAX:
            place.error("the argument's new name expected")
        else:
            found[name] = value
    return found


def _given(fields: Fields) -> dict[str, Any]:
    values: dict[str, Any] = fields.data("set")
    return values


def _check_names(at: Place, names: list[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            at.error(
                f"an argument of this version ({', '.join(known)}) expected{near(name, known)}, got {name[:60]!r}"
            )


def _key(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)
