"""Owns the one mapping from gRPC statuses to our errors; `ringback_serving` owns the way out."""

from __future__ import annotations

from typing import Final

import grpc
from ringback_errors import (
    DETAIL_KEY,
    Conflict,
    DeadlineExceeded,
    Fenced,
    Forbidden,
    Internal,
    InvalidInput,
    NotFound,
    Overloaded,
    RingbackError,
    Unauthenticated,
    Unavailable,
    decode_detail,
)

# For peers that send no details of ours: a proxy, gRPC itself, a foreign server.
_ERRORS: Final[dict[grpc.StatusCode, type[RingbackError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.OUT_OF_RANGE: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNIMPLEMENTED: NotFound,  # a peer of an older release; it is not ill
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: Fenced,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,  # by the peer: our own cancellations never come here
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def to_error(error: grpc.aio.AioRpcError, *, name: str) -> RingbackError:
    """The error that a peer meant; `name` says who it was where it sent no words of its own."""
    message = error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == DETAIL_KEY and isinstance(value, bytes):
            found = decode_detail(value, message=message)
            if found is not None:
                return found
    # The transport's own text holds addresses: keep it to the class of the failure.
    kind = _ERRORS.get(error.code(), Internal)
    return kind(f"{name}: {error.code().name.lower()}")


def peer_failed(error: RingbackError) -> bool:
    """Whether an error speaks against the peer (and counts for its breaker), not against the request."""
    return isinstance(error, Unavailable | DeadlineExceeded | Overloaded | Internal)
