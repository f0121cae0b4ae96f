"""How much memory a Python program holds: what its allocators have handed out, not what they keep for later.

What the kernel counts also has what an allocator could not give back, which grows for as long as a program's load
finds new ways to lie in memory; it hides a leak of some bytes a call for hours.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Heaps", "witnessed"]

WITNESS = Path(__file__).with_name("heap_witness.py")
ANSWERS_S = 25.0
POLL_S = 0.02


@dataclass(frozen=True)
class Heaps:
    """Asks programs that were started with `environment`."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """All of Python's own memory comes from malloc too, so that one figure has everything."""
        return {"PYTHONPATH": str(self.folder), "PYTHONMALLOC": "malloc"}

    async def held_kb(self, pids: Iterable[int]) -> dict[int, int]:
        """What each of them holds; those that are no Python programs are left out. Raises TimeoutError."""
        before = {pid: self._said(pid) for pid in pids if self._listens(pid)}
        for pid in before:
            os.kill(pid, signal.SIGUSR2)
        async with asyncio.timeout(ANSWERS_S):
            # A program tells only a file, so there is nothing to wait on but time.
            while any(self._said(pid)[0] == said for pid, (said, _) in before.items()):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        return {pid: self._said(pid)[1] // 1024 for pid in before}

    def _listens(self, pid: int) -> bool:
        """Whether it is still Python: what starts another program in its own place has left its word behind."""
        return self._place(pid).exists() and Path(f"/proc/{pid}/exe").readlink().name.startswith("python")

    def _said(self, pid: int) -> tuple[int, int]:
        asked, held = self._place(pid).read_text("ascii").split()
        return int(asked), int(held)

    def _place(self, pid: int) -> Path:
        return self.folder / str(pid)


def witnessed(folder: Path) -> Heaps:
    """`folder`: for the witness and what it says; nothing else is in it."""
    folder.mkdir(parents=True)
    shutil.copy(WITNESS, folder / "sitecustomize.py")
    return Heaps(folder)
