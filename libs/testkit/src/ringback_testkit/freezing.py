"""Freezes and thaws a process that a test started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

__all__ = ["freeze", "thaw"]

FREEZE_S = 5.0


def freeze(pid: int) -> None:
    """Stop a process, and return when each of its threads has stopped: the signal alone takes effect a little later."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + FREEZE_S
    while not all(_state(task) in "TtZX" for task in Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} did not stop within {FREEZE_S} s")
        time.sleep(0.001)


def thaw(pid: int) -> None:
    """Let a stopped process go on."""
    os.kill(pid, signal.SIGCONT)


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"
