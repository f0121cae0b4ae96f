"""Runs the load generator as a process of its own, and looks at the relay's processor time meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_figures import cpu_s
from ringback_sockets import RealtimeLink

__all__ = ["Load", "close_all", "load"]

LOAD = Path(__file__).with_name("bench_load.py")


@dataclass(frozen=True)
class Load:
    """What the callers saw.

    `cpu_us`: the relay's processor time per message that it passed on. `refused`: how often it was called in vain.
    """

    answered: int
    up_us: list[int]
    down_us: list[int]
    cpu_us: float
    refused: int = 0


async def load(
    url: str,
    *,
    sessions: int,
    seconds: float,
    window: int = 0,
    warm_s: float = 0.5,
    key: str = "",
    pid: int = 0,
    on_measuring: Callable[[], None] = lambda: None,
) -> Load:
    """Run callers against `url`; with `pid`, account that process while they are measured.

    `warm_s`: how long they speak, paced, before they are timed. `on_measuring`: called once, when they are.
    """
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "load.json"
        command = [sys.executable, str(LOAD), url, "--sessions", str(sessions), "--seconds", str(seconds)]
        command += ["--window", str(window), "--warm", str(warm_s), "--key", key, "--to", str(to)]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        said, used_s = b"", 0.0
        async for line in process.stderr:
            said += line
            if line == b"measuring\n":
                used_s = -cpu_s(pid) if pid else 0.0
                on_measuring()
            elif line == b"measured\n":
                used_s += cpu_s(pid) if pid else 0.0
        assert await process.wait() == 0, said.decode()
        found: dict[str, Any] = json.loads(to.read_text())
    assert not found["strange"], found["strange"]
    messages = 2 * found["answered"]
    return Load(
        found["answered"], found["up_us"], found["down_us"], used_s * 1e6 / max(1, messages), found["refused"]
    )


async def close_all(links: Sequence[RealtimeLink]) -> None:
    """Hang up, and wait until every connection is gone."""
    for link in links:
        link.close()
    await asyncio.wait_for(asyncio.gather(*(link.wait_closed() for link in links)), 15)
