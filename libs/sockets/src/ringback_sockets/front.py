"""What a connection begins with decides who goes on with it: WebSockets and plain GETs, or requests with a body."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from ringback_sockets.http import BadRequestError, HttpAnswer, HttpRequest, OnRequest, error_answer, read_head

__all__ = ["Front"]

log: Final = logging.getLogger(__name__)
HEAD_BYTES_MAX: Final = 16 * 1024
REQUEST_S: Final = 5.0
ANSWER_S: Final = 10.0
TAKEN_S: Final = 30.0
_END: Final = b"\r\n\r\n"


class Front(asyncio.BufferedProtocol):
    """Reads the method of a new connection's first request.

    A GET goes, with every byte of it, to the protocol that `upgrades` makes, and this one is out of the way for good.
    Anything else is read whole, answered once by `on_request`, and the connection ends.
    """

    def __init__(self, *, upgrades: Callable[[], Any], on_request: OnRequest) -> None:
        self._upgrades = upgrades
        self._on_request = on_request
        self._buffer = bytearray(HEAD_BYTES_MAX)
        self._received = bytearray()
        self._request: HttpRequest | None = None
        self._wanted = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "set_protocol")
        self._transport = transport  # type: ignore[assignment]
        self._timer = asyncio.get_running_loop().call_later(REQUEST_S, transport.close)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += memoryview(self._buffer)[:nbytes]
        if self._task is not None or self._transport is None:
            return
        if self._request is None and len(self._received) >= 4 and self._received.startswith(b"GET "):
            self._hand_over(self._transport)
            return
        try:
            self._read()
        except BadRequestError as bad:
            self._answer(error_answer(bad.status, code="bad_request", message=bad.message))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        # A peer may be done with writing while it waits for the answer.
        return self._task is not None

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._stop_timer()
        protocol = self._upgrades()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        rest = memoryview(bytes(self._received))
        while len(rest) and not transport.is_closing():
            room = protocol.get_buffer(len(rest))
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]

    def _read(self) -> None:
        if self._request is None:
            end = self._received.find(_END)
            if end < 0:
                if len(self._received) > HEAD_BYTES_MAX:
                    raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too long.")
                return
            self._request, self._wanted = read_head(bytes(self._received[:end]))
            del self._received[: end + len(_END)]
        if len(self._received) >= self._wanted:
            self._stop_timer()
            request = replace(self._request, body=bytes(self._received[: self._wanted]))
            self._task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: HttpRequest) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._on_request(request)
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            message = "The server did not come to an answer in time."
            answer = error_answer(HTTPStatus.SERVICE_UNAVAILABLE, code="timeout", message=message)
        except Exception:
            log.exception("a request could not be answered")
            message = "The server has a fault."
            answer = error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, code="internal_error", message=message)
        self._answer(answer)

    def _answer(self, answer: HttpAnswer) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer.to_bytes())
            self._transport.close()
            # Whoever does not read an answer does not have it kept for ever.
            self._timer = asyncio.get_running_loop().call_later(TAKEN_S, self._transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
