"""A service as a process of its own: started, waited for, killed or ended, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ringback_testkit import reaper
from ringback_testkit.freezing import freeze, thaw

__all__ = ["ServiceProcess"]

READY_S = 30.0
END_S = 15.0
TAIL_LINES = 60


class ServiceProcess:
    """`python -m <module>` with settings in its environment.

    RINGBACK_PORT is 0 and RINGBACK_READY_FILE a fresh file unless `env` says otherwise. Only PATH, HOME, LANG and
    TMPDIR come from the test's own environment, so a developer's RINGBACK_ variables cannot leak in.
    """

    def __init__(
        self,
        module: str,
        env: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
        name: str = "",
    ) -> None:
        self.module = module
        self.name = name or module
        self._folder = folder or Path(tempfile.mkdtemp(prefix="ringback-test-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._given = dict(env or {})
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = 0
        self.port = 0

    @classmethod
    def start(
        cls,
        module: str,
        env: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
        name: str = "",
        timeout_s: float = READY_S,
    ) -> ServiceProcess:
        """Launch the module and wait until it is ready; AssertionError with its log if it does not get there."""
        process = cls(module, env, folder=folder, arguments=arguments, name=name)
        process.launch()
        process.wait_ready(timeout_s=timeout_s)
        return process

    @property
    def pid(self) -> int:
        """The running process."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process was launched and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def address(self) -> str:
        """host:port, known once it is ready."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything that the current run has written."""
        path = self._folder / f"run-{self._runs}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def launch(self) -> None:
        """Start the process without waiting; a second launch is a new run in the same folder."""
        if self.running:
            raise AssertionError(f"{self.name} runs already")
        self._runs += 1
        ready = Path(self._environment()["RINGBACK_READY_FILE"])
        ready.unlink(missing_ok=True)
        with (self._folder / f"run-{self._runs}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self._arguments],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        reaper.watch(self._process.pid)

    def wait_ready(self, *, timeout_s: float = READY_S) -> int:
        """Wait for the ready file and return the port that it names."""
        process = self._running()
        ready = Path(self._environment()["RINGBACK_READY_FILE"])
        deadline = time.monotonic() + timeout_s
        while not (text := _read(ready)).endswith("\n"):
            if process.poll() is not None:
                self._let_go()
                raise AssertionError(
                    f"{self.name} ended with {process.returncode} before it was ready:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                self.kill9()
                raise AssertionError(f"{self.name} was not ready within {timeout_s} s:\n{self.tail()}")
            _nap()
        self.port = int(text)
        return self.port

    def restart(self, *, timeout_s: float = READY_S) -> None:
        """Launch again after an end or a kill, with the same settings; the port may be another one."""
        self.launch()
        self.wait_ready(timeout_s=timeout_s)

    def kill9(self) -> None:
        """kill -9 the process and what it started; does nothing if it has ended."""
        process = self._process
        if process is None:
            return
        reaper.end_group(process.pid)
        process.wait(END_S)
        self._let_go()

    def pause(self) -> None:
        """Freeze it: its connections stay, it answers nothing."""
        freeze(self._running().pid)

    def resume(self) -> None:
        """Thaw it."""
        thaw(self._running().pid)

    def terminate(self, *, timeout_s: float = END_S) -> int:
        """Ask it to end and return its exit code; AssertionError with its log if it does not in time."""
        process = self._process
        if process is None:
            return 0
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"{self.name} did not end within {timeout_s} s:\n{self.tail()}") from None
        reaper.end_group(process.pid)
        self._let_go()
        return code

    def wait(self, *, timeout_s: float = END_S) -> int:
        """Wait until it ends by itself and return its exit code."""
        process = self._running()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"{self.name} still ran after {timeout_s} s:\n{self.tail()}") from None
        self._let_go()
        return code

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log, for a failure's message."""
        return "\n".join(self.log.splitlines()[-lines:]) or "(it wrote nothing)"

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None and self._process is not None:
            sys.stderr.write(f"--- {self.name} (run {self._runs}) ---\n{self.tail()}\n")
        self.kill9()

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {
            "PYTHONUNBUFFERED": "1",
            "RINGBACK_PORT": "0",
            "RINGBACK_READY_FILE": str(self._folder / "ready"),
            "RINGBACK_STATE_DIR": str(self._folder / "state"),
        }
        return kept | own | self._given

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError(f"{self.name} does not run")
        return self._process

    def _let_go(self) -> None:
        if self._process is not None:
            reaper.forget(self._process.pid)
            self._process = None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""


def _nap() -> None:
    """A process that starts tells only a file when it is ready, so there is nothing to wait on but time."""
    time.sleep(0.01)
