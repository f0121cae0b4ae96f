"""Sets the scenes up: the tap in front of the stack, the caller's lines as files, and the table at the end."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from ringback_cli.caller import CallerVoice
from ringback_testkit.running_stack import RunningStack
from ringback_testkit.wire_tap import Tap

sys.path.insert(0, str(Path(__file__).parent))

from client_scenes import Row

PAUSE_BYTES = 24_000 * 2


ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    return request.config.stash.setdefault(ROWS, [])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tap(running: RunningStack) -> AsyncIterator[Tap]:
    async with Tap(running.stack.addresses.realtime_port) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def speech(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files of lines that the caller's voice says, each with the pause that ends a turn."""
    folder = tmp_path_factory.mktemp("speech")
    voice = await asyncio.to_thread(CallerVoice, seed=3)

    def file(line: str) -> Path:
        path = folder / f"{hashlib.sha256(line.encode()).hexdigest()[:12]}.pcm"
        if not path.exists():
            path.write_bytes(voice.speak(line) + bytes(PAUSE_BYTES))
        return path

    return file


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(ROWS, [])
    if not found:
        return
    terminalreporter.section("clients through Ringback")
    terminalreporter.write_line(
        f"{'client':<16} {'version':<9} {'scene':<12} {'outcome':<8} {'events':>6} {'errors':>6} {'s':>6}"
    )
    for row in found:
        terminalreporter.write_line(
            f"{row.client:<16} {row.version:<9} {row.scene:<12} {row.outcome:<8}"
            f" {row.events:>6} {row.errors:>6} {row.seconds:>6.1f}"
        )
