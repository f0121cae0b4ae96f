"""The programs of docs/clients.md run as they stand there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from client_scenes import CLIENTS, Client
from ringback_testkit.running_stack import ROOT, RunningStack
from ringback_testkit.wire_tap import Tap

pytestmark = [pytest.mark.voice, pytest.mark.timeout(120)]

PROGRAM_S = 60.0
WRITTEN_HOST = "127.0.0.1:8080"
_PROGRAM = re.compile(r"^## (?P<title>[^\n]+)\n+```(?:python|js)\n(?P<code>.*?)^```$", re.M | re.S)


def _programs() -> dict[str, str]:
    page = (ROOT / "docs" / "clients.md").read_text()
    return {found["title"]: found["code"] for found in _PROGRAM.finditer(page)}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name.replace(" ", "-"))
async def test_the_program_in_the_documentation_runs(
    client: Client, running: RunningStack, tap: Tap, tmp_path: Path
) -> None:
    assert client.is_there, f"{client.name} is not installed in {client.folder}: run make clients"
    code = _programs()[client.name]
    assert WRITTEN_HOST in code
    file = client.folder / "program.mjs" if client.is_node else tmp_path / "program.py"
    file.write_text(code.replace(WRITTEN_HOST, f"127.0.0.1:{tap.port}"))
    before = len(tap.wires)
    process = await asyncio.create_subprocess_exec(
        client.interpreter,
        str(file),
        env={"RINGBACK_API_KEY": running.stack.api_key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROGRAM_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = f"{out.decode()}\n{err.decode(errors='replace')[-3000:]}"
    assert process.returncode == 0, said
    assert "boston" in out.decode().lower(), said
    assert not [seen.event for wire in tap.wires[before:] for seen in wire.of("error")]
