"""Owns the one mapping from our errors to gRPC statuses; `ringback_calling` owns the way back."""

from __future__ import annotations

from typing import Any, Final

import grpc
from ringback_errors import DETAIL_KEY, Internal, RingbackError, encode_detail

_MESSAGE_CHARS_MAX: Final = 1_024  # shares gRPC's 8 KiB of trailing metadata, percent-encoded

STATUS: Final[dict[str, grpc.StatusCode]] = {
    "invalid_input": grpc.StatusCode.INVALID_ARGUMENT,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "conflict": grpc.StatusCode.ABORTED,
    "fenced": grpc.StatusCode.FAILED_PRECONDITION,
    "forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "behind": grpc.StatusCode.FAILED_PRECONDITION,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "deadline_exceeded": grpc.StatusCode.DEADLINE_EXCEEDED,
    "internal": grpc.StatusCode.INTERNAL,
    "config": grpc.StatusCode.INTERNAL,
}


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> None:
    """End the call with the status of this error; a stranger's error becomes INTERNAL without its text."""
    known = error if isinstance(error, RingbackError) else Internal("internal error")
    await context.abort(
        STATUS.get(known.code, grpc.StatusCode.INTERNAL),
        str(known)[:_MESSAGE_CHARS_MAX],
        ((DETAIL_KEY, encode_detail(known)),),
    )
