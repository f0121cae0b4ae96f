"""What a process holds: memory, open files, threads. Read from Linux's /proc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Footprint", "footprint"]


@dataclass(frozen=True)
class Footprint:
    """`private_kb`: memory that is this process's alone; shared libraries do not count."""

    private_kb: int
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Raises OSError for a process that is gone."""
    place = Path(f"/proc/{pid}")
    rollup = (place / "smaps_rollup").read_text()
    private_kb = sum(int(found) for found in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))
    return Footprint(
        private_kb, sum(1 for _ in (place / "fd").iterdir()), sum(1 for _ in (place / "task").iterdir())
    )
