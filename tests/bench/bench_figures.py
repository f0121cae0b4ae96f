"""Owns what is read from a process, and how figures are summed up, printed and kept."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ROOT", "Table", "cpu_s", "percentile"]

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "var" / "bench"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of all lie; nan of none."""
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) if ordered else float("nan")


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far, by the scheduler's own account (ns, not ticks)."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


class Table:
    """One section: printed with its command when it ends, and kept as JSON under var/bench."""

    def __init__(
        self, name: str, title: str, *, unit: str, columns: Sequence[str], section: str = ""
    ) -> None:
        self.name = name
        self._section = section or name
        self._title = title
        self._unit = unit
        self._columns = list(columns)
        self._rows: list[tuple[str, dict[str, float | str]]] = []
        self._notes: list[str] = []

    def row(self, label: str, figures: Mapping[str, float | str]) -> None:
        self._rows.append((label, dict(figures)))

    def note(self, text: str) -> None:
        self._notes.append(text)

    def show(self) -> None:
        """Print the table and write the file."""
        command = f".venv/bin/python -m pytest tests/bench/test_bench_{self._section}.py -q -s"
        width = max(len(label) for label, _ in self._rows)
        columns = {name: max(9, len(name)) for name in self._columns}
        lines = ["", f"== {self._title} ({self._unit})", f"   {command}"]
        head = "  ".join(f"{name:>{size}}" for name, size in columns.items())
        lines.append(f"   {'':{width}}  {head}")
        for label, figures in self._rows:
            cells = "  ".join(f"{_text(figures.get(name, '')):>{size}}" for name, size in columns.items())
            lines.append(f"   {label:{width}}  {cells}")
        lines += [f"   {note}" for note in self._notes]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        self._keep(command)

    def _keep(self, command: str) -> None:
        KEPT.mkdir(parents=True, exist_ok=True)
        kept = {
            "title": self._title,
            "unit": self._unit,
            "command": command,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": {
                "python": platform.python_version(),
                "cores": len(os.sched_getaffinity(0)),
                "load_1m": round(os.getloadavg()[0], 2),
            },
            "rows": [{"what": label, **figures} for label, figures in self._rows],
            "notes": self._notes,
        }
        (KEPT / f"{self.name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value != value:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
