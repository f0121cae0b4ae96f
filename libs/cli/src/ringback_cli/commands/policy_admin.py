"""Owns how commands ask policy's admin service: one call's channel, and its errors as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import Conflict, InvalidInput, NotFound, RingbackError, Unavailable

from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.running import run
from ringback_cli.reaching import reach

__all__ = ["TIMEOUT_S", "ask"]

TIMEOUT_S = 60.0
_ERRORS: dict[grpc.StatusCode, type[RingbackError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: Conflict,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
}
_T = TypeVar("_T")


def ask(address: str, do: Callable[[policy_pb2_grpc.PolicyAdminServiceAsyncStub], Awaitable[_T]]) -> _T:
    """What it answers at this address, or in the stack under ./var; raises RingbackError."""
    target = address or find_stack().policy_address

    async def asked() -> _T:
        async with grpc.aio.insecure_channel(target) as channel:
            await reach(channel, target, who="policy service", option="--policy")
            stub: Any = policy_pb2_grpc.PolicyAdminServiceStub(channel)
            try:
                return await do(stub)
            except grpc.aio.AioRpcError as error:
                raise _ERRORS.get(error.code(), Unavailable)(error.details() or error.code().name) from None

    return run(asked())
