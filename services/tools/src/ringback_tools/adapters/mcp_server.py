"""The MCP connector: one tool of an MCP server, over stdio or streamable HTTP, with the `mcp` package.

Needs the extra `ringback-tools[mcp]`. `server_ref` names an address: `http://host/mcp`, or `stdio://command
arguments…` for a server that this process starts. MCP cannot say whether a failed tool had an effect, so a
write that fails is in doubt unless the server refused the request itself, or did not let us in. A tool's
credential goes to a server over HTTP in a header, to one over stdio in the variable that the tool names.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson
from ringback_telemetry import inject

from ringback_tools.adapters.connectors import no_address
from ringback_tools.adapters.credentials import Credentials, sent_in_header
from ringback_tools.adapters.mcp_connection import (
    Login,
    McpConnection,
    NotConnectedError,
    NotReadyError,
    is_stdio,
)
from ringback_tools.adapters.mcp_keeping import McpKeeping
from ringback_tools.adapters.mcp_log import keep_quiet
from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["McpConnector"]

# JSON-RPC 2.0 §5.1: the request was refused before any tool ran.
_REFUSED: Final = {-32700, -32600, -32601, -32602}
_PACKAGE: Final = "mcp"
# For how long the answer is waited for, beside the trace context.
_TIMEOUT_META: Final = "timeout_ms"
# The most of an attempt's time that goes into connecting: what was not sent must not read as sent.
_CONNECT_SHARE: Final = 0.8
_NO_PACKAGE: Final = "the extra ringback-tools[mcp] is missing"
_NOT_LET_IN: Final = Failed(
    ErrorCode.AUTH, definitive=True, blames=False, detail="the server refuses the credential"
)


class McpConnector:
    """Keeps one connection per server and credential, made when a pack declares it and again after it broke."""

    def __init__(self, *, addresses: Mapping[str, str], credentials: Credentials) -> None:
        self._addresses = addresses
        self._credentials = credentials
        self._connections: dict[tuple[str, ...], McpConnection] = {}
        # Replaced, and with calls still in flight.
        self._retired: list[McpConnection] = []
        self._keeping = McpKeeping()

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        reference = str(call.spec.options.get("server_ref", ""))
        address = self._addresses.get(reference, "")
        if not address:
            return no_address(reference)
        login = self._login(call.spec, address)
        if isinstance(login, Failed):
            return login
        try:
            mcp = await _imported()
        except ModuleNotFoundError:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=_NO_PACKAGE)
        connection = self._connection(call.spec, address, login, mcp)
        refusals = connection.refusals
        answer = await _asked(connection, call, mcp)
        if isinstance(answer, Failed) and connection.refusals > refusals:
            connection.retire()
            return _NOT_LET_IN
        return answer

    def lacking(self, spec: ConnectorSpec) -> str:
        """The address or secret that is not set, the package that is not installed, the server that is not there."""
        reference = str(spec.options.get("server_ref", ""))
        address = self._addresses.get(reference, "")
        if not address:
            return no_address(reference).detail
        login = self._login(spec, address)
        if isinstance(login, Failed):
            return login.detail
        if not importlib.util.find_spec(_PACKAGE):
            return _NO_PACKAGE
        known = self._connections.get(_key(spec))
        return known.lacking if known else ""

    def described(self, call: Call) -> str:
        """The server's reference and its tool."""
        options = call.spec.options
        return f"{options.get('tool', '')} of {options.get('server_ref', '')}"

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Import the package, which takes a second or two that no attempt has, and begin to connect to the servers."""
        try:
            mcp = await _imported()
        except ModuleNotFoundError:
            return
        for spec in specs:
            self._keeping.keep(_key(spec), partial(self._wanted, spec, mcp))

    async def close(self) -> None:
        """Close every connection, and with it the servers that this process started."""
        await self._keeping.close()
        for connection in (*self._connections.values(), *self._retired):
            await connection.close()
        self._connections.clear()
        self._retired.clear()

    def _login(self, spec: ConnectorSpec, address: str) -> Login | Failed:
        secret = self._credentials.wanted(spec)
        if isinstance(secret, Failed):
            return secret
        if not secret:
            return Login()
        if not is_stdio(address):
            return Login(headers=sent_in_header(spec, secret))
        if variable := str(spec.options.get("credential_env", "")):
            return Login(environment={variable: secret})
        detail = "credential_env: expected the variable in which a server over stdio gets its credential"
        return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)

    def _wanted(self, spec: ConnectorSpec, mcp: Any) -> McpConnection | None:
        """The connection that calls would use; None while an address or a secret is not set."""
        address = self._addresses.get(str(spec.options.get("server_ref", "")), "")
        login = self._login(spec, address) if address else None
        return self._connection(spec, address, login, mcp) if isinstance(login, Login) else None

    def _connection(self, spec: ConnectorSpec, address: str, login: Login, mcp: Any) -> McpConnection:
        """The connection for new calls. A new secret gets a new one; calls in flight keep theirs."""
        key = _key(spec)
        known = self._connections.get(key)
        if known is not None and known.usable and known.login == login:
            return known
        if known is not None:
            known.retire()
            self._retired = [each for each in (*self._retired, known) if not each.closed]
        found = self._connections[key] = McpConnection(key[0], address, login, mcp)
        return found


def _key(spec: ConnectorSpec) -> tuple[str, ...]:
    """What tells one connection from another."""
    named = ("server_ref", "credential", "credential_header", "credential_scheme", "credential_env")
    return tuple(str(spec.options.get(name, "")) for name in named)


async def _imported() -> Any:
    # In a thread: not in the other calls' time either.
    keep_quiet()
    return await asyncio.to_thread(importlib.import_module, _PACKAGE)


async def _asked(connection: McpConnection, call: Call, mcp: Any) -> Answer:
    meta: dict[str, Any] = {call.key_field: call.key} if call.key else {}
    meta[_TIMEOUT_META] = call.timeout_ms
    inject(meta)
    sent = False
    try:
        async with connection.client(wait_s=_CONNECT_SHARE * call.timeout_ms / 1000) as client:
            sent = True
            result = await client.call_tool(
                str(call.spec.options.get("tool", "")),
                dict(call.arguments),
                meta=meta,
                progress_callback=_teller(call),
            )
    except NotReadyError as error:
        return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=f"connect: {error}")
    except Exception as error:
        if isinstance(error, mcp.MCPError) and sent and error.code in _REFUSED:
            return Failed(ErrorCode.REJECTED, definitive=True, blames=False, detail=f"MCP {error.code}")
        connection.retire()
        detail = f"MCP {error.code}" if isinstance(error, mcp.MCPError) else type(error).__name__
        detail = str(error) if isinstance(error, NotConnectedError) else detail
        detail = detail if sent else f"connect: {detail}"
        return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=sent, detail=detail)
    return _answer(result, bytes_max=call.bytes_max)


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
