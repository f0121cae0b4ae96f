"""What a process holds: memory, open files, threads. Read from Linux's /proc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Footprint", "footprint", "private_kb"]


@dataclass(frozen=True)
class Footprint:
    """`private_kb` as the function of that name has it."""

    private_kb: int
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Raises OSError for a process that is gone."""
    place = Path(f"/proc/{pid}")
    files, threads = (sum(1 for _ in (place / name).iterdir()) for name in ("fd", "task"))
    return Footprint(private_kb(pid), files, threads)


def private_kb(pid: int) -> int:
    """Memory that is this process's alone, kB; shared libraries do not count."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))
