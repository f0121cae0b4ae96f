"""The MCP connector against a real server over stdio and over streamable HTTP."""

import asyncio
import shlex
import sys

import pytest
from ringback_testkit import free_port
from ringback_tools.adapters import mcp_connection
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import ErrorCode, Failed
from ringback_tools.ports import Call

SERVER = """
import os
import sys
from mcp.server import MCPServer

server = MCPServer("shop")

@server.tool()
def stock(item: str) -> dict[str, int]:
    return {"left": len(item)}

@server.tool()
def closed() -> str:
    raise ValueError("The shop is closed.")

@server.tool()
def die() -> str:
    os._exit(1)

server.run(*sys.argv[1:2] or ["stdio"], **({"port": int(sys.argv[2])} if sys.argv[2:] else {}))
"""


def call(tool, *, server_ref="shop", timeout_ms=25_000, **arguments):
    return Call(
        spec=ConnectorSpec("mcp", {"server_ref": server_ref, "tool": tool}),
        arguments=arguments,
        timeout_ms=timeout_ms,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=SideEffect.WRITE,
        key_field="key",
        key="act_1",
    )


async def test_without_an_address_nothing_is_started():
    answer = await McpConnector(addresses={}, credentials=Credentials(None)).call(call("stock"))
    assert (answer.code, answer.blames) == (ErrorCode.TOOL_UNAVAILABLE, False)


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_tool_of_a_server_is_called_and_a_dead_server_is_started_again(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{SERVER}")
    address = "stdio://" + shlex.join([sys.executable, str(script)])
    missing = "stdio://" + str(tmp_path / "nothing")
    connector = McpConnector(addresses={"shop": address, "gone": missing}, credentials=Credentials(None))
    try:
        assert (await connector.call(call("stock", item="pen"))).data == {"left": 3}
        closed = await connector.call(call("closed"))
        assert (closed.code, closed.in_doubt) == (ErrorCode.REJECTED, True)
        died = await connector.call(call("die"))
        assert (died.code, died.in_doubt, died.retryable) == (ErrorCode.TOOL_UNAVAILABLE, True, True)
        assert (await connector.call(call("stock", item="book"))).data == {"left": 4}
        gone = await connector.call(call("stock", server_ref="gone", item="x"))
        assert (gone.code, gone.in_doubt, gone.retryable) == (ErrorCode.TOOL_UNAVAILABLE, False, True)
        assert gone.detail == "connect: its program cannot be started (FileNotFoundError)"
    finally:
        await connector.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_server_over_streamable_http_is_called_and_a_dead_one_is_in_doubt(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{SERVER}")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), "streamable-http", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    connector = McpConnector(
        addresses={"shop": f"http://127.0.0.1:{port}/mcp"}, credentials=Credentials(None)
    )
    try:
        async with asyncio.timeout(40):
            answer = await connector.call(call("stock", item="pen"))
            while answer.code is ErrorCode.TOOL_UNAVAILABLE if isinstance(answer, Failed) else False:
                assert process.returncode is None
                answer = await connector.call(call("stock", item="pen"))
        assert answer.data == {"left": 3}
        closed = await connector.call(call("closed"))
        assert (closed.code, closed.in_doubt) == (ErrorCode.REJECTED, True)
        process.kill()
        await process.wait()
        gone = await asyncio.wait_for(connector.call(call("stock", item="pen")), 20)
        assert (gone.code, gone.retryable) == (ErrorCode.TOOL_UNAVAILABLE, True)
    finally:
        await connector.close()
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_call_waits_for_a_server_that_starts_no_longer_than_it_has_and_nothing_was_sent():
    connector = McpConnector(addresses={"shop": "stdio://sleep 600"}, credentials=Credentials(None))
    try:
        early = await connector.call(call("stock", item="pen", timeout_ms=250))
        assert (early.code, early.in_doubt, early.retryable) == (ErrorCode.TOOL_UNAVAILABLE, False, True)
        assert early.detail == "connect: the server is not ready yet"
        (starting,) = connector._connections.values()
        await connector.call(call("stock", item="pen", timeout_ms=250))
        assert list(connector._connections.values()) == [starting]
    finally:
        await connector.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_server_that_never_says_a_word_is_given_up_and_started_again(monkeypatch):
    monkeypatch.setattr(mcp_connection, "CONNECT_S", 0.2)
    connector = McpConnector(addresses={"shop": "stdio://sleep 600"}, credentials=Credentials(None))
    try:
        silent = await connector.call(call("stock", item="pen"))
        assert (silent.code, silent.in_doubt) == (ErrorCode.TOOL_UNAVAILABLE, False)
        assert silent.detail == "connect: the server did not answer, or went away (TimeoutError)"
        (before,) = connector._connections.values()
        await connector.call(call("stock", item="pen"))
        assert list(connector._connections.values()) != [before]
    finally:
        await connector.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_server_that_floods_its_output_with_garbage_is_a_line_in_the_log_without_a_word_of_it(caplog):
    connector = McpConnector(addresses={"shop": "stdio://yes hush"}, credentials=Credentials(None))
    try:
        flooded = await connector.call(call("stock", item="pen", timeout_ms=1_000))
    finally:
        await asyncio.wait_for(connector.close(), 25)
    assert (flooded.code, flooded.in_doubt) == (ErrorCode.TOOL_UNAVAILABLE, False)
    said = [record for record in caplog.records if "parse" in record.getMessage()]
    assert len(said) <= 1
    assert "hush" not in caplog.text


# As the service starts a server over stdio: under uvloop, with gRPC at work.
SPAWNING = """
import asyncio
import ringback_tools
import grpc
from ringback_serving import run

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    await channel.channel_ready()
    started = await asyncio.create_subprocess_exec("true")
    await started.wait()
    await channel.close()
    await server.stop(None)

run(main)
"""


@pytest.mark.stack
async def test_a_server_that_is_started_brings_no_complaint_of_grpc_on_stderr():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SPAWNING, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said
    assert b"fork" not in said
