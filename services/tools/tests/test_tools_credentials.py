"""A tool's credential reaches what it is for, by every connector, is followed as it changes, and shows nowhere."""

import asyncio
import logging
import shlex
import sys
import types

import pytest
from ringback_testkit import free_port
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered, ErrorCode
from ringback_tools.ports import Call

STDIO = """
import os
from mcp.server import MCPServer

server = MCPServer("shop")

@server.tool()
def who() -> dict[str, str]:
    return {"token": os.environ.get("SHOP_TOKEN", "")}

server.run("stdio")
"""

# Lets in the tokens of a file; a call of `slow` says that it came and waits until it may end.
HTTP = """
import asyncio, os, pathlib, sys
import uvicorn
from mcp.server import MCPServer

folder = pathlib.Path(sys.argv[1])
server = MCPServer("shop")

@server.tool()
def stock() -> dict[str, int]:
    return {"left": 3}

@server.tool()
async def slow() -> dict[str, int]:
    (folder / "came").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return {"left": 4}

inner = server.streamable_http_app()

async def guarded(scope, receive, send):
    if scope["type"] == "http":
        said = dict(scope["headers"]).get(b"authorization", b"").decode()
        if said not in [f"Bearer {token}" for token in (folder / "accepted").read_text().split()]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": f"{said} is wrong".encode()})
            return
    await inner(scope, receive, send)

uvicorn.run(guarded, port=int(sys.argv[2]), log_level="critical")
"""


def call(kind, **options):
    return Call(
        spec=ConnectorSpec(kind, options),
        arguments={},
        timeout_ms=25_000,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=SideEffect.WRITE,
    )


def script(folder, source):
    path = folder / "server.py"
    path.write_text(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{source}")
    return str(path)


async def until_there(path):
    async with asyncio.timeout(25):
        while not path.exists():
            await asyncio.sleep(0.02)


@pytest.fixture
def shop():
    module = types.ModuleType("shop_with_a_secret")
    source = """
def paid(context):
    return {"ok": context.credential == "s3cret", "shown": repr(context)}

def bare():
    return {"ok": True}
"""
    exec(source, module.__dict__)
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


async def test_a_function_gets_its_credential_by_its_context_or_is_not_called(shop):
    connector = FunctionConnector([shop], credentials=Credentials(None, given={"shop_key": "s3cret"}))
    try:
        paid = await connector.call(call("function", entry_point=f"{shop}:paid", credential="shop_key"))
        assert paid.data["ok"]
        assert "s3cret" not in paid.data["shown"]
        bare = await connector.call(call("function", entry_point=f"{shop}:bare", credential="shop_key"))
        assert (bare.code, bare.blames) == (ErrorCode.TOOL_UNAVAILABLE, False)
        assert "expected a parameter 'context'" in bare.detail
        missing = await connector.call(call("function", entry_point=f"{shop}:paid", credential="other"))
        assert (missing.code, missing.detail) == (ErrorCode.AUTH, "no secret is set for credential other")
    finally:
        await connector.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_a_server_over_stdio_finds_the_credential_in_its_variable_and_is_started_anew_when_it_changes(
    tmp_path,
):
    credentials = Credentials(tmp_path)
    secret = tmp_path / "shop_key"
    secret.write_text("first")
    address = "stdio://" + shlex.join([sys.executable, script(tmp_path, STDIO)])
    connector = McpConnector(addresses={"shop": address}, credentials=credentials)
    named = {"server_ref": "shop", "tool": "who", "credential": "shop_key"}
    try:
        assert (await connector.call(call("mcp", **named, credential_env="SHOP_TOKEN"))).data == {
            "token": "first"
        }
        secret.write_text("second one")
        again = await connector.call(call("mcp", **named, credential_env="SHOP_TOKEN"))
        assert again.data == {"token": "second one"}
        without = await connector.call(call("mcp", server_ref="shop", tool="who"))
        assert without.data == {"token": ""}
        unnamed = await connector.call(call("mcp", **named))
        assert (unnamed.code, unnamed.blames) == (ErrorCode.TOOL_UNAVAILABLE, False)
        assert unnamed.detail.startswith("credential_env: expected")
    finally:
        await connector.close()


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
async def test_calls_in_flight_to_a_server_over_http_survive_a_rotation_and_a_refused_token_is_an_auth_failure(
    tmp_path, caplog
):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "secrets").mkdir()
    secret, accepted = tmp_path / "secrets" / "shop_key", tmp_path / "accepted"
    secret.write_text("old-token")
    accepted.write_text("old-token")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, script(tmp_path, HTTP), str(tmp_path), str(port), stderr=asyncio.subprocess.DEVNULL
    )
    connector = McpConnector(
        addresses={"shop": f"http://127.0.0.1:{port}/mcp"}, credentials=Credentials(tmp_path / "secrets")
    )

    async def ask(tool):
        return await connector.call(call("mcp", server_ref="shop", tool=tool, credential="shop_key"))

    try:
        async with asyncio.timeout(40):
            while not isinstance(await ask("stock"), Answered):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        in_flight = asyncio.create_task(ask("slow"))
        await until_there(tmp_path / "came")
        (tmp_path / "next").write_text("new-token")
        (tmp_path / "next").replace(secret)
        accepted.write_text("new-token")
        assert (await ask("stock")).data == {"left": 3}
        (tmp_path / "go").touch()
        assert (await in_flight).data == {"left": 4}
        accepted.write_text("another")
        refused = await ask("stock")
        assert (refused.code, refused.retryable, refused.in_doubt) == (ErrorCode.AUTH, False, False)
        accepted.write_text("new-token")
        assert (await ask("stock")).data == {"left": 3}
        assert "token" not in repr(refused)
        assert "new-token" not in caplog.text
        assert "old-token" not in caplog.text
    finally:
        await connector.close()
        process.kill()
        await process.wait()
