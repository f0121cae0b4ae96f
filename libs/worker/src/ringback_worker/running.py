"""Owns the loop of a worker: requests from NATS, within their deadline and trace, a bounded number at a time.

The form of request, progress and reply is the tools service's own (services/tools, `adapters/worker.py`).
Workers that listen on the same subject share the work.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from ringback_errors import DeadlineExceeded, InvalidInput, Overloaded, RingbackError
from ringback_telemetry import extract, span
from ringback_telemetry.names import Attr, Span

from ringback_worker.declaring import Context, ToolFunction, tool_of
from ringback_worker.progress import Telling
from ringback_worker.settings import WorkerSettings, read_settings

__all__ = ["Worker", "work"]

_log = logging.getLogger(__name__)

QUEUE: Final = "workers"
CALL_MS_MAX: Final = 600_000
_CODES: Final[Mapping[str, str]] = {
    "invalid_input": "invalid_arguments",
    "not_found": "not_found",
    "conflict": "rejected",
    "forbidden": "forbidden",
    "unauthenticated": "auth",
    "overloaded": "overloaded",
    "unavailable": "tool_unavailable",
    "deadline_exceeded": "timeout",
}


class Worker:
    """Tools that listen on NATS; made by `start`, ended by `close`."""

    def __init__(self, client: Client, tools: tuple[ToolFunction, ...], *, calls_max: int) -> None:
        self._client = client
        self._tools = tools
        self._calls_max = calls_max
        self._running: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(calls_max, thread_name_prefix="tool")

    @classmethod
    async def start(cls, *functions: Callable[..., Any], url: str, calls_max: int = 32) -> Worker:
        """Connect and listen for every function; at most `calls_max` calls run at once, more are refused."""
        tools = tuple(tool_of(function) for function in functions)
        client = await nats.connect(url, name="ringback-worker", max_reconnect_attempts=-1)
        worker = cls(client, tools, calls_max=calls_max)
        for tool in tools:
            await client.subscribe(tool.subject, queue=QUEUE, cb=worker._taker(tool))
        await client.flush()
        return worker

    async def close(self, *, drain_ms: int = 10_000) -> None:
        """Take no more calls, let running ones end within the time, disconnect."""
        for subscription in tuple(self._client._subs.values()):
            await subscription.unsubscribe()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=drain_ms / 1000)
            for task in late:
                task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._client.drain()

    def _taker(self, tool: ToolFunction) -> Callable[[Msg], Any]:
        async def take(message: Msg) -> None:
            if len(self._running) >= self._calls_max:
                busy = Overloaded(f"expected at most {self._calls_max} calls at once", retry_after_ms=100)
                await _reply(message, _refused(busy))
                return
            task = asyncio.create_task(self._serve(tool, message), name=tool.name)
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        return take

    async def _serve(self, tool: ToolFunction, message: Msg) -> None:
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        attributes = {Attr.TOOL: tool.name, Attr.MESSAGING_DESTINATION_NAME: tool.subject}
        telling = Telling(message)
        with span(Span.NATS_PROCESS, parent=extract(headers), attributes=attributes):
            try:
                data = await self._answer(tool, message.data, telling)
                answer = orjson.dumps({"status": "ok", "data": data})
            except RingbackError as error:
                answer = _refused(error)
            except Exception:
                _log.exception("%s failed", tool.name)
                answer = orjson.dumps({"status": "error", "error_code": "internal"})
        await telling.close()
        await _reply(message, answer)

    async def _answer(self, tool: ToolFunction, raw: bytes, telling: Telling) -> Any:
        request = _read(raw)
        arguments, wanted = request.pop("arguments"), request.pop("progress")
        context = Context(**request, tell=telling if wanted else None)
        bound = tool.bound(arguments, context=context)
        try:
            async with asyncio.timeout(context.timeout_ms / 1000):
                return tool.plain(await self._run(tool, bound))
        except TimeoutError:
            raise DeadlineExceeded(f"{tool.name} took longer than {context.timeout_ms} ms") from None

    async def _run(self, tool: ToolFunction, bound: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(tool.function):
            return await tool.function(**bound)
        # With the trace of the call, which a thread of a pool does not have by itself.
        run = partial(copy_context().run, tool.function, **bound)
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


def work(*functions: Callable[..., Any], url: str = "", calls_max: int = 0) -> None:
    """Run a worker for these functions until SIGTERM or Ctrl-C. `url`: RINGBACK_NATS_URL unless given."""
    settings = read_settings()
    chosen = WorkerSettings(url or settings.nats_url, calls_max or settings.calls_max)
    asyncio.run(_work(functions, chosen))


async def _work(functions: tuple[Callable[..., Any], ...], settings: WorkerSettings) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    worker = await Worker.start(*functions, url=settings.nats_url, calls_max=settings.calls_max)
    await stop.wait()
    await worker.close()


def _read(raw: bytes) -> dict[str, Any]:
    """The request's parts; InvalidInput names what is wrong."""
    try:
        request = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidInput("JSON expected", field="request") from None
    if not isinstance(request, dict) or not isinstance(request.get("arguments"), dict):
        raise InvalidInput("an object expected", field="arguments")
    timeout_ms = request.get("timeout_ms")
    if not isinstance(timeout_ms, int) or isinstance(timeout_ms, bool) or timeout_ms <= 0:
        raise InvalidInput("milliseconds above 0 expected", field="timeout_ms")
    ids = {name: str(request.get(name, "")) for name in ("action_id", "session_id", "tenant")}
    return {
        "arguments": request["arguments"],
        "timeout_ms": min(timeout_ms, CALL_MS_MAX),
        "progress": request.get("progress") is True,
        **ids,
    }


def _refused(error: RingbackError) -> bytes:
    return orjson.dumps(
        {
            "status": "error",
            "error_code": _CODES.get(error.code, "internal"),
            "message": error.message if error.code in _CODES else "",
            "retryable": error.retryable,
            "retry_after_ms": error.retry_after_ms or 0,
        }
    )


async def _reply(message: Msg, answer: bytes) -> None:
    if not message.reply:
        return
    try:
        await message.respond(answer)
    except NatsError as error:
        _log.warning("a reply was not sent: %s", type(error).__name__)
