"""The function connector: a Python function of a module that the operator allows, `module:function`.

A pack must not be able to name any function of the machine: only public functions defined in allowed
modules run, and the modules are imported at the start, so that a broken one shows then. A plain function
runs in a thread of a bounded pool; it cannot be stopped, so its effect stays in doubt when its time is up.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, Final

import orjson
from ringback_errors import ConfigError, NotFound, RingbackError

from ringback_tools.adapters.credentials import Credentials
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["CallContext", "FunctionConnector"]

_log = logging.getLogger(__name__)

THREADS_MAX: Final = 16
_BY_ERROR: Final[Mapping[str, ErrorCode]] = {
    "invalid_input": ErrorCode.INVALID_ARGUMENTS,
    "not_found": ErrorCode.NOT_FOUND,
    "conflict": ErrorCode.REJECTED,
    "forbidden": ErrorCode.FORBIDDEN,
    "unauthenticated": ErrorCode.AUTH,
    "overloaded": ErrorCode.OVERLOADED,
    "unavailable": ErrorCode.TOOL_UNAVAILABLE,
    "deadline_exceeded": ErrorCode.TIMEOUT,
}
_PASSING: Final = frozenset({ErrorCode.OVERLOADED, ErrorCode.TOOL_UNAVAILABLE, ErrorCode.TIMEOUT})
_NO_CONTEXT: Final = "entry_point: expected a parameter 'context', which brings the tool's credential"
# Errors by which the function itself says that nothing was done.
_NO_EFFECT: Final = frozenset(
    {
        ErrorCode.INVALID_ARGUMENTS,
        ErrorCode.NOT_FOUND,
        ErrorCode.REJECTED,
        ErrorCode.FORBIDDEN,
        ErrorCode.AUTH,
        ErrorCode.OVERLOADED,
    }
)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a function learns of its call if it has a parameter `context`."""

    action_id: str
    session_id: str
    tenant: str
    timeout_ms: int
    # The tool's credential, as its file has it now; empty if it declares none.
    credential: str = field(default="", repr=False)
    tell: Callable[[str], object] | None = field(default=None, repr=False, compare=False)

    def progress(self, message: str) -> None:
        """Say how far it is; from any thread, and never waits."""
        if self.tell is not None:
            self.tell(message)


class FunctionConnector:
    """Calls functions of allowed modules."""

    def __init__(self, modules: Sequence[str], *, credentials: Credentials) -> None:
        self._credentials = credentials
        self._modules = {name: _imported(name) for name in modules}
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="tool")

    async def call(self, call: Call) -> Answer:
        """One attempt; a RingbackError of the function is its answer, anything else is a failure in doubt."""
        try:
            function = self._function(str(call.spec.options.get("entry_point", "")))
        except NotFound as missing:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=str(missing))
        secret = self._credentials.wanted(call.spec)
        if isinstance(secret, Failed):
            return secret
        if secret and "context" not in inspect.signature(function).parameters:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=_NO_CONTEXT)
        try:
            data = await self._run(function, call, secret)
        except RingbackError as error:
            return _refused(error, call)
        except Exception as error:
            # Its team needs the reason; the caller gets no more than the class.
            _log.exception("%s failed", call.spec.options.get("entry_point"))
            in_doubt = call.side_effect is not SideEffect.READ
            return Failed(ErrorCode.INTERNAL, in_doubt=in_doubt, detail=type(error).__name__)
        return _answered(data, call)

    def lacking(self, spec: ConnectorSpec) -> str:
        """The function that no allowed module defines, or the secret that is not set or cannot be given."""
        try:
            function = self._function(str(spec.options.get("entry_point", "")))
        except NotFound as missing:
            return str(missing)
        if lacking := self._credentials.lacking(spec):
            return lacking
        wants = bool(spec.options.get("credential"))
        return _NO_CONTEXT if wants and "context" not in inspect.signature(function).parameters else ""

    def described(self, call: Call) -> str:
        """The function."""
        return str(call.spec.options.get("entry_point", ""))

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Nothing: there is nothing to wait for."""

    async def close(self) -> None:
        """Let the threads go; those still busy end with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., Any], call: Call, secret: str) -> Any:
        context = CallContext(
            call.action_id,
            call.session_id,
            call.tenant,
            call.timeout_ms,
            credential=secret,
            tell=_teller(call),
        )
        typed = getattr(function, "ringback_tool", None)
        if typed is not None:
            # Made with ringback_worker: its types read the arguments and make plain data of the answer.
            return typed.plain(await self._called(function, typed.bound(call.arguments, context=context)))
        arguments = dict(call.arguments)
        if "context" in inspect.signature(function).parameters:
            arguments["context"] = context
        return await self._called(function, arguments)

    async def _called(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        # With the trace that it belongs to, which a thread of a pool does not have by itself.
        run = partial(copy_context().run, function, **arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def _function(self, entry_point: str) -> Callable[..., Any]:
        module_name, _, name = entry_point.partition(":")
        module = self._modules.get(module_name)
        if module is None:
            raise NotFound("expected a function of a module in RINGBACK_TOOL_MODULES", field="entry_point")
        found = None if name.startswith("_") else getattr(module, name, None)
        if not inspect.isfunction(found) or found.__module__ != module_name:
            raise NotFound("expected a public function that its module defines", field="entry_point")
        return found


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(
            f"RINGBACK_TOOL_MODULES: expected importable modules, {name} failed ({type(error).__name__})"
        ) from None


def _teller(call: Call) -> Callable[[str], object] | None:
    if (told := call.progress) is None:
        return None
    loop = asyncio.get_running_loop()
    return lambda message: loop.call_soon_threadsafe(told, str(message))


def _answered(data: Any, call: Call) -> Answer:
    try:
        raw = orjson.dumps(data)
    except TypeError:
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail="no JSON value")
    if len(raw) > call.bytes_max:
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail=f"more than {call.bytes_max} bytes")
    body = orjson.loads(raw)
    return Answered(body, status=200, body=body)


def _refused(error: RingbackError, call: Call) -> Failed:
    code = _BY_ERROR.get(error.code, ErrorCode.INTERNAL)
    no_effect = code in _NO_EFFECT
    return Failed(
        code,
        retryable=code in _PASSING,
        in_doubt=not no_effect and call.side_effect is not SideEffect.READ,
        definitive=no_effect and code is not ErrorCode.OVERLOADED,
        blames=not no_effect,
        text=clean_text(error.message),
        retry_after_ms=error.retry_after_ms or 0,
        detail=error.code,
    )
