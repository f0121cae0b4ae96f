"""Owns the bytes in which an error's details travel: gRPC trailing metadata ``ringback-error-bin``.

JSON with the keys ``code``, ``field`` and ``retry_after_ms``; the message travels as the status text. Unknown
keys are ignored, so that a newer peer may add some.
"""

from __future__ import annotations

import json
from typing import Final

from ringback_errors.tree import RingbackError, error_for

DETAIL_KEY: Final = "ringback-error-bin"
_BYTES_MAX: Final = 4096  # trailing metadata shares gRPC's 8 KiB header limit with everything else


def encode_detail(error: RingbackError) -> bytes:
    """The details of an error, as put into trailing metadata."""
    detail: dict[str, str | int] = {"code": error.code}
    if error.field:
        detail["field"] = error.field[:512]
    if error.retry_after_ms is not None:
        detail["retry_after_ms"] = error.retry_after_ms
    return json.dumps(detail, separators=(",", ":")).encode()


def decode_detail(data: bytes, *, message: str) -> RingbackError | None:
    """The error that a peer described, or None where the bytes do not describe one."""
    if len(data) > _BYTES_MAX:
        return None
    try:
        detail = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(detail, dict) or not isinstance(detail.get("code"), str):
        return None
    field = detail.get("field")
    wait = detail.get("retry_after_ms")
    return error_for(
        detail["code"],
        message,
        field=field if isinstance(field, str) else None,
        retry_after_ms=wait if isinstance(wait, int) and not isinstance(wait, bool) and wait >= 0 else None,
    )
