from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ringback_testkit import NatsServer, ServiceProcess
from ringback_testkit.ports import free_port

pytestmark = pytest.mark.stack

SERVICE = """
import os, signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("hello from the service", os.environ.get("RINGBACK_COLOUR"), os.environ.get("RINGBACK_LEAK"))
if "fail" in sys.argv:
    sys.exit("cannot start: no colour")
draft = os.environ["RINGBACK_READY_FILE"] + ".new"
with open(draft, "w") as file:
    file.write("4711\\n")
os.replace(draft, os.environ["RINGBACK_READY_FILE"])
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
stop.wait()
sys.exit(3)
"""


@pytest.fixture
def module(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "little_service.py").write_text(SERVICE)
    return {"PYTHONPATH": str(tmp_path)}


def test_a_process_is_ready_tells_its_port_and_ends_when_asked(
    module: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGBACK_LEAK", "leaked")
    with ServiceProcess.start(
        "little_service", {**module, "RINGBACK_COLOUR": "red"}, folder=tmp_path / "a"
    ) as process:
        assert process.port == 4711
        assert "hello from the service red None" in process.log
        assert process.terminate() == 3
        assert not process.running


def test_one_that_ends_before_it_is_ready_shows_its_log(module: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"(?s)ended with 1 before.*cannot start: no colour"):
        ServiceProcess.start("little_service", module, arguments=["fail"])


def test_one_that_does_not_end_is_killed_and_told(module: dict[str, str]) -> None:
    process = ServiceProcess.start("little_service", module, arguments=["deaf"])
    pid = process.pid
    with pytest.raises(AssertionError, match="did not end within"):
        process.terminate(timeout_s=0.2)
    assert not _alive(pid)


def test_kill9_and_restart_keep_the_folder(module: dict[str, str], tmp_path: Path) -> None:
    with ServiceProcess.start("little_service", module, folder=tmp_path / "b") as process:
        first = process.pid
        process.kill9()
        assert not _alive(first)
        process.restart()
        assert process.pid != first


def test_no_process_outlives_a_test_run_that_is_killed(module: dict[str, str], tmp_path: Path) -> None:
    run = (
        "import os, signal, sys; from ringback_testkit import ServiceProcess;"
        "p = ServiceProcess.start('little_service', {'PYTHONPATH': sys.argv[1]});"
        "print(p.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, str(tmp_path)], capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    with subprocess.Popen(["tail", f"--pid={pid}", "-f", "/dev/null"]) as waiter:
        try:
            assert waiter.wait(10) == 0
        finally:
            waiter.kill()
    assert not _alive(pid)


def test_nats_keeps_its_port_over_a_restart(tmp_path: Path) -> None:
    with NatsServer.start(tmp_path) as server:
        port = server.port
        server.kill()
        server.restart()
        assert server.port == port
        assert server.url.endswith(str(port))


def test_a_free_port_can_be_bound() -> None:
    assert 1024 <= free_port() <= 65535


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
