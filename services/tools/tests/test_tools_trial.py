"""Trying a tool: the whole pipeline in a process of its own, against a real system, each step a line."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack
AIRLINE = Path(__file__).parents[3] / "packs" / "airline"


@pytest.fixture
def backend(tmp_path):
    ready = tmp_path / "ready"
    command = [sys.executable, str(AIRLINE / "backend" / "reservations.py")]
    process = subprocess.Popen([*command, "--ledger", str(tmp_path / "l.db"), "--ready-file", str(ready)])
    while not ready.exists():
        assert process.poll() is None
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    yield f"http://127.0.0.1:{ready.read_text().strip()}"
    process.terminate()
    process.wait(10)


async def trial(backend, *arguments, pack=AIRLINE):
    command = [sys.executable, "-m", "ringback_tools.trial", *arguments, "--pack", str(pack)]
    env = {"PATH": "/usr/bin:/bin", "RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS": backend}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode()


async def test_each_step_of_a_read_and_a_write_is_a_line(backend):
    code, out = await trial(backend, "get_reservation", "--args", '{"reservation_id": "482915"}')
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "tool",
        "arguments",
        "scopes",
        "proof",
        "started",
        "attempt",
        "connector",
        "answer",
        "result",
        "data",
        "spoken",
    ]
    assert f"http GET {backend}/reservations/482915  " in out
    with_password = backend.replace("http://", "http://desk:hush@")
    code, out = await trial(
        with_password, "cancel_reservation", "--args", '{"reservation_id": "482915"}', "--yes"
    )
    assert code == 0
    assert f"http POST {backend}/reservations/482915/cancel  " in out
    assert "hush" not in out
    assert "journal      attempting(1)" in out
    assert "journal      finished(1): ok" in out


async def test_a_wrong_call_says_what_was_expected_and_a_write_asks_first(backend):
    code, out = await trial(backend, "cancel_reservation", "--args", '{"reservation_id": "482915"}')
    assert (code, "--yes" in out) == (2, True)
    code, out = await trial(backend, "get_reservation", "--args", '{"reservation_id": "4"}')
    assert (code, "reservation_id" in out) == (2, True)
    code, out = await trial(backend, "get_reservaton")
    assert (code, "get_reservation 1.0" in out) == (2, True)
    assert "(did you mean 'get_reservation'?)" in out
    code, out = await trial(backend, "get_reservation", "--tool-version", "9.0")
    assert (code, out) == (2, "tool_version: one of 1.0 expected, got 9.0\n")
    code, out = await trial("http://127.0.0.1:9", "get_reservation", "--args", '{"reservation_id": "482915"}')
    assert (code, "tool_unavailable" in out) == (1, True)


async def test_a_payload_of_an_older_version_is_shown_as_the_service_upgrades_it(backend, tmp_path):
    pack = tmp_path / "airline"
    shutil.copytree(AIRLINE, pack, ignore=shutil.ignore_patterns("backend", "calls"))
    text = (pack / "tools.yaml").read_text()
    rule = '    version: "2.0"\n    upgrades: [{from: "1.0", rename: {id: reservation_id}, drop: [lang]}]\n'
    newer = text.replace(
        '  - name: get_reservation\n    version: "1.0"\n', "  - name: get_reservation\n" + rule
    )
    assert newer != text
    (pack / "tools.yaml").write_text(newer)
    old = ("get_reservation", "--tool-version", "1.0", "--args", '{"id": "482915", "lang": "en"}')
    code, out = await trial(backend, *old, pack=pack)
    assert code == 0
    assert 'upgraded     {"reservation_id":"482915"}  from 1.0 to 2.0' in out


ORDER = """tools:
  - {name: look, version: "1.0", description: Looks., side_effect: read, parameters: {type: object},
     connector: {kind: nats, subject: shop.look}}
  - {name: order, version: "1.0", description: Orders., side_effect: write, parameters: {type: object},
     connector: {kind: nats, subject: shop.order}}
"""


async def test_what_is_doubtful_in_the_tools_own_declaration_is_a_line(tmp_path):
    (tmp_path / "pack.yaml").write_text(
        "name: shop\nversion: 1.0.0\nagents: [{name: desk, role: I help., tools: [order]}]\n"
    )
    (tmp_path / "tools.yaml").write_text(ORDER)
    code, out = await trial("http://127.0.0.1:9", "order", pack=tmp_path)
    (warning,) = (line for line in out.splitlines() if line.startswith("warning"))
    assert code == 2
    assert (
        "tools.yaml:4: order: a write with neither an idempotency key nor a check is attempted once"
        in warning
    )


async def test_what_the_service_would_log_is_a_line_among_the_steps(tmp_path):
    (tmp_path / "pack.yaml").write_text("name: shop\nversion: 1.0.0\nagents: []\n")
    check = "{connector: {base_url_ref: ledger, url: '/{action_id}'}, done_when: {status: 200}}"
    text = ORDER.replace("subject: shop.order}}", f"subject: shop.order}},\n     check: {check}}}")
    (tmp_path / "tools.yaml").write_text(text)
    _, out = await trial("http://127.0.0.1:9", "order", "--yes", pack=tmp_path)
    why = "no address is set for connector ledger (RINGBACK_CONNECTOR_LEDGER)"
    assert f"log          order 1.0: its check cannot run: {why}; attempted once" in out
