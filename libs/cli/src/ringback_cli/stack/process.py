"""Owns one program: starting it, knowing when it is ready, stopping it, reading why it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ringback_errors import RingbackError, Unavailable

__all__ = ["Probe", "Program", "ProgramSpec", "StartFailed"]

Probe = Callable[[], Awaitable[None]]

_CHILD = Path(__file__).with_name("child.py")
_LOG_BYTES_MAX = 16 * 1024 * 1024
_TAIL_LINES = 12
_POLL_S = 0.03


class StartFailed(Unavailable):
    """A program ended, or did not get ready in time; the message holds its own last words."""


@dataclass(frozen=True)
class ProgramSpec:
    """How to start one program. `ready_file` is written by the program; `probe` raises until it can be used."""

    name: str
    argv: tuple[str, ...]
    log_file: Path
    env: Mapping[str, str]
    address: str = ""
    ready_file: Path | None = None
    probe: Probe | None = None
    ready_timeout_ms: int = 30_000
    stop_grace_ms: int = 15_000


class Program:
    """One run of a program. A second run is a second object."""

    def __init__(self, spec: ProgramSpec, process: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self._process = process

    @classmethod
    async def start(cls, spec: ProgramSpec) -> Program:
        """Spawn the program with its output going to its log file."""
        if spec.ready_file is not None:
            spec.ready_file.unlink(missing_ok=True)
        _keep_log_bounded(spec.log_file)
        with spec.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(_CHILD),
                str(os.getpid()),
                *spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(spec.env),
                # A terminal's Ctrl-C must reach the supervisor alone, which then stops programs in order.
                start_new_session=True,
            )
        return cls(spec, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait_ready(self) -> None:
        """Return once the program can be used; StartFailed when it ended or the time is up."""
        name = self.spec.name
        try:
            async with asyncio.timeout(self.spec.ready_timeout_ms / 1000):
                await self._wait_for_file()
                await self._wait_for_probe()
        except TimeoutError:
            raise StartFailed(
                f"{name} was not ready within {self.spec.ready_timeout_ms / 1000:.0f} s; "
                f"its last words ({self.spec.log_file}):\n{self.last_words()}"
            ) from None

    async def wait(self) -> int:
        """Wait for the end and return the exit code (negative: the signal)."""
        return await self._process.wait()

    async def stop(self) -> bool:
        """Ask it to stop, wait for its grace time, then end it. Returns whether it went by itself."""
        if self._process.returncode is not None:
            return True
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.spec.stop_grace_ms / 1000):
                await self._process.wait()
                return True
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()
            return False

    def last_words(self) -> str:
        """The end of the program's log."""
        try:
            with self.spec.log_file.open("rb") as log:
                log.seek(max(0, self.spec.log_file.stat().st_size - 8_192))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "  (no log)"
        return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:]) or "  (nothing)"

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _raise_if_ended(self) -> None:
        code = self._process.returncode
        if code is not None:
            raise StartFailed(
                f"{self.spec.name} ended {describe_exit(code)} while starting:\n{self.last_words()}"
            )

    async def _wait_for_file(self) -> None:
        ready = self.spec.ready_file
        while ready is not None and not ready.exists():
            self._raise_if_ended()
            await asyncio.sleep(_POLL_S)

    async def _wait_for_probe(self) -> None:
        while self.spec.probe is not None:
            self._raise_if_ended()
            try:
                await self.spec.probe()
                return
            except (RingbackError, OSError):
                await asyncio.sleep(_POLL_S)


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"


def _keep_log_bounded(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
