"""MCP servers are there before the first call: begun when a pack declares them, again after they went away."""

import asyncio
import shlex
import sys
from dataclasses import replace

import pytest
from ringback_tools.adapters import mcp_connection, mcp_keeping
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.mcp_keeping import McpKeeping
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered
from ringback_tools.ports import Call

SPEC = ConnectorSpec("mcp", {"server_ref": "shop", "tool": "stock"})
STARTING = "its MCP server is starting"
SERVER = """
from mcp.server import MCPServer

server = MCPServer("shop")

@server.tool()
def stock(item: str) -> dict[str, int]:
    return {"left": len(item)}

server.run("stdio")
"""


async def until(condition):
    async with asyncio.timeout(25):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(mcp_keeping, "AGAIN_S", 0.05)
    monkeypatch.setattr(mcp_keeping, "AGAIN_S_MAX", 0.2)


class Connection:
    """One that is ready, or goes, when the test says so."""

    def __init__(self):
        self.opened, self.ready, self.went = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def open(self):
        self.opened.set()

    async def settled(self):
        await self.ready.wait()

    async def gone(self):
        await self.went.wait()


async def test_no_more_servers_start_at_once_or_are_kept_than_stated(monkeypatch, caplog):
    monkeypatch.setattr(mcp_keeping, "STARTING_MAX", 2)
    monkeypatch.setattr(mcp_keeping, "SERVERS_MAX", 3)
    keeping, connections = McpKeeping(), [Connection() for _ in range(4)]
    for number, connection in enumerate(connections):
        keeping.keep((f"server_{number}",), lambda connection=connection: connection)
    try:
        await asyncio.wait_for(connections[1].opened.wait(), 25)
        assert [each.opened.is_set() for each in connections] == [True, True, False, False]
        connections[0].ready.set()
        await asyncio.wait_for(connections[2].opened.wait(), 25)
    finally:
        await keeping.close()
    assert "server_3 is connected to by its first call" in caplog.text


async def test_what_keeps_a_server_from_starting_may_pass_and_what_stands_is_left_alone(soon):
    keeping, asked, connection = McpKeeping(), 0, Connection()

    def wanted():
        nonlocal asked
        asked += 1
        return connection if asked > 3 else None

    keeping.keep(("shop",), wanted)
    keeping.keep(("shop",), wanted)
    try:
        await asyncio.wait_for(connection.opened.wait(), 25)
        connection.ready.set()
        await asyncio.sleep(0)
        assert asked == 4
        connection.went.set()
        await until(lambda: asked > 4)
    finally:
        await keeping.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_server_is_there_before_its_first_call_and_again_after_it_came_late_or_died(
    tmp_path, monkeypatch, soon, world
):
    monkeypatch.setattr(mcp_connection, "LOOK_S", 0.05)
    script, program = tmp_path / "server.py", tmp_path / "shop"
    script.write_text(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{SERVER}")
    connector = McpConnector(addresses={"shop": f"stdio://{program}"}, credentials=Credentials(None))
    connectors = ConnectorsByKind({"mcp": connector})
    said = []

    def lacks(words):
        if not said or said[-1] != connectors.lacking(SPEC):
            said.append(connectors.lacking(SPEC))
        return words == said[-1]

    try:
        await connectors.prepare([replace(world.tool("get_reservation"), connector=SPEC)])
        await until(
            lambda: lacks("its MCP server is away: its program cannot be started (FileNotFoundError)")
        )
        pids = tmp_path / "pids"
        lines = f"#!/bin/sh\necho $$ >> {pids}\nexec {shlex.join([sys.executable, str(script)])}\n"
        (tmp_path / "new").write_text(lines)
        (tmp_path / "new").chmod(0o755)
        (tmp_path / "new").rename(program)
        await until(lambda: lacks(""))
        assert STARTING in said
        (kept,) = connector._connections.values()
        answer = await connector.call(
            Call(SPEC, {"item": "pen"}, 25_000, 10_000, "local", "sess_1", "act_1", SideEffect.READ)
        )
        assert answer == Answered({"left": 3}, status=200, body={"left": 3})
        assert list(connector._connections.values()) == [kept]
        await _killed(int(pids.read_text().split()[0]))
        await until(lambda: len(pids.read_text().split()) > 1)
        await until(lambda: lacks(""))
    finally:
        await connectors.close()


async def _killed(pid):
    """Ended by a process of its own, as from outside."""
    killer = await asyncio.create_subprocess_exec("kill", "-9", str(pid))
    assert await killer.wait() == 0
