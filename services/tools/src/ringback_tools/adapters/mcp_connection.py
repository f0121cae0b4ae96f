"""Owns one connection to an MCP server, over stdio or streamable HTTP, and how it is let go.

A connection that broke, or whose credential was replaced, takes no new calls and closes when the last one in
flight has ended; each of those has its own deadline. One that nobody uses is looked at now and then, so that a
server that died is known before the next call.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Login", "McpConnection", "NotConnectedError", "NotReadyError", "is_stdio"]

_log = logging.getLogger(__name__)
# A server that is started may take its time; calls wait for it no longer than they have, and find it ready later.
CONNECT_S: Final = 30.0
# How often a server that nobody calls is looked at, and how long its answer may take.
LOOK_S: Final = 30.0
LOOK_WAIT_S: Final = 10.0
# The package's own codes for a connection that closed and an answer that did not come.
_NO_ANSWER: Final = (-32000, -32001)
_STDIO: Final = "stdio"
_NOT_LET_IN: Final = (401, 403)


def is_stdio(address: str) -> bool:
    """Whether the server of this address is started by this process."""
    return address.startswith(f"{_STDIO}://")


class NotConnectedError(ConnectionError):
    """A server that could not be started or reached; says why, in words that hold no address."""


class NotReadyError(ConnectionError):
    """A server that is still being connected to."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a server is sent to let us in: headers over HTTP, variables over stdio."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class McpConnection:
    """One connection; a task of its own holds it, since the package ties a connection to the task that opened it."""

    def __init__(self, name: str, address: str, login: Login, mcp: Any) -> None:
        self._name = name
        self._address = address
        self._login = login
        self._mcp = mcp
        self._holder: asyncio.Task[None] | None = None
        self._client: asyncio.Future[Any] | None = None
        self._in_flight = 0
        self._retired = False
        self._refusals = 0
        self._failure = ""

    @property
    def login(self) -> Login:
        """What it was opened with."""
        return self._login

    @property
    def refusals(self) -> int:
        """How often the server has not let us in (HTTP 401 and 403); the package keeps that to itself."""
        return self._refusals

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return not self._retired and (self._holder is None or not self._holder.done())

    @property
    def closed(self) -> bool:
        """Whether nothing of it is left."""
        return self._holder is None or self._holder.done()

    @property
    def lacking(self) -> str:
        """Why a call would have to wait or would fail now; empty if it is connected."""
        if self._failure:
            return f"its MCP server is away: {self._failure}"
        ready = self.usable and self._client is not None and self._client.done()
        return "" if ready else "its MCP server is starting"

    def open(self) -> None:
        """Begin to connect, unless it has begun."""
        if self._holder is None:
            self._client = asyncio.get_running_loop().create_future()
            self._holder = asyncio.create_task(self._hold(self._client), name="mcp")

    async def settled(self) -> None:
        """Return when it has connected, or has not."""
        assert self._client is not None, "it was opened"
        assert self._holder is not None, "it was opened"
        await asyncio.wait((self._client, self._holder), return_when=asyncio.FIRST_COMPLETED)

    async def gone(self) -> None:
        """Return when it is no more."""
        assert self._holder is not None, "it was opened"
        await asyncio.wait((self._holder,))

    @asynccontextmanager
    async def client(self, *, wait_s: float) -> AsyncIterator[Any]:
        """The connected client, for one call; raises what kept it from connecting.

        NotReadyError when it has not connected in this time: it goes on, for the next call.
        """
        self._in_flight += 1
        try:
            self.open()
            assert self._client is not None
            try:
                async with asyncio.timeout(wait_s):
                    client = await asyncio.shield(self._client)
            except TimeoutError:
                raise NotReadyError("the server is not ready yet") from None
            yield client
        finally:
            self._in_flight -= 1
            self._let_go()

    def retire(self) -> None:
        """Take no more calls."""
        self._retired = True
        self._let_go()

    async def close(self) -> None:
        """Close it now."""
        self._retired = True
        if self._holder is not None:
            self._holder.cancel()
            await asyncio.gather(self._holder, return_exceptions=True)

    def _let_go(self) -> None:
        if self._retired and not self._in_flight and self._holder is not None:
            self._holder.cancel()

    async def _hold(self, connected: asyncio.Future[Any]) -> None:
        try:
            async with AsyncExitStack() as opened:
                async with asyncio.timeout(CONNECT_S):
                    target = await self._target(opened)
                    client = await opened.enter_async_context(self._mcp.Client(target))
                connected.set_result(client)
                await self._look_now_and_then(client)
        except Exception as error:
            cause = _cause(error)
            _log.warning("MCP server %s is gone: %s", self._name, type(cause).__name__)
            self._failure = _words(cause)
            if not connected.done():
                connected.set_exception(NotConnectedError(self._failure))
                # Read here too, for when whoever waited has gone.
                connected.exception()

    async def _look_now_and_then(self, client: Any) -> None:
        """Return never; raise what shows that the server is gone. A server at work may have no time to answer."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                async with asyncio.timeout(LOOK_WAIT_S):
                    await client.session.list_tools()
            except Exception as error:
                answered = isinstance(error, self._mcp.MCPError) and error.code not in _NO_ANSWER
                if not answered and not self._in_flight:
                    raise

    async def _target(self, opened: AsyncExitStack) -> Any:
        if is_stdio(self._address):
            command, *arguments = shlex.split(self._address.partition("://")[2])
            environment = dict(self._login.environment)
            return self._mcp.StdioServerParameters(command=command, args=arguments, env=environment)
        http = importlib.import_module("mcp.client.streamable_http")
        client = http.create_mcp_http_client(headers=dict(self._login.headers))
        client.event_hooks = {"response": [self._look]}
        await opened.enter_async_context(client)
        return http.streamable_http_client(self._address, http_client=client)

    async def _look(self, response: Any) -> None:
        if response.status_code in _NOT_LET_IN:
            self._refusals += 1


def _cause(error: BaseException) -> BaseException:
    """What broke, out of the groups that the package's tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _words(cause: BaseException) -> str:
    if isinstance(cause, FileNotFoundError | PermissionError):
        return f"its program cannot be started ({type(cause).__name__})"
    return f"the server did not answer, or went away ({type(cause).__name__})"
