"""Owns the written form of a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ringback_cli.caller.call import CallLine

__all__ = ["transcript_line", "write_transcript"]


def write_transcript(path: Path, lines: Sequence[CallLine]) -> None:
    """Write a transcript in the order of speaking, one line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(lines, key=lambda line: line.at_ms)
    path.write_text("".join(transcript_line(line) + "\n" for line in ordered))


def transcript_line(line: CallLine) -> str:
    """Seconds since the start of the call, who, what; and what was heard of it where that is less."""
    cut = "" if line.heard == line.text else f"  [heard: {line.heard}]"
    return f"{line.at_ms / 1000:8.2f}  {line.speaker:<7} {line.text}{cut}"
