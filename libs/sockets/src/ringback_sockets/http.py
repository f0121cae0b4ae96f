"""Small HTTP requests with a body, on the port that serves WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import orjson

__all__ = ["BODY_BYTES_MAX", "HttpAnswer", "HttpRequest", "OnRequest", "error_answer", "json_answer"]

BODY_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True)
class HttpRequest:
    """A whole request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def key(self) -> str | None:
        """The bearer's key, if one was shown."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() or None if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class HttpAnswer:
    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The answer on the wire; the connection ends with it."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body


OnRequest = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class BadRequestError(Exception):
    """The request cannot be read; `status` says why in HTTP's words."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def json_answer(value: Any, *, status: HTTPStatus = HTTPStatus.OK) -> HttpAnswer:
    return HttpAnswer(status, orjson.dumps(value), {"Content-Type": "application/json"})


def error_answer(
    status: HTTPStatus, *, code: str, message: str, param: str | None = None, retry_after_s: int | None = None
) -> HttpAnswer:
    """An error in the protocol's shape."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    error = {"type": kind, "code": code, "message": message, "param": param}
    answer = json_answer({"error": error}, status=status)
    if retry_after_s is None:
        return answer
    return HttpAnswer(status, answer.body, {**answer.headers, "Retry-After": str(retry_after_s)})


def read_head(head: bytes) -> tuple[HttpRequest, int]:
    """A request without its body, and how long that will be. Raises BadRequestError."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "The request line is no HTTP/1.1.")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED, "Send the body with its Content-Length.")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "Content-Length is no number.")
    if int(length) > BODY_BYTES_MAX:
        message = f"The body may have at most {BODY_BYTES_MAX >> 10} KiB."
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    path = unquote(words[1].partition("?")[0]).rstrip("/")
    return HttpRequest(words[0], path, headers, b""), int(length)
