"""The supervisor with small programs of its own: ready, crashed, restarted, stopped in reverse."""

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest
import yaml
from ringback_cli.settings import load_settings
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.plan import make_plan
from ringback_cli.stack.ports import free_ports, require_free
from ringback_cli.stack.process import ProgramSpec, StartFailed
from ringback_cli.stack.stack import read_reachable
from ringback_cli.stack.supervisor import Backoff, Supervisor
from ringback_cli.stack.tenancy import ensure_local_tenant
from ringback_errors import ConfigError, NotFound
from ringback_identity import key_matches

READY = "import pathlib, signal, sys; pathlib.Path(sys.argv[1]).write_text('1'); signal.pause()"
BROKEN = "import sys; print('the reason why', flush=True); sys.exit(2)"
SILENT = "import signal; signal.pause()"


def spec(folder: Path, name: str, code: str, **options) -> ProgramSpec:
    ready = folder / f"{name}.ready"
    return ProgramSpec(
        name=name,
        argv=(sys.executable, "-c", code, str(ready)),
        log_file=folder / f"{name}.log",
        env=dict(os.environ),
        ready_file=ready,
        **options,
    )


class Notes:
    def __init__(self):
        self.all = []
        self._changed = asyncio.Condition()

    def __call__(self, note):
        self.all.append((note.kind, note.name))
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self):
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, *wanted):
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: wanted in self.all)


@pytest.mark.stack
async def test_programs_stop_in_the_reverse_order_of_starting(tmp_path):
    notes = Notes()
    async with Supervisor(on_note=notes) as supervisor:
        await supervisor.start(spec(tmp_path, "first", READY))
        await supervisor.start(spec(tmp_path, "second", READY))
        programs = supervisor.programs
    assert [name for kind, name in notes.all if kind == "stopped"] == ["second", "first"]
    assert all(program.returncode is not None for program in programs.values())


@pytest.mark.stack
async def test_a_crashed_program_is_named_and_started_again(tmp_path):
    notes = Notes()
    async with Supervisor(on_note=notes) as supervisor:
        await supervisor.start(spec(tmp_path, "fragile", READY))
        first = supervisor.programs["fragile"].pid
        os.kill(first, signal.SIGKILL)
        await notes.wait_for("crashed", "fragile")
        await notes.wait_for("restarted", "fragile")
        assert supervisor.programs["fragile"].pid != first


@pytest.mark.stack
async def test_a_program_that_cannot_start_is_quoted(tmp_path):
    async with Supervisor(on_note=Notes()) as supervisor:
        with pytest.raises(
            StartFailed, match=r"broken ended with exit code 2 while starting:\n  the reason why"
        ):
            await supervisor.start_together([spec(tmp_path, "fine", READY), spec(tmp_path, "broken", BROKEN)])


@pytest.mark.stack
async def test_a_program_that_never_gets_ready_is_given_up(tmp_path):
    async with Supervisor(on_note=Notes()) as supervisor:
        with pytest.raises(StartFailed, match="silent was not ready within"):
            await supervisor.start(spec(tmp_path, "silent", SILENT, ready_timeout_ms=300))


def test_restarts_wait_longer_each_time_until_a_run_was_long_enough():
    backoff = Backoff(first_ms=500, max_ms=3_000, reset_after_ms=60_000)
    assert [backoff.after(100) for _ in range(5)] == [500, 1_000, 2_000, 3_000, 3_000]
    assert backoff.after(60_000) == 500


def test_secrets_are_for_the_owner_alone_and_the_key_stays(tmp_path):
    paths = StackPaths(tmp_path / "var")
    paths.make()
    key = ensure_local_tenant(paths)
    assert ensure_local_tenant(paths) == key
    for file in (paths.mac_keys, paths.api_key, paths.tenants):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tenant,) = yaml.safe_load(paths.tenants.read_text())["tenants"]
    (hashed,) = tenant["key_hashes"]
    assert key_matches(key, hashed)
    assert key not in paths.tenants.read_text()


def test_a_pack_that_was_added_to_the_tenant_is_there_after_the_next_start(tmp_path):
    paths = StackPaths(tmp_path / "var")
    paths.make()
    ensure_local_tenant(paths)
    written = paths.tenants.read_text().replace("- passthrough", "- passthrough\n  - mine")
    paths.tenants.write_text(written)
    ensure_local_tenant(paths)
    assert paths.tenants.read_text() == written
    paths.api_key.unlink()
    key = ensure_local_tenant(paths)
    (tenant,) = yaml.safe_load(paths.tenants.read_text())["tenants"]
    assert key_matches(key, tenant["key_hashes"][0]), "a new key is let in"


def test_a_port_in_use_is_said_with_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"port \d+ on 127.0.0.1 is in use; .* PORT="):
            require_free(taken.getsockname()[1])


def test_chosen_ports_are_different():
    assert len(set(free_ports(20))) == 20


def test_no_running_stack_says_how_to_start_one(tmp_path):
    with pytest.raises(NotFound, match="make up"):
        read_reachable(StackPaths(tmp_path))


def test_every_program_knows_the_address_of_what_it_calls(tmp_path):
    paths = StackPaths(tmp_path)
    paths.make()
    plan = make_plan(
        paths,
        packs=Path("packs"),
        environment={"PATH": "x"},
        overrides={"policy": {"RINGBACK_LOG_LEVEL": "debug"}},
    )
    by_name = {program.name: program for program in plan.programs}
    assert list(by_name) == ["nats", "reservations", "localmodel", "policy", "memory", "tools", "session"]
    assert (
        by_name["session"].env["RINGBACK_POLICY_ADDR"]
        == f"127.0.0.1:{by_name['policy'].env['RINGBACK_PORT']}"
    )
    assert by_name["tools"].env["RINGBACK_MAC_KEYS_FILE"] == by_name["policy"].env["RINGBACK_MAC_KEYS_FILE"]
    assert "RINGBACK_MAC_KEYS_FILE" not in by_name["session"].env
    assert by_name["policy"].env["RINGBACK_LOG_LEVEL"] == "debug"
    assert len({program.address for program in plan.programs}) == len(plan.programs)


def test_workers_share_the_port_and_nothing_else(tmp_path):
    paths = StackPaths(tmp_path)
    paths.make()
    plan = make_plan(paths, packs=Path("packs"), environment={}, workers=3)
    assert [program.name for program in plan.sessions] == ["session-1", "session-2", "session-3"]
    assert {program.env["RINGBACK_SHARED_PORT"] for program in plan.sessions} == {"on"}
    for own in ("RINGBACK_INSTANCE", "RINGBACK_ADMIN_PORT", "RINGBACK_STATE_DIR", "RINGBACK_READY_FILE"):
        assert len({program.env[own] for program in plan.sessions}) == 3, own
    assert len({program.env["RINGBACK_PORT"] for program in plan.sessions}) == 1
    assert len(set(plan.addresses.admins)) == 3


@pytest.mark.parametrize("number", ["0", "many", "65", "-1"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(number):
    with pytest.raises(ConfigError, match="RINGBACK_WORKERS: expected a whole number from 1 to 64"):
        load_settings({"RINGBACK_WORKERS": number})
