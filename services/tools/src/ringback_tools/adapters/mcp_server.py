"""The MCP connector: one tool of an MCP server, over stdio or streamable HTTP, with the `mcp` package.

Needs the extra `ringback-tools[mcp]`. `server_ref` names an address: `http://host/mcp`, or `stdio://command
arguments…` for a server that this process starts. MCP cannot say whether a failed tool had an effect, so a
write that fails is in doubt unless the server refused the request itself.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from ringback_telemetry import inject

from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["McpConnector"]

_log = logging.getLogger(__name__)
CONNECT_S: Final = 10.0
# JSON-RPC 2.0 §5.1: the request was refused before any tool ran.
_REFUSED: Final = {-32700, -32600, -32601, -32602}


class McpConnector:
    """Keeps one connection per server, made when it is first called and again after it broke."""

    def __init__(self, *, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._servers: dict[str, _Server] = {}

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        reference, tool = str(call.spec.options.get("server_ref", "")), str(call.spec.options.get("tool", ""))
        address = self._addresses.get(reference, "")
        if not address:
            detail = f"no address is set for connector {reference}"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)
        try:
            # It takes its time, the first time: not the other calls'.
            mcp = await asyncio.to_thread(importlib.import_module, "mcp")
        except ModuleNotFoundError:
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, blames=False, detail="the extra ringback-tools[mcp] is missing"
            )
        server = self._servers.setdefault(reference, _Server(address, mcp))
        try:
            client = await server.client()
        except Exception as error:
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=f"connect: {type(error).__name__}"
            )
        meta: dict[str, str] = {call.key_field: call.key} if call.key else {}
        inject(meta)
        try:
            result = await client.call_tool(
                tool, dict(call.arguments), meta=meta or None, progress_callback=_teller(call)
            )
        except mcp.MCPError as error:
            if error.code in _REFUSED:
                return Failed(ErrorCode.REJECTED, definitive=True, blames=False, detail=f"MCP {error.code}")
            server.drop()
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True, detail=f"MCP {error.code}"
            )
        except Exception as error:
            server.drop()
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True, detail=type(error).__name__
            )
        return _answer(result, bytes_max=call.bytes_max)

    async def close(self) -> None:
        """Close every connection, and with it the servers that this process started."""
        for server in self._servers.values():
            await server.close()
        self._servers.clear()


class _Server:
    """One connection; a task of its own holds it, since the package ties a connection to the task that opened it."""

    def __init__(self, address: str, mcp: Any) -> None:
        self._address = address
        self._mcp = mcp
        self._holder: asyncio.Task[None] | None = None
        self._client: asyncio.Future[Any] | None = None

    async def client(self) -> Any:
        """The connected client; raises what kept it from connecting."""
        if self._holder is None or self._holder.done():
            self._client = asyncio.get_running_loop().create_future()
            self._holder = asyncio.create_task(self._hold(self._client), name="mcp")
        assert self._client is not None
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.shield(self._client)

    def drop(self) -> None:
        """Let a broken connection go; the next call makes a new one."""
        if self._holder is not None:
            self._holder.cancel()
            self._holder = None

    async def close(self) -> None:
        """Close the connection."""
        holder = self._holder
        self.drop()
        if holder is not None:
            await asyncio.gather(holder, return_exceptions=True)

    async def _hold(self, connected: asyncio.Future[Any]) -> None:
        try:
            async with self._mcp.Client(self._target()) as client:
                connected.set_result(client)
                await asyncio.Event().wait()
        except Exception as error:
            _log.info("MCP server is gone: %s", type(error).__name__)
            if not connected.done():
                connected.set_exception(ConnectionError("the MCP server did not answer"))
                # Read here too, for when whoever waited has gone.
                connected.exception()

    def _target(self) -> Any:
        scheme, _, rest = self._address.partition("://")
        if scheme != "stdio":
            return self._address
        command, *arguments = shlex.split(rest)
        return self._mcp.StdioServerParameters(command=command, args=arguments)


def _teller(call: Call) -> Callable[[float, float | None, str | None], Awaitable[None]] | None:
    """Passes on the words of progress notifications; figures alone are nothing to speak."""
    if (tell := call.progress) is None:
        return None

    async def told(progress: float, total: float | None, message: str | None) -> None:
        if message:
            tell(message)

    return told


def _answer(result: Any, *, bytes_max: int) -> Answer:
    texts = [part.text for part in result.content if getattr(part, "type", "") == "text"]
    if result.is_error:
        text = clean_text(texts[0]) if texts else ""
        return Failed(ErrorCode.REJECTED, in_doubt=True, blames=False, text=text, detail="the tool failed")
    body = result.structured_content
    if body is None:
        body = _parsed(texts[0]) if len(texts) == 1 else {"texts": texts}
    if len(orjson.dumps(body)) > bytes_max:
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail=f"more than {bytes_max} bytes")
    return Answered(body, status=200, body=body)


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"text": text}
