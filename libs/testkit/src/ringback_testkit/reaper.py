"""Ends the processes that a test run started when the run itself is gone, however it went.

A small child process holds a pipe from the test run. Each started process is told to it by its process
group and start time; when the pipe closes (normal end, crash or kill -9 alike), it kills what is still
there and still the same.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

__all__ = ["end_group", "forget", "watch"]


class _Watcher:
    """The child, started on first use; one per test process."""

    child: subprocess.Popen[str] | None = None
    pipe: IO[str] | None = None
    owner: int = 0
    groups: set[int] = set()  # noqa: RUF012 - one registry per process is the point


def watch(pid: int) -> None:
    """Promise that the process group led by `pid` does not outlive this process."""
    if _Watcher.pipe is None or _Watcher.owner != os.getpid():
        child = subprocess.Popen(
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        _Watcher.child, _Watcher.pipe = child, child.stdin
        _Watcher.owner, _Watcher.groups = os.getpid(), set()
        atexit.register(_end_all)
    _Watcher.groups.add(pid)
    _tell(f"+ {pid} {_started(pid)}")


def forget(pid: int) -> None:
    """The process group led by `pid` has ended."""
    _Watcher.groups.discard(pid)
    _tell(f"- {pid} 0")


def end_group(pid: int) -> None:
    """Kill the process group led by `pid`, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _tell(line: str) -> None:
    if _Watcher.pipe is not None and _Watcher.owner == os.getpid():
        with contextlib.suppress(OSError, ValueError):
            _Watcher.pipe.write(line + "\n")
            _Watcher.pipe.flush()


def _end_all() -> None:
    if _Watcher.owner != os.getpid():
        return
    for pid in tuple(_Watcher.groups):
        end_group(pid)
    if _Watcher.pipe is not None and _Watcher.child is not None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            _Watcher.pipe.close()
            _Watcher.child.wait(5)


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot: tells a process from a later one with its number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return "0"
    return text.rpartition(")")[2].split()[19]


def _main() -> None:
    known: dict[int, str] = {}
    for line in sys.stdin:
        sign, pid, started = line.split()
        if sign == "+":
            known[int(pid)] = started
        else:
            known.pop(int(pid), None)
    for pid, started in known.items():
        if started in ("0", _started(pid)):
            end_group(pid)


if __name__ == "__main__":
    _main()
