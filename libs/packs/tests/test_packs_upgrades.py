"""Upgrades and background mode in tools.yaml: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from ringback_packs import PackError, load_files, load_pack

FILES = dict(load_pack(Path(__file__).parent / "sample").files)
WRITE = "    idempotency: {kind: key, header: Idempotency-Key}\n"


def with_lines(*lines: str) -> dict[str, bytes]:
    text = FILES["tools.yaml"].decode()
    assert WRITE in text
    return {
        **FILES,
        "tools.yaml": text.replace(WRITE, WRITE + "".join(f"    {line}\n" for line in lines)).encode(),
    }


def errors(*lines: str) -> list[str]:
    with pytest.raises(PackError) as caught:
        load_files(with_lines(*lines))
    return [found.message for found in caught.value.findings if found.severity == "error"]


def test_upgrades_and_mode_are_read() -> None:
    pack = load_files(
        with_lines(
            "mode: background",
            "backlog_window_ms: 5000",
            "upgrades: [{from: 1.3, rename: {body: text}, drop: [colour], set: {text: none}}]",
        )
    )
    tool = pack.tool("write_note")
    assert tool is not None
    assert (tool.mode, tool.backlog_window_ms) == ("background", 5_000)
    upgrade = tool.upgrades[0]
    assert (upgrade.from_version, upgrade.rename, upgrade.drop, upgrade.set) == (
        "1.3",
        {"body": "text"},
        ("colour",),
        {"text": "none"},
    )


def test_an_upgrade_from_a_newer_version_or_to_an_unknown_argument_is_refused() -> None:
    assert "older than 2.0" in errors("upgrades: [{from: 2.0}]")[0]
    assert (
        "an argument of this version (text) expected"
        in errors("upgrades: [{from: 1.0, rename: {a: txt}}]")[0]
    )
    assert "new name" in errors("upgrades: [{from: 1.0, rename: {a: 3}}]")[0]


def test_an_unknown_mode_is_refused_and_a_live_tool_with_a_backlog_warns() -> None:
    assert "live, background" in errors("mode: later")[0]
    warned = load_files(with_lines("backlog_window_ms: 5000")).warnings
    assert any("backlog" in found.message for found in warned)
